//! The event log: a transport from the event store to whoever follows it, never the truth.
//!
//! A port. The embedded profile's log is the event store's own tail; the cluster profile's is Kafka.
//! It gives events in order of position without holes, as often as asked, and forgets nothing that the store holds.

pub mod kafka;
pub mod tail;
mod window;

use std::sync::Arc;

use async_trait::async_trait;

use crate::event_store;
use crate::message::{Position, RecordedEvent};

/// Gives recorded events to followers.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Waits until there are events behind `after`, then returns some of them: contiguous, the first at `after + 1`, at
    /// most `limit`, at least one. Cancellation-safe.
    async fn next(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, event_store::Error>;
}
