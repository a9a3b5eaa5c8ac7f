//! Events, before and after they are recorded.

use std::sync::Arc;

use uuid::Uuid;

use super::{Digest, Json, Position, StreamId, Time, Version};

/// A fact that an aggregate has decided and that is not recorded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Unique in the store; made before the append, so that a repeated append is recognized.
    pub event_id: Uuid,
    /// Without the aggregate's name, such as `PostCreated`.
    pub event_type: Arc<str>,
    /// The schema in which `data` is written.
    pub schema_version: u32,
    /// What happened.
    pub data: Json,
}

/// A fact as the store holds it: the whole envelope, immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Unique in the store.
    pub event_id: Uuid,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream, from 1.
    pub version: Version,
    /// Its place in the whole store, from 1.
    pub position: Position,
    /// Without the aggregate's name, such as `PostCreated`.
    pub event_type: Arc<str>,
    /// The schema in which `data` is written.
    pub schema_version: u32,
    /// When the host accepted the command; never goes back within a stream.
    pub time: Time,
    /// The same on everything that one outside request set in motion.
    pub correlation_id: Arc<str>,
    /// The id of the command that caused the event.
    pub causation_id: Arc<str>,
    /// Who sent the command.
    pub actor: Arc<str>,
    /// The digest of the plugin that decided it.
    pub plugin: Digest,
    /// An object with what else came along, such as `traceparent`.
    pub metadata: Json,
    /// What happened.
    pub data: Json,
}

impl RecordedEvent {
    /// Returns `aggregate.Type`, the name under which projections ask for it.
    pub fn full_type(&self) -> String {
        format!("{}.{}", self.stream.category(), self.event_type)
    }
}

/// The end of one stream: what a writer believes, and what the store checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamHead {
    /// The version of the last event; 0 when there is no stream.
    pub version: Version,
    /// The id of the last event; nil when there is none. Tells a rewritten history from the one that was seen.
    pub event_id: Uuid,
    /// The time of the last event; a later event is never given an earlier one.
    pub time: Time,
    /// The position of the last event; 0 when there is none.
    pub position: Position,
}

impl StreamHead {
    /// Tells whether both name the same last event.
    pub fn is_same(&self, other: &Self) -> bool {
        self.version == other.version && self.event_id == other.event_id
    }
}
