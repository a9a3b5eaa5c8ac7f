//! The consumer's thread: merges what comes, fills the window, tells followers.
//!
//! What it cannot follow any longer (a topic that is gone, offsets that are gone, more partitions than before, another epoch
//! of the store) it begins anew. The client lives and dies on this thread, since letting go of it can block.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::Live;
use super::assignment::{Assignment, Taken};
use super::merge::Merge;
use super::options::KafkaOptions;
use super::record::{Record, Unusable};
use crate::event_store::{Error, EventStore};

/// How long the thread waits for a record before it looks whether it shall stop.
const TICK: Duration = Duration::from_millis(50);
/// How many records are merged before followers are told.
const BATCH: usize = 512;
/// The pause before the second attempt to follow; it doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Starts the thread. It ends when the log stops or the store is gone.
pub(super) fn start(
    options: KafkaOptions,
    store: &Arc<dyn EventStore>,
    live: Arc<Live>,
) -> Result<(), Error> {
    let reason = |error| options.cannot_open(format!("no thread for its consumer: {error}"));
    let thread = Thread {
        options: options.clone(),
        store: Arc::downgrade(store),
        live,
        is_foreign_known: false,
        is_malformed_known: false,
    };
    std::thread::Builder::new()
        .name("kafka-event-log".into())
        .spawn(move || thread.run())
        .map(drop)
        .map_err(reason)
}

struct Thread {
    options: KafkaOptions,
    store: Weak<dyn EventStore>,
    live: Arc<Live>,
    is_foreign_known: bool,
    is_malformed_known: bool,
}

impl Thread {
    fn run(mut self) {
        let mut pause = PAUSE;
        while !self.is_stopping() {
            let lost = match self.begin() {
                Ok(assignment) => {
                    pause = PAUSE;
                    self.connected();
                    self.follow(assignment)
                }
                Err(reason) => Err(reason),
            };
            if let Err(reason) = lost {
                self.disconnected(reason);
                self.rest(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.live.stopping.load(Ordering::Relaxed) || self.store.strong_count() == 0
    }

    fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.is_stopping() && Instant::now() < until {
            std::thread::sleep(TICK.min(pause));
        }
    }

    /// Takes all partitions; followers need not wait for what lies before.
    fn begin(&self) -> Result<Assignment, String> {
        let store = self.store.upgrade().ok_or("the store is closed")?;
        let epoch = self.live.window.epoch();
        let assignment = Assignment::of_all(&self.options, store.as_ref(), epoch)?;
        self.live.passed.send_replace(assignment.merge.passed());
        Ok(assignment)
    }

    /// Follows until the log stops, or until there is a reason to begin anew.
    fn follow(&mut self, mut assignment: Assignment) -> Result<(), String> {
        while !self.is_stopping() {
            self.merge_some(&mut assignment)?;
            if assignment.epoch != self.live.window.epoch() {
                return Err("the store has to be looked at again".into());
            }
            assignment.commit();
            if self.live.connected.load(Ordering::Relaxed) {
                assignment.survey()?;
            }
        }
        Ok(())
    }

    /// Merges what has come, and waits a little when nothing has.
    fn merge_some(&mut self, assignment: &mut Assignment) -> Result<(), String> {
        let now = Instant::now();
        let due = assignment.merge.due();
        let mut wait = due.map_or(TICK, |due| due.saturating_duration_since(now).min(TICK));
        for _ in 0..BATCH {
            match assignment.poll(wait) {
                None => break,
                Some(Ok(taken)) => self.take(taken, &mut assignment.merge),
                Some(Err(error)) => self.attend(&error)?,
            }
            wait = Duration::ZERO;
        }
        let ready = assignment.merge.take(Instant::now());
        for run in ready.chunk_by(|one, other| one.position.next() == other.position) {
            self.live.window.extend(assignment.epoch, run);
        }
        // The window first: who is woken finds the events there.
        let passed = assignment.merge.passed();
        let moved = |last: &mut _| std::mem::replace(last, passed) != passed;
        self.live.passed.send_if_modified(moved);
        Ok(())
    }

    fn take(&mut self, taken: Taken, merge: &mut Merge) {
        self.connected();
        let now = Instant::now();
        let is_new = match taken.record {
            Ok(Record::Event(event)) => merge.offer(event.position, Some(event), now),
            Ok(Record::Stub(position)) => merge.offer(position, None, now),
            Err(ref unusable) => return self.refuse(&taken, unusable),
        };
        if !is_new {
            self.live.duplicates.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a record that is not taken, and says so once.
    fn refuse(&mut self, taken: &Taken, unusable: &Unusable) {
        let (count, is_known) = match unusable {
            Unusable::Foreign(_) => (&self.live.foreign, &mut self.is_foreign_known),
            Unusable::Malformed(_) => (&self.live.malformed, &mut self.is_malformed_known),
        };
        count.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(is_known, true) {
            tracing::warn!(
                topic = self.options.topic,
                partition = taken.partition,
                offset = taken.offset,
                ?unusable,
                "a record of the topic is not this store's; it and further ones are skipped"
            );
        }
    }

    /// Tells an error that passes from one after which partitions have to be assigned anew.
    fn attend(&self, error: &KafkaError) -> Result<(), String> {
        use RDKafkaErrorCode as Code;
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Err(error.to_string());
        }
        match error.rdkafka_error_code() {
            Some(
                Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::UnknownTopicId
                | Code::AutoOffsetReset
                | Code::OffsetOutOfRange
                | Code::TopicAuthorizationFailed,
            ) => Err(error.to_string()),
            Some(Code::AllBrokersDown) => {
                // The client goes on by itself; until it has, nobody waits for it.
                self.disconnected(error.to_string());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn connected(&self) {
        if !self.live.connected.swap(true, Ordering::Relaxed) {
            self.remember(None);
            tracing::info!(topic = self.options.topic, "following the topic");
        }
    }

    /// Says so once per outage.
    fn disconnected(&self, reason: String) {
        let was_connected = self.live.connected.swap(false, Ordering::Relaxed);
        if was_connected || self.live.last_error().is_none() {
            let topic = &self.options.topic;
            tracing::warn!(
                topic,
                reason,
                "the topic is not followed; events come from the store"
            );
        }
        self.remember(Some(reason));
    }

    fn remember(&self, error: Option<String>) {
        let last = &self.live.last_error;
        *last.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}
