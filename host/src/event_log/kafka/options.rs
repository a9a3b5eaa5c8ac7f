//! Which cluster and topic, and how to reach them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event_store::Error;

/// What a URL of a topic looks like.
const FORM: &str = "kafka://broker[,broker]/topic";
/// The most bytes of a topic's name, as Kafka has it.
const MAX_TOPIC: usize = 249;
/// The settings of librdkafka on which promises rest, or which have an option of their own.
const PINNED: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "message.timeout.ms",
    "metadata.broker.list",
    "partitioner",
    "request.required.acks",
    "transactional.id",
];

/// A topic of a Kafka cluster that carries the events of one store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaOptions {
    /// The brokers to begin with, `host:port` with commas between them; from the URL.
    #[serde(skip)]
    pub brokers: String,
    /// The topic; from the URL. One store's events and nothing else go there.
    #[serde(skip)]
    pub topic: String,
    /// How many partitions a topic gets that the relay makes; a topic that is there keeps its own.
    pub partitions: i32,
    /// How many brokers keep a copy of a topic that the relay makes.
    pub replication: i32,
    /// Whether the relay makes a missing topic.
    pub create_topic: bool,
    /// The consumer group under which offsets are committed, as a hint for tools that show the lag.
    pub group: String,
    /// Further settings of librdkafka, such as `security.protocol` or `sasl.mechanism`.
    pub client: BTreeMap<String, String>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            topic: String::new(),
            partitions: 8,
            replication: 1,
            create_topic: true,
            group: "foldhost".into(),
            client: BTreeMap::new(),
        }
    }
}

impl KafkaOptions {
    /// Takes brokers and topic from a URL, and everything else from the defaults.
    pub fn parse_url(url: &str) -> Result<Self, Error> {
        Self::default().at(url)
    }

    /// Takes brokers and topic from a URL.
    pub fn at(self, url: &str) -> Result<Self, Error> {
        let refused = |reason: &str| Error::CannotOpen {
            store: without_credentials(url),
            reason: reason.to_owned(),
        };
        let rest = url.strip_prefix("kafka://");
        let Some((brokers, topic)) = rest.and_then(|rest| rest.split_once('/')) else {
            return Err(refused(&format!("an event log's URL is {FORM}")));
        };
        if brokers.contains('@') {
            return Err(refused(
                "credentials belong into the settings of the Kafka client: sasl.username and sasl.password",
            ));
        }
        if brokers.split(',').any(str::is_empty) {
            return Err(refused(&format!("a broker is missing in {FORM}")));
        }
        if !is_topic(topic) {
            return Err(refused(
                "a topic's name is 1 to 249 letters, digits, dots, underscores or dashes",
            ));
        }
        Ok(Self {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            ..self
        })
    }

    /// Names the topic for people.
    pub(crate) fn url(&self) -> String {
        format!("kafka://{}/{}", self.brokers, self.topic)
    }

    /// Looks for what is wrong before any broker is asked.
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some(name) = self.client.keys().find(|name| is_pinned(name)) {
            return Err(self.cannot_open(format!(
                "the client setting {name} is Foldhost's own and cannot be set"
            )));
        }
        if self.partitions < 1 || self.replication < 1 || self.group.is_empty() {
            return Err(self.cannot_open(
                "partitions and replication are at least 1, and a group has a name".to_owned(),
            ));
        }
        Ok(())
    }

    pub(super) fn cannot_open(&self, reason: String) -> Error {
        Error::CannotOpen {
            store: self.url(),
            reason,
        }
    }
}

/// Settings may hold passwords, so that only their names are shown.
impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaOptions")
            .field("url", &self.url())
            .field("partitions", &self.partitions)
            .field("replication", &self.replication)
            .field("create_topic", &self.create_topic)
            .field("group", &self.group)
            .field("client", &self.client.keys())
            .finish()
    }
}

fn is_pinned(name: &str) -> bool {
    PINNED.contains(&name.strip_prefix("topic.").unwrap_or(name))
}

fn is_topic(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=MAX_TOPIC).contains(&name.len())
        && name.chars().all(is_allowed)
        && !matches!(name, "." | "..")
}

fn without_credentials(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(url: &str) -> String {
        KafkaOptions::parse_url(url).unwrap_err().to_string()
    }

    #[test]
    fn a_url_names_brokers_and_topic() {
        let options = KafkaOptions::parse_url("kafka://one:9092,two:9092/blog.events").unwrap();
        assert_eq!(
            (&*options.brokers, &*options.topic),
            ("one:9092,two:9092", "blog.events")
        );
        assert_eq!(options.url(), "kafka://one:9092,two:9092/blog.events");
    }

    #[test]
    fn a_url_without_broker_or_topic_or_with_another_form_is_refused() {
        for url in [
            "kafka://one",
            "kafka:///t",
            "kafka://one,/t",
            "kafka://one/",
            "kafka://one/a/b",
            "kafka://one/..",
            "amqp://one/t",
        ] {
            assert!(refused(url).contains("cannot be opened"), "{url}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        let line = refused("kafka://me:secret@one:9092/t");
        assert!(
            line.contains("sasl.username") && !line.contains("secret"),
            "{line}"
        );
    }

    #[test]
    fn a_setting_that_a_promise_rests_on_is_refused_by_name() {
        for name in ["acks", "enable.idempotence", "topic.acks", "group.id"] {
            let mut options = KafkaOptions::parse_url("kafka://one/t").unwrap();
            options.client.insert(name.to_owned(), "0".to_owned());
            let line = options.check().unwrap_err().to_string();
            assert!(line.contains(name), "{line}");
        }
    }

    #[test]
    fn unknown_fields_are_refused_and_passwords_are_not_shown() {
        assert!(serde_json::from_str::<KafkaOptions>(r#"{"brokers":"x"}"#).is_err());
        let text = r#"{"partitions":3,"client":{"sasl.password":"secret"}}"#;
        let options: KafkaOptions = serde_json::from_str(text).unwrap();
        assert_eq!(options.partitions, 3);
        let shown = format!("{options:?}");
        assert!(
            shown.contains("sasl.password") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
