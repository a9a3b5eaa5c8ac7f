//! The requests of the test kit, and what becomes of their parts.

use std::sync::Arc;

use foldhost::message::{Digest, Json, Position, RecordedEvent, StoreId, StreamId, Time, Version};
use foldhost::plugin::{GuestCommand, Packed};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// One request.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Request {
    Describe,
    New { stream: String },
    Restore { state: u64, snapshot: String },
    Evolve { state: u64, events: Vec<Event> },
    Decide { state: u64, command: Box<Command> },
    Snapshot { state: u64 },
    View { state: u64 },
    Drop { state: u64 },
    Project { events: Vec<Event> },
    Documents { collection: String },
    Plan { query: String, parameters: Value },
}

/// A recorded event.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    event_id: Uuid,
    stream: String,
    version: u64,
    position: u64,
    #[serde(rename = "type")]
    event_type: String,
    schema_version: u32,
    time: String,
    correlation_id: String,
    causation_id: String,
    actor: String,
    metadata: Value,
    data: Value,
}

/// A command.
#[derive(Debug, Deserialize)]
pub(super) struct Command {
    name: String,
    payload: Value,
    command_id: String,
    time: String,
    actor: String,
    correlation_id: String,
}

/// Packs events for the guest.
pub(super) fn pack(events: Vec<Event>) -> Result<Packed, String> {
    let events: Vec<RecordedEvent> = events
        .into_iter()
        .map(Event::record)
        .collect::<Result<_, _>>()?;
    Ok(Packed::of(&events))
}

impl Event {
    fn record(self) -> Result<RecordedEvent, String> {
        Ok(RecordedEvent {
            event_id: self.event_id,
            stream: StreamId::parse(&self.stream).map_err(|error| error.to_string())?,
            version: Version(self.version),
            position: Position(self.position),
            event_type: self.event_type.into(),
            schema_version: self.schema_version,
            time: time(&self.time)?,
            correlation_id: self.correlation_id.into(),
            causation_id: self.causation_id.into(),
            actor: self.actor.into(),
            plugin: Digest::of(b""),
            metadata: Json::from(&self.metadata),
            data: Json::from(&self.data),
        })
    }
}

impl Command {
    /// Makes of it what a guest takes, for a stream of a made-up store.
    pub(super) fn for_guest(self, stream: StreamId) -> Result<GuestCommand, String> {
        Ok(GuestCommand {
            store: StoreId(Uuid::nil()),
            stream,
            name: Arc::from(self.name),
            payload: Json::from(&self.payload),
            command_id: self.command_id.into(),
            time: time(&self.time)?,
            actor: self.actor.into(),
            correlation_id: self.correlation_id.into(),
        })
    }
}

fn time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| format!("{text:?} is no RFC 3339 time"))
}

/// Writes bytes as hexadecimal digits.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads hexadecimal digits.
pub(super) fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || "the snapshot is not hexadecimal".to_owned();
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => digit(*high)
                .zip(digit(*low))
                .map(|(high, low)| high << 4 | low)
                .ok_or_else(wrong),
            _ => Err(wrong()),
        })
        .collect()
}

fn digit(character: u8) -> Option<u8> {
    (character as char)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_come_back_as_they_went() {
        assert_eq!(from_hex(&to_hex(&[0, 0x7f, 0xff])), Ok(vec![0, 0x7f, 0xff]));
        assert!(from_hex("abc").is_err());
        assert!(from_hex("+1").is_err());
    }
}
