//! The event log of the embedded profile: the event store's own tail.
//!
//! Followers near the head share a bounded window of the newest events, so that each event is read and decoded once,
//! however many follow. Whoever is farther behind reads pages from the store itself. Positions are checked to be dense: a
//! missing one is an error, never a skip.
//!
//! Errors are the store's and are passed on at once, transient ones too, so that each follower can say that it is waiting;
//! it calls again with the same position after a pause of its own. Waiting at the head costs nothing and ends with the next
//! commit; a position beyond the head waits until the head has passed it.

use std::sync::Arc;

use async_trait::async_trait;

use super::EventLog;
use super::window::SharedWindow;
use crate::event_store::{Error, EventStore};
use crate::message::{Position, RecordedEvent};

/// The most events of one read into the window: large enough to keep up with any writer, small enough to be waited for.
const PAGE: usize = 512;

/// Follows an event store.
pub struct TailEventLog {
    store: Arc<dyn EventStore>,
    window: SharedWindow,
    /// Held by the one follower that reads the newest events for all.
    reading: tokio::sync::Mutex<()>,
}

impl TailEventLog {
    /// Follows a store; the log lives as long as the store does and needs no task.
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            window: SharedWindow::new(store.epoch()),
            store,
            reading: tokio::sync::Mutex::new(()),
        }
    }

    /// Gives events that are known to exist behind `after`.
    async fn read(
        &self,
        after: Position,
        head: Position,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        if let Some(events) = self.window.behind(after, limit) {
            return Ok(events);
        }
        if !self.window.is_worth_keeping(after, head) {
            return self.page(after, limit).await;
        }
        let _reading = self.reading.lock().await;
        if let Some(events) = self.window.behind(after, limit) {
            return Ok(events);
        }
        let epoch = self.window.epoch();
        let mut events = self.page(after, limit.max(PAGE)).await?;
        self.window.extend(epoch, &events);
        events.truncate(limit);
        Ok(events)
    }

    /// Reads a page from the store and holds it to what the store promises.
    async fn page(&self, after: Position, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        let events = self.store.read_all(after, limit).await?;
        let mut expected = after;
        for event in &events {
            expected = expected.next();
            if event.position != expected {
                return Err(missing(expected));
            }
        }
        if events.is_empty() {
            Err(missing(after.next()))
        } else {
            Ok(events)
        }
    }
}

fn missing(position: Position) -> Error {
    Error::Damaged {
        reason: format!("the event at position {position} is missing"),
    }
}

#[async_trait]
impl EventLog for TailEventLog {
    async fn next(&self, after: Position, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        let mut head = self.store.head();
        // The receiver remembers which head it has seen, so a commit between the look and the wait ends the wait at once.
        let reached = head.wait_for(|head| *head > after).await.map(|head| *head);
        match reached {
            Ok(head) => self.read(after, head, limit.max(1)).await,
            Err(_) => Err(Error::Unavailable {
                reason: "the event store is closed".into(),
            }),
        }
    }
}
