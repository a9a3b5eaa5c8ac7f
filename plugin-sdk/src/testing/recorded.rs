//! Recorded events as a test writes them down, and as they stand in a made-up store.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::guest::NewEvent;
use crate::packed::{PackedEvent, pack};
use crate::{Envelope, Event, EventId, Time};

/// 2026-01-01T00:00:00Z, when made-up histories begin.
const FIRST_DAY: i64 = 1_767_225_600_000_000;
pub(super) const MINUTE: i64 = 60_000_000;

/// An event of a made-up store; made by [`on`].
///
/// Versions, positions and ids are given by order, times too unless said: one minute after the event before.
#[derive(Clone, Debug)]
pub struct Recorded {
    stream: String,
    event: NewEvent,
    time: Option<Time>,
    actor: String,
    metadata: Value,
}

/// An event that was recorded on a stream, such as `on("post-1", PostLiked)`.
pub fn on(stream: &str, event: impl Event) -> Recorded {
    Recorded::new(stream, event.write())
}

impl Recorded {
    pub(super) fn new(stream: &str, event: NewEvent) -> Self {
        Self {
            stream: stream.into(),
            event,
            time: None,
            actor: "tester".into(),
            metadata: json!({}),
        }
    }

    /// An event with data as it was once recorded, in a schema version of its time.
    pub fn raw(stream: &str, event_type: &str, schema_version: u32, data: Value) -> Self {
        let data = data.to_string().into_bytes();
        Self::new(
            stream,
            NewEvent {
                name: event_type.into(),
                schema_version,
                data,
            },
        )
    }

    /// Recorded at this time, in RFC 3339.
    ///
    /// # Panics
    /// When the text is no time.
    #[must_use]
    #[track_caller]
    pub fn at(mut self, time: &str) -> Self {
        self.time = Some(parse_time(time));
        self
    }

    pub(super) fn at_time(mut self, time: Time) -> Self {
        self.time = Some(time);
        self
    }

    /// Caused by a command of this actor.
    #[must_use]
    pub fn by(mut self, actor: &str) -> Self {
        self.actor = actor.into();
        self
    }

    /// With this metadata, a JSON object.
    #[must_use]
    pub fn metadata(mut self, metadata: Value) -> Self {
        self.metadata = metadata;
        self
    }
}

#[track_caller]
pub(super) fn parse_time(text: &str) -> Time {
    match text.parse() {
        Ok(time) => time,
        Err(error) => panic!("{error}"),
    }
}

/// A recorded event with its whole envelope.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    recorded: Recorded,
    event_id: EventId,
    position: u64,
    version: u64,
    time: Time,
    causation_id: String,
}

/// Records events one after the other, as a store would.
pub(super) fn record(events: impl IntoIterator<Item = Recorded>) -> Vec<Entry> {
    let mut versions = BTreeMap::<String, u64>::new();
    let mut time = Time::from_micros(FIRST_DAY);
    let mut entries = Vec::new();
    for (position, recorded) in (1u64..).zip(events) {
        let version = versions.entry(recorded.stream.clone()).or_default();
        *version += 1;
        time = recorded
            .time
            .unwrap_or(Time::from_micros(time.as_micros() + MINUTE));
        let mut id = [0x80; 16];
        id[8..].copy_from_slice(&position.to_be_bytes());
        id[8] |= 0x80;
        entries.push(Entry {
            event_id: EventId::from_bytes(id),
            position,
            version: *version,
            time,
            causation_id: format!("command-{position}"),
            recorded,
        });
    }
    entries
}

/// Records more events behind a history and gives those alone.
pub(super) fn continue_with(
    history: &[Entry],
    events: impl IntoIterator<Item = Recorded>,
) -> Vec<Entry> {
    let before = history.iter().map(|entry| entry.recorded.clone());
    record(before.chain(events)).split_off(history.len())
}

/// The time at which the next thing happens.
pub(super) fn time_after(entries: &[Entry]) -> Time {
    let last = entries
        .last()
        .map_or(FIRST_DAY, |entry| entry.time.as_micros());
    Time::from_micros(last + MINUTE)
}

impl Entry {
    /// The event as the boundary's protocol has it.
    pub(super) fn to_json(&self, with_position: bool) -> Value {
        let data: Value = parse(&self.recorded.event.data);
        json!({
            "event_id": self.event_id.to_string(),
            "stream": self.recorded.stream,
            "version": self.version,
            "position": if with_position { self.position } else { 0 },
            "type": self.recorded.event.name,
            "schema_version": self.recorded.event.schema_version,
            "time": self.time.to_rfc3339_micros(),
            "correlation_id": self.causation_id,
            "causation_id": self.causation_id,
            "actor": self.recorded.actor,
            "metadata": self.recorded.metadata,
            "data": data,
        })
    }

    fn pack_into(&self, batch: &mut Vec<u8>, with_position: bool) {
        let metadata = self.recorded.metadata.to_string();
        let event = PackedEvent {
            envelope: Envelope {
                event_id: self.event_id,
                position: if with_position { self.position } else { 0 },
                version: self.version,
                time: self.time,
                schema_version: self.recorded.event.schema_version,
                stream: &self.recorded.stream,
                event_type: &self.recorded.event.name,
                correlation_id: &self.causation_id,
                causation_id: &self.causation_id,
                actor: &self.recorded.actor,
                raw_metadata: metadata.as_bytes(),
            },
            data: &self.recorded.event.data,
        };
        if let Err(error) = pack(batch, &event) {
            panic!("{error}");
        }
    }
}

/// The batch of these events; positions are known to projections alone.
pub(super) fn pack_all(entries: &[Entry], with_position: bool) -> Vec<u8> {
    let mut batch = Vec::new();
    for entry in entries {
        entry.pack_into(&mut batch, with_position);
    }
    batch
}

/// Reads JSON that a plugin wrote.
///
/// # Panics
/// When it is none.
#[track_caller]
pub(super) fn parse(json: &[u8]) -> Value {
    match serde_json::from_slice(json) {
        Ok(value) => value,
        Err(error) => panic!(
            "the plugin wrote what is no JSON: {error}: {}",
            String::from_utf8_lossy(json)
        ),
    }
}
