//! An event as a record of the topic: CloudEvents 1.0, binary mode.
//!
//! Key = stream id, headers = the envelope, body = the event's data. Everything of the envelope is there, to the
//! microsecond, so that what is read back equals what the store holds. A *stub* has the envelope and no body: the event
//! was too large for the broker, and whoever wants its data reads the store.

use std::sync::Arc;

use rdkafka::message::{Header, Headers as _, Message, OwnedHeaders};
use uuid::Uuid;

use crate::message::{Digest, Json, Position, RecordedEvent, StoreId, StreamId, Time, Version};

/// How many headers a record has at most.
const MAX_HEADERS: usize = 16;
/// Metadata that says nothing, and is left out.
const NO_METADATA: &str = "{}";

/// What a record holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A whole event.
    Event(Arc<RecordedEvent>),
    /// An event whose body the topic does not have.
    Stub(Position),
}

/// Why a record is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It belongs to another store.
    Foreign(String),
    /// It is not of this form.
    Malformed(&'static str),
}

/// Which event of which store a record carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The store, as [`source`] names it.
    pub(crate) source: String,
    /// The event's position.
    pub(crate) position: Position,
    /// The event's id.
    pub(crate) event_id: Uuid,
}

/// Names a store in `ce_source`.
pub(crate) fn source(store: StoreId) -> String {
    format!("urn:foldhost:store:{store}")
}

/// Puts an event's envelope into headers.
pub(crate) fn headers(event: &RecordedEvent, source: &str, is_stub: bool) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(MAX_HEADERS);
    // An attribute of CloudEvents is never empty: what is empty is left out.
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            let held = std::mem::take(&mut headers);
            headers = held.insert(Header {
                key,
                value: Some(value),
            });
        }
    };
    add("ce_specversion", "1.0");
    add("ce_id", &event.event_id.to_string());
    add("ce_source", source);
    add("ce_type", &event.full_type());
    add("ce_subject", event.stream.as_str());
    add("ce_time", &event.time.to_exact());
    add("ce_position", &event.position.to_string());
    add("ce_streamversion", &event.version.to_string());
    add("ce_schemaversion", &event.schema_version.to_string());
    add("ce_correlationid", &event.correlation_id);
    add("ce_causationid", &event.causation_id);
    add("ce_actor", &event.actor);
    add("ce_plugin", &event.plugin.to_string());
    if event.metadata.as_str() != NO_METADATA {
        add("ce_metadata", event.metadata.as_str());
    }
    if let Some(parent) = traceparent(&event.metadata) {
        add("traceparent", &parent);
    }
    if is_stub {
        add("ce_stub", "true");
    } else {
        add("content-type", "application/json");
    }
    headers
}

/// Reads a record of the store that `source` names.
pub(crate) fn read(record: &impl Message, source: &str) -> Result<Record, Unusable> {
    let attributes = Attributes::of(record);
    let given = attributes.required(attributes.source, "ce_source")?;
    if given != source {
        return Err(Unusable::Foreign(given.to_owned()));
    }
    let position = attributes.position()?;
    if attributes.stub == Some("true") {
        return Ok(Record::Stub(position));
    }
    let body = record.payload().unwrap_or_default();
    let data = std::str::from_utf8(body).map_err(|_| Unusable::Malformed("body"))?;
    attributes
        .event(position, data)
        .map(|event| Record::Event(Arc::new(event)))
}

/// Reads whose event a record carries.
pub(crate) fn origin(record: &impl Message) -> Result<Origin, Unusable> {
    let attributes = Attributes::of(record);
    Ok(Origin {
        source: attributes
            .required(attributes.source, "ce_source")?
            .to_owned(),
        position: attributes.position()?,
        event_id: attributes.event_id()?,
    })
}

/// Metadata is an object; most has no trace, which a look at the text tells.
fn traceparent(metadata: &Json) -> Option<String> {
    if !metadata.as_str().contains("\"traceparent\"") {
        return None;
    }
    metadata
        .to_value()
        .get("traceparent")?
        .as_str()
        .map(str::to_owned)
}

