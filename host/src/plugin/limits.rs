//! How much a guest may use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The limits of one plugin, each per guest call unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Milliseconds that `decide` and `plan` may take, and `evolve` per page of events.
    /// A decision takes microseconds; a hundred milliseconds leave room for a busy machine.
    pub deadline_ms: u64,
    /// Milliseconds that `project` may take for one batch of events.
    pub project_deadline_ms: u64,
    /// Mebibytes of linear memory of one instance, which holds many cached states. At most 256, the size that the pool is made for.
    pub memory_mib: u64,
    /// Kibibytes that may come out of one call, events, documents and log lines each.
    pub output_kib: u64,
    /// The most events that one command may set down.
    pub events_per_command: usize,
    /// The most bytes of one event's data. Below what brokers and document databases take by default.
    pub event_bytes: usize,
    /// The most bytes of one document; MongoDB refuses 16 MiB.
    pub document_bytes: usize,
    /// The most lines in the host's log per call; the rest are dropped.
    pub log_lines: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline_ms: 100,
            project_deadline_ms: 1_000,
            memory_mib: 128,
            output_kib: 8 * 1024,
            events_per_command: 1_000,
            event_bytes: 512 * 1024,
            document_bytes: 4 * 1024 * 1024,
            log_lines: 100,
        }
    }
}

impl Limits {
    /// Returns the deadline of short calls.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    /// Returns the deadline of `project`.
    pub fn project_deadline(&self) -> Duration {
        Duration::from_millis(self.project_deadline_ms)
    }

    /// Returns the memory cap in bytes.
    pub fn memory_bytes(&self) -> usize {
        usize::try_from(self.memory_mib)
            .unwrap_or(usize::MAX)
            .saturating_mul(1024 * 1024)
    }

    /// Returns the output cap in bytes.
    pub fn output_bytes(&self) -> usize {
        usize::try_from(self.output_kib)
            .unwrap_or(usize::MAX)
            .saturating_mul(1024)
    }
}
