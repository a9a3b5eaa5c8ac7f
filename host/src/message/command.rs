//! Commands and their answers.

use std::sync::Arc;

use uuid::Uuid;

use super::{CommandId, Json, Position, StreamId, Version};

/// A request to one aggregate instance, in the imperative, which may be refused.
#[derive(Clone, Debug)]
pub struct Command {
    /// The aggregate instance.
    pub stream: StreamId,
    /// Which of the aggregate's commands, kebab-case.
    pub name: Arc<str>,
    /// What it takes, an object.
    pub payload: Json,
    /// The client's identity for it; when absent the host makes one up and the command cannot be repeated safely.
    pub command_id: Option<CommandId>,
    /// What the client believes of the stream.
    pub expected: Expected,
    /// The same on everything that one outside request set in motion; the command's id when absent.
    pub correlation_id: Option<Arc<str>>,
    /// Who sends it.
    pub actor: Arc<str>,
    /// An object to record with its events, such as `{"traceparent": "…"}`.
    pub metadata: Json,
}

/// What a client believes of a stream before its command is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Anything: on a conflict the host decides again.
    #[default]
    Any,
    /// That there is no stream yet.
    NoStream,
    /// That the stream stands at exactly this version.
    Exact(Version),
}

impl Expected {
    /// Tells whether a stream at `version` is what was expected.
    pub fn admits(self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version == Version::NONE,
            Self::Exact(expected) => version == expected,
        }
    }
}

/// A business refusal: a value, not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub message: String,
}

/// The answer to an accepted command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandReceipt {
    /// The stream it was decided on.
    pub stream: StreamId,
    /// The stream's version after it.
    pub version: Version,
    /// The position of its last event, or the stream's last when it had no events.
    pub position: Position,
    /// The id under which it was recorded.
    pub command_id: CommandId,
    /// What it has set down.
    pub events: Vec<EventReceipt>,
}

/// One event of an accepted command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReceipt {
    /// Unique in the store.
    pub event_id: Uuid,
    /// Without the aggregate's name.
    pub event_type: Arc<str>,
    /// Its place in the stream.
    pub version: Version,
    /// Its place in the store.
    pub position: Position,
}