/// The headers of a record that say something about its event.
#[derive(Default)]
struct Attributes<'a> {
    id: Option<&'a str>,
    source: Option<&'a str>,
    full_type: Option<&'a str>,
    subject: Option<&'a str>,
    time: Option<&'a str>,
    position: Option<&'a str>,
    version: Option<&'a str>,
    schema_version: Option<&'a str>,
    correlation_id: Option<&'a str>,
    causation_id: Option<&'a str>,
    actor: Option<&'a str>,
    plugin: Option<&'a str>,
    metadata: Option<&'a str>,
    stub: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    fn of(record: &'a impl Message) -> Self {
        let mut attributes = Self::default();
        let Some(headers) = record.headers() else {
            return attributes;
        };
        for header in headers.iter() {
            let field = match header.key {
                "ce_id" => &mut attributes.id,
                "ce_source" => &mut attributes.source,
                "ce_type" => &mut attributes.full_type,
                "ce_subject" => &mut attributes.subject,
                "ce_time" => &mut attributes.time,
                "ce_position" => &mut attributes.position,
                "ce_streamversion" => &mut attributes.version,
                "ce_schemaversion" => &mut attributes.schema_version,
                "ce_correlationid" => &mut attributes.correlation_id,
                "ce_causationid" => &mut attributes.causation_id,
                "ce_actor" => &mut attributes.actor,
                "ce_plugin" => &mut attributes.plugin,
                "ce_metadata" => &mut attributes.metadata,
                "ce_stub" => &mut attributes.stub,
                _ => continue,
            };
            *field = header
                .value
                .and_then(|value| std::str::from_utf8(value).ok());
        }
        attributes
    }

    fn event(&self, position: Position, data: &str) -> Result<RecordedEvent, Unusable> {
        let stream = StreamId::from_store(self.required(self.subject, "ce_subject")?);
        let full_type = self.required(self.full_type, "ce_type")?;
        let event_type = full_type
            .strip_prefix(stream.category())
            .and_then(|rest| rest.strip_prefix('.'))
            .ok_or(Unusable::Malformed("ce_type"))?;
        let malformed = |_| Unusable::Malformed("ce_plugin");
        Ok(RecordedEvent {
            event_id: self.event_id()?,
            version: Version(number(self.version, "ce_streamversion")?),
            position,
            event_type: event_type.into(),
            schema_version: number(self.schema_version, "ce_schemaversion")?,
            time: self
                .time
                .and_then(Time::parse)
                .ok_or(Unusable::Malformed("ce_time"))?,
            correlation_id: self.correlation_id.unwrap_or_default().into(),
            causation_id: self.causation_id.unwrap_or_default().into(),
            actor: self.actor.unwrap_or_default().into(),
            plugin: Digest::parse(self.required(self.plugin, "ce_plugin")?).map_err(malformed)?,
            metadata: Json::from_store(self.metadata.unwrap_or(NO_METADATA)),
            data: Json::from_store(data),
            stream,
        })
    }

    fn required(&self, value: Option<&'a str>, name: &'static str) -> Result<&'a str, Unusable> {
        value.ok_or(Unusable::Malformed(name))
    }

    fn position(&self) -> Result<Position, Unusable> {
        number(self.position, "ce_position").map(Position)
    }

    fn event_id(&self) -> Result<Uuid, Unusable> {
        number(self.id, "ce_id")
    }
}

fn number<T: std::str::FromStr>(value: Option<&str>, name: &'static str) -> Result<T, Unusable> {
    value
        .and_then(|value| value.parse().ok())
        .ok_or(Unusable::Malformed(name))
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    use super::*;

    const SOURCE: &str = "urn:foldhost:store:a";

    fn event() -> RecordedEvent {
        RecordedEvent {
            event_id: Uuid::now_v7(),
            stream: StreamId::from_store("post-été-1"),
            version: Version(3),
            position: Position(7),
            event_type: "PostCreated".into(),
            schema_version: 2,
            time: Time(1_700_000_000_123_456),
            correlation_id: "request-1".into(),
            causation_id: "command 1".into(),
            actor: "".into(),
            plugin: Digest::of(b"plugin"),
            metadata: Json::from_store(r#"{"traceparent":"00-1"}"#),
            data: Json::from_store(r#"{"title":"O'Neill \"quoted\" 😀"}"#),
        }
    }

    fn message(event: &RecordedEvent, is_stub: bool) -> OwnedMessage {
        let body = if is_stub { "" } else { event.data.as_str() };
        OwnedMessage::new(
            Some(body.as_bytes().to_vec()),
            Some(event.stream.as_str().as_bytes().to_vec()),
            "topic".into(),
            Timestamp::NotAvailable,
            0,
            0,
            Some(headers(event, SOURCE, is_stub)),
        )
    }

    #[test]
    fn an_event_is_the_same_after_its_way_through_a_record() {
        for metadata in ["{}", r#"{"a":"b"}"#, r#"{"traceparent":"00-1"}"#] {
            for stream in ["post-a", "post-a-b", "$plugins"] {
                let event = RecordedEvent {
                    stream: StreamId::from_store(stream),
                    metadata: Json::from_store(metadata),
                    ..event()
                };
                let read = read(&message(&event, false), SOURCE);
                assert_eq!(read, Ok(Record::Event(Arc::new(event))));
            }
        }
    }

    #[test]
    fn a_stub_tells_its_position_and_that_its_body_is_elsewhere() {
        let read = read(&message(&event(), true), SOURCE);
        assert_eq!(read, Ok(Record::Stub(Position(7))));
    }

    #[test]
    fn a_record_of_another_store_is_foreign_and_one_without_headers_malformed() {
        let of_another = read(&message(&event(), false), "urn:foldhost:store:b");
        assert_eq!(of_another, Err(Unusable::Foreign(SOURCE.to_owned())));
        let bare = message(&event(), false).replace_headers(None);
        assert_eq!(read(&bare, SOURCE), Err(Unusable::Malformed("ce_source")));
    }

    #[test]
    fn a_trace_goes_on_and_what_is_empty_is_left_out() {
        let message = message(&event(), false);
        let keys: Vec<&str> = message.headers().unwrap().iter().map(|h| h.key).collect();
        assert!(
            keys.contains(&"traceparent") && !keys.contains(&"ce_actor"),
            "{keys:?}"
        );
        assert_eq!(origin(&message).unwrap().position, Position(7));
    }
}
