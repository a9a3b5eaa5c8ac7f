//! The lines of an export. Their fields stand in order of their names, so that each line is canonical JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Error;
use crate::event_store::{self, CommandRecord, RecordedCommand, StoredPlugin};
use crate::message::{CommandId, Digest, Json, Position, RecordedEvent, StreamId, Time, Version};

/// What the header says of the file.
pub(super) const FORMAT: &str = "foldhost-store";
/// The version of the format that is written, and the only one that is read.
pub(super) const VERSION: u32 = 1;

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Header(Header),
    Plugin(PluginLine),
    Event(EventLine),
    Command(CommandLine),
    End(End),
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) exported_at: String,
    pub(super) format: String,
    pub(super) head: u64,
    pub(super) plugins: u64,
    pub(super) store: Uuid,
    pub(super) version: u32,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) commands: Part,
    pub(super) events: Part,
    pub(super) plugins: Part,
    pub(super) store: Uuid,
}

/// All lines of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) count: u64,
    pub(super) digest: String,
}

/// A plugin version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginLine {
    pub(super) active: bool,
    aggregate: Option<String>,
    bytes: String,
    digest: String,
    installed_at: String,
    name: String,
    version: String,
}

/// An event with its whole envelope.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventLine {
    actor: String,
    causation_id: String,
    correlation_id: String,
    data: Box<RawValue>,
    event_id: Uuid,
    metadata: Box<RawValue>,
    plugin: String,
    position: u64,
    schema_version: u32,
    stream: String,
    time: String,
    #[serde(rename = "type")]
    event_type: String,
    version: u64,
}

/// An accepted command.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandLine {
    actor: String,
    after: u64,
    before: u64,
    hash: String,
    id: String,
    name: String,
    payload: Box<RawValue>,
    position: u64,
    stream: String,
    time: String,
}

impl Line {
    /// Returns its text, without a line end.
    pub(super) fn to_text(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| damaged(&error.to_string()))
    }
}

impl PluginLine {
    pub(super) fn of(plugin: &StoredPlugin, bytes: &[u8], active: bool) -> Self {
        Self {
            active,
            aggregate: plugin.aggregate.clone(),
            bytes: STANDARD.encode(bytes),
            digest: plugin.digest.to_string(),
            installed_at: plugin.installed_at.to_exact(),
            name: plugin.name.clone(),
            version: plugin.version.clone(),
        }
    }

    /// Gives the plugin and its bytes, if they are those that the digest names.
    pub(super) fn read(self) -> Result<(StoredPlugin, Vec<u8>), String> {
        let bytes = STANDARD
            .decode(&self.bytes)
            .map_err(|error| format!("the plugin's bytes: {error}"))?;
        let digest = digest(&self.digest)?;
        if Digest::of(&bytes) != digest {
            return Err(format!(
                "the plugin's bytes are not those of digest {digest}"
            ));
        }
        let plugin = StoredPlugin {
            name: self.name,
            version: self.version,
            digest,
            aggregate: self.aggregate,
            installed_at: time(&self.installed_at)?,
        };
        Ok((plugin, bytes))
    }
}

impl EventLine {
    pub(super) fn of(event: &RecordedEvent) -> Result<Self, Error> {
        Ok(Self {
            actor: event.actor.to_string(),
            causation_id: event.causation_id.to_string(),
            correlation_id: event.correlation_id.to_string(),
            data: raw(&event.data)?,
            event_id: event.event_id,
            metadata: raw(&event.metadata)?,
            plugin: event.plugin.to_string(),
            position: event.position.0,
            schema_version: event.schema_version,
            stream: event.stream.to_string(),
            time: event.time.to_exact(),
            event_type: event.event_type.to_string(),
            version: event.version.0,
        })
    }

    pub(super) fn read(self) -> Result<RecordedEvent, String> {
        Ok(RecordedEvent {
            event_id: self.event_id,
            stream: stream(&self.stream)?,
            version: Version(self.version),
            position: Position(self.position),
            event_type: self.event_type.into(),
            schema_version: self.schema_version,
            time: time(&self.time)?,
            correlation_id: self.correlation_id.into(),
            causation_id: self.causation_id.into(),
            actor: self.actor.into(),
            plugin: digest(&self.plugin)?,
            metadata: Json::from_store(self.metadata.get()),
            data: Json::from_store(self.data.get()),
        })
    }
}

impl CommandLine {
    pub(super) fn of(command: &CommandRecord) -> Result<Self, Error> {
        let recorded = &command.recorded;
        Ok(Self {
            actor: command.actor.to_string(),
            after: recorded.after.0,
            before: recorded.before.0,
            hash: recorded.hash.to_string(),
            id: recorded.id.to_string(),
            name: command.name.to_string(),
            payload: raw(&command.payload)?,
            position: recorded.position.0,
            stream: recorded.stream.to_string(),
            time: command.time.to_exact(),
        })
    }

    pub(super) fn read(self) -> Result<CommandRecord, String> {
        let recorded = RecordedCommand {
            stream: stream(&self.stream)?,
            id: CommandId::parse(&self.id).map_err(|error| error.to_string())?,
            hash: digest(&self.hash)?,
            before: Version(self.before),
            after: Version(self.after),
            position: Position(self.position),
        };
        Ok(CommandRecord {
            actor: self.actor.into(),
            name: self.name.into(),
            payload: Json::from_store(self.payload.get()),
            time: time(&self.time)?,
            recorded,
        })
    }
}

/// The text as the store holds it, byte for byte.
fn raw(json: &Json) -> Result<Box<RawValue>, Error> {
    RawValue::from_string(json.as_str().to_owned()).map_err(|error| damaged(&error.to_string()))
}

fn damaged(reason: &str) -> Error {
    let reason = format!("a text that has to be JSON is not: {reason}");
    event_store::Error::Damaged { reason }.into()
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).map_err(|error| error.to_string())
}

/// Looser than for new streams: whatever a store has given out is taken back.
fn stream(text: &str) -> Result<StreamId, String> {
    if text.contains('-') {
        Ok(StreamId::from_store(text))
    } else {
        Err(format!("{text:?} is no stream id"))
    }
}

fn time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| format!("{text:?} is no time"))
}
