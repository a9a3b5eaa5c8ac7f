//! Why a command has no answer.

use crate::event_store;
use crate::message::{CommandId, Version};
use crate::plugin::Fault;

/// Why a command was neither accepted nor rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No active plugin defines the aggregate. **Handling:** tell the client which ones there are.
    #[error("there is no aggregate {aggregate:?}; there are {}", list(known))]
    UnknownAggregate {
        /// What was asked for.
        aggregate: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The aggregate has no such command. **Handling:** tell the client which ones there are.
    #[error(
        "aggregate {aggregate} has no command {command:?}; it has {}",
        list(known)
    )]
    UnknownCommand {
        /// The aggregate.
        aggregate: String,
        /// What was asked for.
        command: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The payload is not what the command takes. **Handling:** tell the client; repeating will not help.
    #[error("the payload of {command} is malformed: {reason}")]
    Malformed {
        /// The command.
        command: String,
        /// What the plugin says.
        reason: String,
    },
    /// The stream is not where the client believed. **Handling:** tell the client the actual version.
    #[error("stream {stream} is at version {actual}, not where the command expects it")]
    PreconditionFailed {
        /// The stream.
        stream: String,
        /// Where it is.
        actual: Version,
    },
    /// Others kept writing to the stream until the host gave up. **Handling:** the client may send it again.
    #[error(
        "stream {stream} changed again and again while the command was decided; it is at version {actual}"
    )]
    Conflict {
        /// The stream.
        stream: String,
        /// Where it was last.
        actual: Version,
    },
    /// The command id belongs to another command. **Handling:** tell the client to use a fresh one.
    #[error("command id {command_id} was used before for another command")]
    IdReused {
        /// The id.
        command_id: CommandId,
    },
    /// The command cannot be taken now. **Handling:** answer 503; the client repeats it with the same command id, since
    /// its fate may be unknown.
    #[error("command {command_id} cannot be taken now: {reason}")]
    Unavailable {
        /// The id to repeat it with.
        command_id: CommandId,
        /// What is in the way.
        reason: String,
    },
    /// The plugin broke, or the store refused what it decided. **Handling:** answer 500 or 504 naming the plugin.
    #[error(transparent)]
    Plugin(#[from] Fault),
}

fn list(known: &[String]) -> String {
    if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    }
}

impl Error {
    /// Says what a store's error means for a command of a plugin.
    pub(super) fn from_store(
        error: &event_store::Error,
        plugin: &str,
        command_id: &CommandId,
    ) -> Self {
        match error {
            event_store::Error::Refused { reason } => Self::Plugin(Fault::ContractBroken {
                plugin: plugin.to_owned(),
                call: "decide",
                message: format!("the event store refused its events: {reason}"),
            }),
            event_store::Error::Full => Self::Unavailable {
                command_id: command_id.clone(),
                reason: error.to_string(),
            },
            // What the driver says is for the log: it may name places.
            event_store::Error::Unavailable { .. }
            | event_store::Error::TooNew { .. }
            | event_store::Error::CannotOpen { .. }
            | event_store::Error::NotEmpty
            | event_store::Error::Unfinished
            | event_store::Error::Damaged { .. } => {
                tracing::warn!(%error, command_id = %command_id, "a command could not be stored or read");
                Self::Unavailable {
                    command_id: command_id.clone(),
                    reason: "the event store is not available".to_owned(),
                }
            }
        }
    }
}
