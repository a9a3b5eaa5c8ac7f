//! An assignment of all partitions to one consumer, from their ends on.
//!
//! The log assigns partitions itself, so that no group has to agree on anything first and every process sees every record.
//! The group's offsets are hints for tools that show the lag.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Consumer, Reports};
use super::merge::Merge;
use super::options::KafkaOptions;
use super::record::{self, Record, Unusable};
use crate::event_store::EventStore;

/// How long one question to the cluster may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often offsets are committed.
const COMMIT: Duration = Duration::from_secs(1);
/// How often the number of partitions is looked at.
const SURVEY: Duration = Duration::from_secs(10);

/// One assignment, and how far it has come.
pub(super) struct Assignment {
    consumer: Consumer,
    /// Whose records are taken.
    source: String,
    /// The store's epoch for which it was made.
    pub(super) epoch: u64,
    pub(super) merge: Merge,
    topic: String,
    /// The offset behind the last record of each partition, and whether one has moved since they were committed.
    offsets: BTreeMap<i32, i64>,
    is_moved: bool,
    committed_at: Instant,
    surveyed_at: Instant,
}

/// One record, and where it stood.
pub(super) struct Taken {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) record: Result<Record, Unusable>,
}

impl Assignment {
    /// Takes all partitions from their ends. The ends are asked for before the store's head, so that whatever comes behind
    /// the head comes behind the ends too.
    pub(super) fn of_all(
        options: &KafkaOptions,
        store: &dyn EventStore,
        epoch: u64,
    ) -> Result<Self, String> {
        let id = store.id().ok_or("the store was not reached yet")?;
        let reports = Reports::default();
        let explain = |error: KafkaError| reports.take().unwrap_or_else(|| error.to_string());
        let consumer: Consumer = options
            .consumer()
            .create_with_context(reports.clone())
            .map_err(explain)?;
        let offsets = ends(&consumer, &options.topic).map_err(explain)?;
        if offsets.is_empty() {
            return Err(format!("there is no topic {}", options.topic));
        }
        let list = list(&options.topic, &offsets).map_err(explain)?;
        consumer.assign(&list).map_err(explain)?;
        Ok(Self {
            consumer,
            source: record::source(id),
            epoch,
            merge: Merge::behind(*store.head().borrow()),
            topic: options.topic.clone(),
            offsets,
            is_moved: true,
            committed_at: Instant::now(),
            surveyed_at: Instant::now(),
        })
    }

    /// Waits for the next record of any partition.
    pub(super) fn poll(&mut self, wait: Duration) -> Option<Result<Taken, KafkaError>> {
        let message = match self.consumer.poll(wait)? {
            Ok(message) => message,
            Err(error) => return Some(Err(error)),
        };
        let taken = Taken {
            partition: message.partition(),
            offset: message.offset(),
            record: record::read(&message, &self.source),
        };
        self.offsets.insert(taken.partition, taken.offset + 1);
        self.is_moved = true;
        Some(Ok(taken))
    }

    /// Commits offsets now and then.
    pub(super) fn commit(&mut self) {
        if !self.is_moved || self.committed_at.elapsed() < COMMIT {
            return;
        }
        let list = list(&self.topic, &self.offsets);
        let done = list.and_then(|list| self.consumer.commit(&list, CommitMode::Async));
        if let Err(error) = done {
            tracing::debug!(%error, "offsets are not committed");
        }
        self.is_moved = false;
        self.committed_at = Instant::now();
    }

    /// Looks now and then whether the topic still has the partitions that were assigned.
    pub(super) fn survey(&mut self) -> Result<(), String> {
        if self.surveyed_at.elapsed() < SURVEY {
            return Ok(());
        }
        self.surveyed_at = Instant::now();
        match partitions(&self.consumer, &self.topic) {
            Ok(count) if count != self.offsets.len() => Err(format!(
                "the topic {} has {count} partitions, not {} any longer",
                self.topic,
                self.offsets.len()
            )),
            _ => Ok(()),
        }
    }
}

/// Returns the offset behind the last record of each partition; nothing when there is no such topic.
fn ends(consumer: &Consumer, topic: &str) -> Result<BTreeMap<i32, i64>, KafkaError> {
    (0..)
        .take(partitions(consumer, topic)?)
        .map(|partition| {
            let (_, end) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
            Ok((partition, end))
        })
        .collect()
}

/// Returns how many partitions the topic has; 0 when there is no such topic.
fn partitions(consumer: &Consumer, topic: &str) -> Result<usize, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let topic = metadata.topics().first();
    Ok(topic.map_or(0, |topic| match topic.error() {
        None => topic.partitions().len(),
        Some(_) => 0,
    }))
}

fn list(topic: &str, offsets: &BTreeMap<i32, i64>) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}
