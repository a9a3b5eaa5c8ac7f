//! The topic: whether it is there, made if need be, and what its newest records are.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::event_log::kafka::{Consumer, KafkaOptions, Origin, Reports, origin};

/// How long one question to the cluster may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a new topic may take until all its partitions have a leader.
const MAKING: Duration = Duration::from_secs(15);
/// The most bytes of a record where the topic's own limit may not be asked for: what brokers take unless told otherwise.
const USUAL_MAX_BYTES: usize = 1_048_588;
/// What a topic says that was made but is not known everywhere.
const NOT_YET: KafkaError = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
/// What librdkafka takes as a limit.
const POSSIBLE_MAX_BYTES: std::ops::RangeInclusive<usize> = 1_000..=1_000_000_000;

/// A topic that can be produced to.
pub(super) struct Topic {
    /// The most bytes of a record.
    pub(super) max_bytes: usize,
    /// The newest record of each partition that has one of Foldhost's form.
    pub(super) newest: Vec<Origin>,
    /// What is worth a warning, though it hinders nothing.
    pub(super) warnings: Vec<String>,
}

/// The shape of a topic.
struct Shape {
    partitions: i32,
    replicas: usize,
}

/// Finds the topic, or makes it. Blocks, also while it lets go of its clients; soon comes to an end when it is abandoned.
pub(super) fn prepare(
    options: &KafkaOptions,
    runtime: &tokio::runtime::Handle,
    is_abandoned: &AtomicBool,
) -> Result<Topic, String> {
    let reports = Reports::default();
    let explain = |error: KafkaError| reports.take().unwrap_or_else(|| error.to_string());
    // A consumer, since asking as a producer makes some brokers create the topic in a shape of their own.
    let consumer: Consumer = options
        .consumer()
        .set("enable.partition.eof", "true")
        .create_with_context(reports.clone())
        .map_err(explain)?;
    let admin: AdminClient<Reports> = options
        .base()
        .create_with_context(reports.clone())
        .map_err(explain)?;
    let shape = match shape(&consumer, options).map_err(explain)? {
        Some(shape) => shape,
        None if options.create_topic => {
            runtime.block_on(create(&admin, options)).map_err(explain)?;
            settled(is_abandoned, || shape(&consumer, options)?.ok_or(NOT_YET)).map_err(explain)?
        }
        None => {
            return Err(format!(
                "there is no topic {}, and this host may not make it",
                options.topic
            ));
        }
    };
    let settings = runtime.block_on(settings(&admin, options));
    Ok(Topic {
        max_bytes: max_bytes(settings.as_ref()),
        newest: settled(is_abandoned, || {
            newest(&consumer, options, shape.partitions)
        })
        .map_err(explain)?,
        warnings: warnings(settings.as_ref(), shape.replicas),
    })
}

/// Tells whether the brokers know that there is no such topic. Blocks.
pub(super) fn is_gone(options: &KafkaOptions) -> bool {
    let consumer: Result<Consumer, _> = options.consumer().create_with_context(Reports::default());
    consumer.is_ok_and(|consumer| matches!(shape(&consumer, options), Ok(None)))
}

/// Returns the topic's shape once every partition has a leader; none when there is no such topic.
fn shape(consumer: &Consumer, options: &KafkaOptions) -> Result<Option<Shape>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(&options.topic), PATIENCE)?;
    let topic = metadata.topics().first();
    let shape = |topic: &MetadataTopic| Shape {
        partitions: i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX),
        replicas: topic
            .partitions()
            .first()
            .map_or(0, |partition| partition.replicas().len()),
    };
    match topic.map(|topic| (topic, topic.error().map(RDKafkaErrorCode::from))) {
        Some((topic, None)) if !topic.partitions().is_empty() => {
            let is_led = topic.partitions().iter().all(|one| one.leader() >= 0);
            let led = shape(topic);
            if is_led {
                Ok(Some(led))
            } else {
                Err(KafkaError::MetadataFetch(
                    RDKafkaErrorCode::LeaderNotAvailable,
                ))
            }
        }
        None
        | Some((
            _,
            None | Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic),
        )) => Ok(None),
        Some((_, Some(code))) => Err(KafkaError::MetadataFetch(code)),
    }
}

