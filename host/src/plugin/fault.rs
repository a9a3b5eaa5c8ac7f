//! What a guest can do wrong.

use std::time::Duration;

/// A guest broke, exceeded a limit or did not keep the contract: the plugin's fault, never the client's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A call took longer than allowed. **Handling:** answer 504 naming the plugin; look for a loop in it.
    #[error("plugin {plugin} did not finish {call} within {} ms", limit.as_millis())]
    DeadlineExceeded {
        /// The plugin's name.
        plugin: String,
        /// The guest function.
        call: &'static str,
        /// The deadline.
        limit: Duration,
    },
    /// A call wanted more memory than allowed. **Handling:** answer 500 naming the plugin.
    #[error("plugin {plugin} wanted more than {limit_mib} MiB of memory in {call}")]
    MemoryExceeded {
        /// The plugin's name.
        plugin: String,
        /// The guest function.
        call: &'static str,
        /// The cap.
        limit_mib: u64,
    },
    /// A call gave more than allowed. **Handling:** answer 500 naming the plugin.
    #[error("plugin {plugin} gave more than {limit_kib} KiB in {call}")]
    OutputExceeded {
        /// The plugin's name.
        plugin: String,
        /// The guest function.
        call: &'static str,
        /// The cap.
        limit_kib: u64,
    },
    /// A call trapped: a panic, mostly. **Handling:** answer 500 naming the plugin; the message tells the place.
    #[error("plugin {plugin} trapped in {call}: {message}")]
    Trapped {
        /// The plugin's name.
        plugin: String,
        /// The guest function.
        call: &'static str,
        /// The panic's message and place where there was one, else the kind of trap.
        message: String,
    },
    /// The guest answered something that the contract does not allow. **Handling:** answer 500 naming the plugin.
    #[error("plugin {plugin} broke the contract in {call}: {message}")]
    ContractBroken {
        /// The plugin's name.
        plugin: String,
        /// The guest function.
        call: &'static str,
        /// What was wrong.
        message: String,
    },
    /// The guest could not fold an event. **Handling:** for a projection, park the event; for an aggregate, answer 500.
    #[error("plugin {plugin} could not fold event {index} of the batch: {message}")]
    FoldFailed {
        /// The plugin's name.
        plugin: String,
        /// Which event of the batch, from 0.
        index: usize,
        /// What the guest said.
        message: String,
    },
    /// A document that the guest asked for could not be read. **Handling:** wait for the read store, fold again.
    #[error("plugin {plugin} could not read a document: {reason}")]
    DocumentsUnavailable {
        /// The plugin's name.
        plugin: String,
        /// What the read store said.
        reason: String,
    },
}

impl Fault {
    /// Returns the plugin's name.
    pub fn plugin(&self) -> &str {
        match self {
            Self::DeadlineExceeded { plugin, .. }
            | Self::MemoryExceeded { plugin, .. }
            | Self::OutputExceeded { plugin, .. }
            | Self::Trapped { plugin, .. }
            | Self::ContractBroken { plugin, .. }
            | Self::FoldFailed { plugin, .. }
            | Self::DocumentsUnavailable { plugin, .. } => plugin,
        }
    }

    /// Tells whether the guest ran out of time.
    pub fn is_deadline(&self) -> bool {
        matches!(self, Self::DeadlineExceeded { .. })
    }
}
