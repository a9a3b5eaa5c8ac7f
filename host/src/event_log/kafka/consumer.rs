//! The consumer's thread: takes all partitions, merges them, fills the window.
//!
//! It assigns partitions itself, at their ends; no group has to agree on anything first. What it cannot follow any longer
//! (a topic that is gone, offsets that are gone, more partitions than before, another epoch of the store) it begins anew.
//! The client lives and dies on this thread, since letting go of it can block.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::Live;
use super::client::{Consumer, Reports};
use super::merge::Merge;
use super::options::KafkaOptions;
use super::record::{self, Record, Unusable};
use crate::event_store::{Error, EventStore};

/// How long one question to the cluster may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the thread waits for a record before it looks whether it shall stop.
const TICK: Duration = Duration::from_millis(50);
/// How many records are merged before followers are told.
const BATCH: usize = 512;
/// How often offsets are committed.
const COMMIT: Duration = Duration::from_secs(1);
/// How often the number of partitions is looked at.
const SURVEY: Duration = Duration::from_secs(10);
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

/// One assignment of all partitions.
struct Assignment {
    consumer: Consumer,
    source: String,
    epoch: u64,
    merge: Merge,
    partitions: usize,
    /// The offset behind the last record of each partition, and whether it has moved since it was committed.
    offsets: BTreeMap<i32, i64>,
    is_moved: bool,
    committed_at: Instant,
    surveyed_at: Instant,
}

impl Thread {
    fn run(mut self) {
        let mut pause = PAUSE;
        while !self.is_stopping() {
            let lost = match self.assign() {
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

    /// Takes all partitions from their ends, which are asked for before the store's head: what is behind the head is then
    /// behind the ends.
    fn assign(&self) -> Result<Assignment, String> {
        let store = self.store.upgrade().ok_or("the store is closed")?;
        let id = store.id().ok_or("the store was not reached yet")?;
        let epoch = self.live.window.epoch();
        let reports = Reports::default();
        let consumer: Consumer = self
            .options
            .consumer()
            .create_with_context(reports.clone())
            .map_err(|error| error.to_string())?;
        let explain = |error: KafkaError| reports.take().unwrap_or_else(|| error.to_string());
        let partitions = self.partitions(&consumer).map_err(explain)?;
        if partitions == 0 {
            return Err(format!("there is no topic {}", self.options.topic));
        }
        let mut offsets = BTreeMap::new();
        for partition in (0..).take(partitions) {
            let (_, end) = consumer
                .fetch_watermarks(&self.options.topic, partition, PATIENCE)
                .map_err(explain)?;
            offsets.insert(partition, end);
        }
        let list = self.list(&offsets).map_err(|error| error.to_string())?;
        consumer.assign(&list).map_err(|error| error.to_string())?;
        let head = *store.head().borrow();
        self.live.passed.send_replace(head);
        Ok(Assignment {
            consumer,
            source: record::source(id),
            epoch,
            merge: Merge::behind(head),
            partitions,
            offsets,
            is_moved: true,
            committed_at: Instant::now(),
            surveyed_at: Instant::now(),
        })
    }

    /// Returns how many partitions the topic has; 0 when there is no such topic.
    fn partitions(&self, consumer: &Consumer) -> Result<usize, KafkaError> {
        let metadata = consumer.fetch_metadata(Some(&self.options.topic), PATIENCE)?;
        let topic = metadata.topics().first();
        Ok(topic.map_or(0, |topic| match topic.error() {
            None => topic.partitions().len(),
            Some(_) => 0,
        }))
    }

    fn list(&self, offsets: &BTreeMap<i32, i64>) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.options.topic, *partition, Offset::Offset(*offset))?;
        }
        Ok(list)
    }

    /// Follows until the log stops, or until there is a reason to begin anew.
    fn follow(&mut self, mut assignment: Assignment) -> Result<(), String> {
        while !self.is_stopping() {
            self.merge_some(&mut assignment)?;
            if assignment.epoch != self.live.window.epoch() {
                return Err("the store has to be looked at again".into());
            }
            self.commit(&mut assignment);
            self.survey(&mut assignment)?;
        }
        Ok(())
    }

    /// Merges what has come, and waits a little when nothing has.
    fn merge_some(&mut self, assignment: &mut Assignment) -> Result<(), String> {
        let now = Instant::now();
        let due = assignment.merge.due();
        let mut wait = due.map_or(TICK, |due| due.saturating_duration_since(now).min(TICK));
        for _ in 0..BATCH {
            // Split borrows: a message borrows the consumer, and taking it changes the rest.
            let Assignment {
                consumer,
                merge,
                source,
                offsets,
                is_moved,
                ..
            } = &mut *assignment;
            match consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    offsets.insert(message.partition(), message.offset() + 1);
                    *is_moved = true;
                    self.take(&message, source, merge);
                }
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

    fn take(&mut self, message: &BorrowedMessage<'_>, source: &str, merge: &mut Merge) {
        self.connected();
        let now = Instant::now();
        let is_new = match record::read(message, source) {
            Ok(Record::Event(event)) => merge.offer(event.position, Some(event), now),
            Ok(Record::Stub(position)) => merge.offer(position, None, now),
            Err(unusable) => return self.refuse(message, &unusable),
        };
        if !is_new {
            self.live.duplicates.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a record that is not taken, and says so once.
    fn refuse(&mut self, message: &BorrowedMessage<'_>, unusable: &Unusable) {
        let (count, is_known) = match unusable {
            Unusable::Foreign(_) => (&self.live.foreign, &mut self.is_foreign_known),
            Unusable::Malformed(_) => (&self.live.malformed, &mut self.is_malformed_known),
        };
        count.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(is_known, true) {
            let (topic, partition) = (message.topic(), message.partition());
            tracing::warn!(
                topic,
                partition,
                offset = message.offset(),
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
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed,
            ) => Err(error.to_string()),
            Some(Code::AllBrokersDown) => {
                // The client goes on by itself; until it has, nobody waits for it.
                self.disconnected(error.to_string());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn commit(&self, assignment: &mut Assignment) {
        if !assignment.is_moved || assignment.committed_at.elapsed() < COMMIT {
            return;
        }
        let list = self.list(&assignment.offsets);
        let done = list.and_then(|list| assignment.consumer.commit(&list, CommitMode::Async));
        if let Err(error) = done {
            tracing::debug!(%error, "offsets are not committed");
        }
        assignment.is_moved = false;
        assignment.committed_at = Instant::now();
    }

    /// Looks now and then whether the topic is still the one that was assigned.
    fn survey(&self, assignment: &mut Assignment) -> Result<(), String> {
        let is_time = assignment.surveyed_at.elapsed() >= SURVEY;
        if !is_time || !self.live.connected.load(Ordering::Relaxed) {
            return Ok(());
        }
        assignment.surveyed_at = Instant::now();
        match self.partitions(&assignment.consumer) {
            Ok(partitions) if partitions != assignment.partitions => Err(format!(
                "the topic {} has {partitions} partitions, not {} any longer",
                self.options.topic, assignment.partitions
            )),
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
