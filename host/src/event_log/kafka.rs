//! The event log of the cluster profile: a Kafka topic that the relay fills, with the event store behind it.
//!
//! Kafka feeds the live tail. Whatever it does not have in time is read from the store: what is far behind, what came
//! before this log was opened, what was deleted, what never fitted. So followers see the same events in the same order
//! whether Kafka is there or not, at most a fifth of a second later, and Kafka being away never makes [`EventLog::next`]
//! fail.
//!
//! One consumer per process, on a thread of its own, takes all partitions and merges them by position into a window that
//! all followers share. Records of another store are refused, records seen before are dropped, and nothing outlives the
//! store's epoch. The consumer group's offsets are committed for tools that show the lag; nothing reads them here.

mod assignment;
mod client;
mod consumer;
mod merge;
mod options;
mod record;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::watch;

use self::merge::PATIENCE;
use super::EventLog;
use super::tail::TailEventLog;
use super::window::SharedWindow;
use crate::event_store::{Error, EventStore};
use crate::message::{Position, RecordedEvent};

pub(crate) use self::client::{Consumer, Reports};
pub use self::options::KafkaOptions;
pub(crate) use self::record::{Origin, headers, origin, source};

/// Follows a topic. Its consumer ends soon after it is dropped.
pub struct KafkaEventLog {
    store: Arc<dyn EventStore>,
    /// Reads the store for all who need what Kafka does not give.
    tail: TailEventLog,
    live: Arc<Live>,
    aging: Mutex<Aging>,
    from_kafka: AtomicU64,
    from_store: AtomicU64,
}

/// How a [`KafkaEventLog`] is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaLogStatus {
    /// Whether the topic is being followed now. While it is not, followers are served from the store.
    pub connected: bool,
    /// The last position that came over Kafka, or from which on the topic is followed.
    pub position: Position,
    /// How far that is behind the store's head.
    pub lag: u64,
    /// How many events followers were given from Kafka.
    pub from_kafka: u64,
    /// How many events followers were given from the store.
    pub from_store: u64,
    /// How many records were dropped since their positions were passed: what a relay has sent again, and what it still
    /// had to send when this log began at the store's head.
    pub duplicates: u64,
    /// How many records were refused since they belong to another store.
    pub foreign: u64,
    /// How many records were skipped since they are not what the relay writes.
    pub malformed: u64,
    /// What keeps the topic from being followed.
    pub last_error: Option<String>,
}

