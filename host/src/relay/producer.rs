//! The producer: an idempotent one, which reports what became of each record.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use tokio::sync::mpsc;

use crate::event_log::kafka::{KafkaOptions, Reports, headers};
use crate::message::{Position, RecordedEvent};

/// The most bytes of a batch: what librdkafka takes by itself. Where a topic takes more, that is for single large records.
const MAX_BATCH: usize = 1_000_000;

/// What became of a record.
pub(super) enum Delivery {
    /// The brokers have it.
    Acknowledged(Position),
    /// The broker does not take a record of its size, or one that was sent in the same batch.
    TooLarge(Position),
    /// It is lost, and so is what was sent after it.
    Failed(String),
}

/// Why a record was not handed over.
pub(super) enum Refused {
    /// There is no room now.
    Full,
    /// It is larger than the topic takes.
    TooLarge,
    /// The producer is of no use any longer.
    Broken(String),
}

/// A producer and its reports. Dropping it throws away what is on its way, on a thread of its own since that can block.
pub(super) struct Producer {
    inner: Option<ThreadedProducer<Context>>,
    reports: Reports,
    topic: String,
    source: String,
}

struct Context {
    reports: Reports,
    deliveries: mpsc::UnboundedSender<Delivery>,
}

impl Producer {
    /// Makes a producer for records of at most some bytes. Reports come for each record that was handed over, so that they
    /// are bounded by what is in flight.
    pub(super) fn new(
        options: &KafkaOptions,
        source: String,
        max_bytes: usize,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Delivery>), KafkaError> {
        let (deliveries, receiver) = mpsc::unbounded_channel();
        let reports = Reports::default();
        let context = Context {
            reports: reports.clone(),
            deliveries,
        };
        // A batch is refused as a whole, so that none may be larger than what the topic takes.
        let batch = max_bytes.min(MAX_BATCH);
        let inner = options
            .producer()
            .set("message.max.bytes", max_bytes.to_string())
            .set("batch.size", batch.to_string())
            .create_with_context(context)?;
        let producer = Self {
            inner: Some(inner),
            reports,
            topic: options.topic.clone(),
            source,
        };
        Ok((producer, receiver))
    }

    /// Hands a record over: the whole event, or its stub.
    pub(super) fn send(&self, event: &RecordedEvent, is_stub: bool) -> Result<(), Refused> {
        let Some(producer) = &self.inner else {
            return Err(Refused::Broken("the producer is gone".into()));
        };
        let position = usize::try_from(event.position.0)
            .map_err(|_| Refused::Broken("a position is beyond this machine's numbers".into()))?;
        let body = if is_stub { "" } else { event.data.as_str() };
        let record = BaseRecord::with_opaque_to(&self.topic, position)
            .key(event.stream.as_str())
            .payload(body)
            .headers(headers(event, &self.source, is_stub));
        producer
            .send(record)
            .map_err(|(error, _)| match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => Refused::Full,
                Some(RDKafkaErrorCode::MessageSizeTooLarge) if !is_stub => Refused::TooLarge,
                _ => Refused::Broken(error.to_string()),
            })
    }

    /// Returns what the client has complained of last.
    pub(super) fn complaint(&self) -> Option<String> {
        self.reports.take()
    }

    /// Throws away what is on its way.
    pub(super) async fn close(mut self) {
        if let Some(inner) = self.inner.take() {
            // A panic in there has nothing left to spoil.
            let _ = tokio::task::spawn_blocking(move || drop(inner)).await;
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            let thread = std::thread::Builder::new().name("kafka-producer-end".into());
            // Without a thread the closure is dropped right here, and the producer with it.
            let _ = thread.spawn(move || drop(inner));
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.reports.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reports.error(error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, position: usize) {
        let position = Position(position as u64);
        let delivery = match result {
            Ok(_) => Delivery::Acknowledged(position),
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => Delivery::TooLarge(position),
                _ => Delivery::Failed(error.to_string()),
            },
        };
        // Nobody listens any longer to a producer that is being thrown away.
        let _ = self.deliveries.send(delivery);
    }
}
