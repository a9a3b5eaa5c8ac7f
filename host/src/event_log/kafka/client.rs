//! The clients of librdkafka: their settings, and where their messages go.
//!
//! librdkafka reports every attempt to connect. That is for debugging; the line that people read is written once per
//! outage by whoever notices what it means.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};

use super::options::KafkaOptions;
use crate::event_store::Error;

/// A consumer of ours.
pub(crate) type Consumer = BaseConsumer<Reports>;

/// What librdkafka said last, shared by all who want to say why something does not go on.
#[derive(Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<Option<String>>>);

impl Reports {
    /// Returns the last error and forgets it.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Reports {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }
}

impl ConsumerContext for Reports {}

impl KafkaOptions {
    /// Checks all settings as far as that goes without a broker.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        self.check()?;
        for config in [self.base(), self.consumer(), self.producer()] {
            config
                .create_native_config()
                .map_err(|error| self.refused(error))?;
        }
        // Some settings are looked at together, and only when a client is made; without a group it is gone at once.
        let client: KafkaResult<Consumer> = self.base().create_with_context(Reports::default());
        client.map(drop).map_err(|error| self.refused(error))
    }

    /// The settings that every client shares.
    pub(crate) fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "foldhost")
            // A broker that is back is found within seconds.
            .set("reconnect.backoff.max.ms", "2000");
        for (name, value) in &self.client {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// The settings of a consumer that assigns partitions itself.
    pub(crate) fn consumer(&self) -> ClientConfig {
        let mut config = self.base();
        for (name, value) in [
            ("queued.max.messages.kbytes", "8192"),
            ("fetch.error.backoff.ms", "100"),
        ] {
            if !self.client.contains_key(name) {
                config.set(name, value);
            }
        }
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("allow.auto.create.topics", "false")
            // Offsets that are gone are a matter for the one who follows, not for a silent jump.
            .set("auto.offset.reset", "error");
        config
    }

    /// The settings of the relay's producer.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        for (name, value) in [("linger.ms", "2"), ("compression.codec", "lz4")] {
            if !self.client.contains_key(name) {
                config.set(name, value);
            }
        }
        config
            .set("enable.idempotence", "true")
            // What follows a lost record is not to be written before it has been sent again.
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            // Never gives up by itself: the relay decides when to begin anew.
            .set("message.timeout.ms", "0")
            // The one that Java clients use, so that all agree on a stream's partition.
            .set("partitioner", "murmur2_random");
        config
    }

    /// Turns a setting that librdkafka does not take into one clear line, without the setting's value.
    fn refused(&self, error: KafkaError) -> Error {
        let reason = match error {
            KafkaError::ClientConfig(_, reason, name, value) => {
                let reason = if value.is_empty() {
                    reason
                } else {
                    reason.replace(&value, "…")
                };
                format!("the Kafka client refuses the setting {name}: {reason}")
            }
            other => format!("the Kafka client refuses its settings: {other}"),
        };
        self.cannot_open(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str, value: &str) -> String {
        let mut options = KafkaOptions::parse_url("kafka://127.0.0.1:1/t").unwrap();
        options.client.insert(name.to_owned(), value.to_owned());
        options.verify().unwrap_err().to_string()
    }

    #[test]
    fn usual_settings_are_taken() {
        let mut options = KafkaOptions::parse_url("kafka://127.0.0.1:1/t").unwrap();
        for (name, value) in [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "me"),
            ("sasl.password", "secret"),
            ("linger.ms", "20"),
        ] {
            options.client.insert(name.to_owned(), value.to_owned());
        }
        options.verify().unwrap();
        assert_eq!(options.producer().get("linger.ms"), Some("20"));
    }

    #[test]
    fn a_setting_that_the_client_does_not_have_is_refused_by_name() {
        let line = refusal("no.such.setting", "secret");
        assert!(
            line.contains("no.such.setting") && !line.contains("secret"),
            "{line}"
        );
    }

    #[test]
    fn encryption_in_a_build_without_it_is_refused_by_name() {
        let line = refusal("security.protocol", "ssl");
        assert!(line.contains("security.protocol"), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}