async fn create(admin: &AdminClient<Reports>, options: &KafkaOptions) -> Result<(), KafkaError> {
    let replication = TopicReplication::Fixed(options.replication);
    let topic = NewTopic::new(&options.topic, options.partitions, replication)
        .set("cleanup.policy", "delete");
    let results = admin.create_topics([&topic], &patiently()).await?;
    for result in results {
        match result {
            Ok(_) => tracing::info!(topic = options.topic, "the topic was made"),
            // Another host was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(KafkaError::AdminOp(code)),
        }
    }
    Ok(())
}

/// Asks again while a topic that is new, or whose leaders move, is not known everywhere.
fn settled<T>(
    is_abandoned: &AtomicBool,
    mut ask: impl FnMut() -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    let deadline = Instant::now() + MAKING;
    let is_over = || is_abandoned.load(Ordering::Relaxed) || Instant::now() >= deadline;
    loop {
        match ask() {
            Err(error) if is_unsettled(&error) && !is_over() => {
                std::thread::sleep(Duration::from_millis(50));
            }
            result => return result,
        }
    }
}

fn is_unsettled(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}

/// Asks for the topic's settings; none when this client may not see them.
async fn settings(admin: &AdminClient<Reports>, options: &KafkaOptions) -> Option<ConfigResource> {
    let topic = ResourceSpecifier::Topic(&options.topic);
    let answer = admin.describe_configs([&topic], &patiently()).await;
    match answer.map(|resources| resources.into_iter().next()) {
        Ok(Some(Ok(settings))) => Some(settings),
        Ok(other) => {
            tracing::debug!(?other, "the topic's settings are not known");
            None
        }
        Err(error) => {
            tracing::debug!(%error, "the topic's settings are not known");
            None
        }
    }
}

fn patiently() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .operation_timeout(Some(PATIENCE))
}

fn setting<'a>(settings: Option<&'a ConfigResource>, name: &str) -> Option<&'a str> {
    settings?.get(name)?.value.as_deref()
}

fn max_bytes(settings: Option<&ConfigResource>) -> usize {
    let own = setting(settings, "max.message.bytes").and_then(|text| text.parse().ok());
    let (least, most) = POSSIBLE_MAX_BYTES.into_inner();
    own.unwrap_or(USUAL_MAX_BYTES).clamp(least, most)
}

/// Three copies are kept for the sake of durability, which needs two more settings.
fn warnings(settings: Option<&ConfigResource>, replicas: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if replicas < 3 {
        return warnings;
    }
    let in_sync = setting(settings, "min.insync.replicas").and_then(|text| text.parse().ok());
    if in_sync.is_some_and(|in_sync: u32| in_sync < 2) {
        warnings.push(
            "min.insync.replicas of the topic should be 2: one broker's disk is all that an acknowledgement stands for"
                .into(),
        );
    }
    if setting(settings, "unclean.leader.election.enable") == Some("true") {
        warnings.push(
            "unclean.leader.election.enable of the topic should be false: acknowledged records can be lost".into(),
        );
    }
    warnings
}

/// Reads the last record of each partition, of all at once: one after the other would take a second each.
fn newest(
    consumer: &Consumer,
    options: &KafkaOptions,
    partitions: i32,
) -> Result<Vec<Origin>, KafkaError> {
    let (mut list, mut pending) = (TopicPartitionList::new(), BTreeSet::new());
    for partition in 0..partitions {
        let (low, high) = consumer.fetch_watermarks(&options.topic, partition, PATIENCE)?;
        if low < high {
            list.add_partition_offset(&options.topic, partition, Offset::Offset(high - 1))?;
            pending.insert(partition);
        }
    }
    consumer.assign(&list)?;
    let (mut newest, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    while !pending.is_empty() {
        match consumer.poll(deadline.saturating_duration_since(Instant::now())) {
            Some(Ok(message)) if pending.remove(&message.partition()) => {
                // One that is not of our form says nothing about identity; followers skip it too.
                newest.extend(origin(&message).ok());
            }
            Some(Ok(_)) => {}
            // Nothing is there after all, such as the end of a transaction of someone else's.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                pending.remove(&partition);
            }
            Some(Err(error)) => return Err(error),
            None if Instant::now() >= deadline => {
                let late = RDKafkaErrorCode::OperationTimedOut;
                return Err(KafkaError::MessageConsumption(late));
            }
            None => {}
        }
    }
    Ok(newest)
}