/// What the consumer's thread and the followers share.
struct Live {
    window: SharedWindow,
    /// The last position that was merged: what is not in the window up to here is not going to come.
    passed: watch::Sender<Position>,
    connected: AtomicBool,
    stopping: AtomicBool,
    duplicates: AtomicU64,
    foreign: AtomicU64,
    malformed: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl KafkaEventLog {
    /// Follows a topic that carries a store's events. Nothing is reached yet: a cluster that is away, or a topic that the
    /// relay has still to make, is waited for.
    pub fn open(options: KafkaOptions, store: Arc<dyn EventStore>) -> Result<Self, Error> {
        options.verify()?;
        let live = Arc::new(Live {
            window: SharedWindow::new(store.epoch()),
            passed: watch::Sender::new(Position::START),
            connected: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            duplicates: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            last_error: Mutex::new(None),
        });
        consumer::start(options, &store, Arc::clone(&live))?;
        Ok(Self {
            tail: TailEventLog::new(Arc::clone(&store)),
            store,
            live,
            aging: Mutex::default(),
            from_kafka: AtomicU64::new(0),
            from_store: AtomicU64::new(0),
        })
    }

    /// Tells how the log is doing.
    pub fn status(&self) -> KafkaLogStatus {
        let position = *self.live.passed.borrow();
        let head = *self.store.head().borrow();
        KafkaLogStatus {
            connected: self.live.connected.load(Ordering::Relaxed),
            position,
            lag: head.0.saturating_sub(position.0),
            from_kafka: self.from_kafka.load(Ordering::Relaxed),
            from_store: self.from_store.load(Ordering::Relaxed),
            duplicates: self.live.duplicates.load(Ordering::Relaxed),
            foreign: self.live.foreign.load(Ordering::Relaxed),
            malformed: self.live.malformed.load(Ordering::Relaxed),
            last_error: self.live.last_error(),
        }
    }

    fn windowed(&self, after: Position, limit: usize) -> Option<Vec<Arc<RecordedEvent>>> {
        let events = self.live.window.behind(after, limit)?;
        self.from_kafka
            .fetch_add(events.len() as u64, Ordering::Relaxed);
        Some(events)
    }

    /// Waits until the store has had more than `after` for so long that Kafka should have brought it.
    async fn overdue(&self, after: Position) -> Result<(), Error> {
        let mut head = self.store.head();
        head.wait_for(|head| *head > after)
            .await
            .map_err(|_| Error::Unavailable {
                reason: "the event store is closed".into(),
            })?;
        if self.live.connected.load(Ordering::Relaxed) && !self.is_aged(after) {
            tokio::time::sleep(PATIENCE).await;
        }
        Ok(())
    }

    /// Tells whether the head was behind `after` long ago already, so that nobody waits for each page of a long way.
    fn is_aged(&self, after: Position) -> bool {
        let head = *self.store.head().borrow();
        self.aging
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .had_passed(after, head, Instant::now())
    }
}

impl Live {
    fn last_error(&self) -> Option<String> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl EventLog for KafkaEventLog {
    async fn next(&self, after: Position, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        let limit = limit.max(1);
        if let Some(events) = self.windowed(after, limit) {
            return Ok(events);
        }
        let mut passed = self.live.passed.subscribe();
        tokio::select! {
            // The sender lives as long as this log, so that this can only end with a position.
            _ = passed.wait_for(|passed| *passed > after) => {}
            overdue = self.overdue(after) => overdue?,
        }
        if let Some(events) = self.windowed(after, limit) {
            return Ok(events);
        }
        let events = self.tail.next(after, limit).await?;
        self.from_store
            .fetch_add(events.len() as u64, Ordering::Relaxed);
        Ok(events)
    }
}

impl Drop for KafkaEventLog {
    fn drop(&mut self) {
        self.live.stopping.store(true, Ordering::Relaxed);
    }
}

/// Where the head was a while ago, from what followers have seen of it.
#[derive(Default)]
struct Aging {
    aged: Position,
    seen: VecDeque<(Instant, Position)>,
}

impl Aging {
    /// How close together two sightings are kept.
    const STEP: Duration = Duration::from_millis(20);

    fn had_passed(&mut self, after: Position, head: Position, now: Instant) -> bool {
        while let Some((since, position)) = self.seen.front() {
            if now.saturating_duration_since(*since) < PATIENCE {
                break;
            }
            self.aged = *position;
            self.seen.pop_front();
        }
        let is_new = self
            .seen
            .back()
            .is_none_or(|(since, _)| now.saturating_duration_since(*since) >= Self::STEP);
        if is_new {
            self.seen.push_back((now, head));
        }
        // A head that goes back tells of a rewritten history, of which nothing is known yet.
        self.aged = self.aged.min(head);
        self.aged > after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_head_passed_a_while_ago_is_aged() {
        let (mut aging, start) = (Aging::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(!aging.had_passed(Position(5), Position(10), at(0)));
        assert!(!aging.had_passed(Position(5), Position(12), at(199)));
        assert!(aging.had_passed(Position(5), Position(13), at(200)));
        assert!(!aging.had_passed(Position(11), Position(13), at(210)));
        assert!(aging.had_passed(Position(11), Position(13), at(399)));
        assert!(!aging.had_passed(Position(3), Position(2), at(400)));
    }
}
