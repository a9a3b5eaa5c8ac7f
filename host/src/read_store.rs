//! The read store: documents of read models, disposable and rebuildable.
//!
//! A port with two implementations, one contract. Documents live in *generations*: one full set of a projection's
//! collections, written by one plugin version. Per projection one generation is *live*, which queries read; others are
//! being rebuilt beside it or are kept for a rollback. A generation's checkpoint moves together with its documents, so
//! that every event takes effect exactly once.

pub mod filter;
pub mod mongo;
pub mod sqlite;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use crate::message::{Digest, Json, Position, StoreId, StreamId, Time};
pub use filter::{Comparison, FieldPath, Filter, InvalidFilter};

/// One full set of a projection's collections. Numbers are never used again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GenerationId {
    /// The projection's name.
    pub projection: String,
    /// From 1.
    pub number: u64,
}

/// A collection as its plugin declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionSpec {
    /// Its name, unique in the host.
    pub name: String,
    /// Each index is a list of fields in order. Indexed fields hold scalars only.
    pub indexes: Vec<Vec<SortKey>>,
    /// Dotted paths of fields that hold RFC 3339 times; documents arrive with them in UTC with milliseconds.
    pub date_fields: Vec<String>,
}

/// A dotted path and a direction: a part of an index, or of a sort.
///
/// Ascending, `null` and missing come first, then numbers by value, strings by bytes, `false`, `true`; descending the
/// other way round. A path under which a document has an array or an object sorts it as if it were missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// Dotted path into the document; `_id` is the document's id.
    pub path: String,
    /// Whether larger values come first.
    pub descending: bool,
}

/// Where a generation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The store whose events it holds.
    pub store: StoreId,
    /// The last event that took effect.
    pub position: Position,
    /// That event's id; nil before the first. Tells a rewritten history.
    pub event_id: Uuid,
    /// Moves by one with each commit; fences off a former owner.
    pub sequence: u64,
    /// The plugin version that writes it.
    pub plugin: Digest,
    /// Whether events were discarded or retried out of order, so that only a rebuild makes it a pure fold again.
    pub deviates: bool,
}

/// A generation and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Which one.
    pub id: GenerationId,
    /// Where its owner stands.
    pub checkpoint: Checkpoint,
    /// Up to here every reader sees what took effect, whichever process asks. Never beyond the checkpoint; behind it for
    /// moments only.
    pub applied: Position,
    /// Whether queries read it.
    pub live: bool,
    /// When it stopped being live; `None` while it is live or was never.
    pub retired_at: Option<Time>,
    /// How many events are parked in it.
    pub parked: u64,
}

/// One document as it is to stand after a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The collection's declared name.
    pub collection: String,
    /// The document's id.
    pub id: String,
    /// The whole document; `None` deletes it.
    pub document: Option<Json>,
}

/// An event set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Its position; the event itself stays in the store.
    pub position: Position,
    /// Its stream; later events of the stream are parked behind it.
    pub stream: StreamId,
    /// `aggregate.Type`.
    pub full_type: String,
    /// What went wrong; `None` for an event that only waits behind a failing one.
    pub error: Option<String>,
    /// When it was parked.
    pub parked_at: Time,
}

/// What one batch of events did to a generation.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The last event of the batch.
    pub position: Position,
    /// That event's id.
    pub event_id: Uuid,
    /// Each document at most once.
    pub writes: Vec<Write>,
    /// Events set aside by this batch.
    pub park: Vec<ParkedEvent>,
    /// Positions that are parked no longer.
    pub unpark: Vec<Position>,
    /// Whether the generation deviates from a pure fold from now on.
    pub deviates: bool,
}

/// What to find in a collection.
#[derive(Clone, Debug)]
pub struct Find {
    /// Which documents.
    pub filter: Filter,
    /// In which order; the document's id is always the last key.
    pub sort: Vec<SortKey>,
    /// The most documents.
    pub limit: usize,
    /// Only documents behind this place in the order.
    pub after: Option<Place>,
}

/// A document's place in an order: its values under the sort keys (null where it has none), then its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// One value per sort key.
    pub values: Vec<Value>,
    /// The document's id.
    pub id: String,
}

/// A document that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its id and its values under the sort keys.
    pub place: Place,
    /// The document.
    pub document: Json,
}

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store does not answer. **Handling:** wait and try again; park nothing for it.
    #[error("the read store is unavailable: {reason}")]
    Unavailable {
        /// What the driver said, shortened.
        reason: String,
    },
    /// The generation is gone: it was pruned, or switched away from. **Handling:** look up the live one again.
    #[error("generation {} of {} does not exist", generation.number, generation.projection)]
    NoGeneration {
        /// Which one.
        generation: GenerationId,
    },
    /// The collection is not one of the generation's. **Handling:** a plugin's or a client's mistake; say so.
    #[error("there is no collection {collection:?}")]
    NoCollection {
        /// What was asked for.
        collection: String,
    },
    /// Someone else moved the checkpoint. **Handling:** stop folding, another owner has taken over.
    #[error("generation {} of {} has another owner", generation.number, generation.projection)]
    LostOwnership {
        /// Which one.
        generation: GenerationId,
    },
    /// A query was stopped since it ran too long. **Handling:** say so to the client; an index or a narrower filter helps.
    #[error("the query was stopped after {limit:?}: it needs a narrower filter or an index")]
    TooSlow {
        /// How long a query may run.
        limit: Duration,
    },
    /// The store cannot be opened at all: no permission, no such database, a newer schema. **Handling:** stop with this
    /// line.
    #[error("{store} cannot be opened: {reason}")]
    CannotOpen {
        /// Which one: a path, or a URL without its credentials.
        store: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store refuses this and would refuse it again. **Handling:** stop this projection visibly.
    #[error("the read store refused: {reason}")]
    Refused {
        /// What the driver said, shortened.
        reason: String,
    },
}

impl Error {
    /// Tells whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Keeps documents and checkpoints.
#[async_trait]
pub trait ReadStore: Send + Sync + 'static {
    /// Returns what tells this read store from others among the processes of one event store; `None` where no other
    /// process can use it.
    fn shared_as(&self) -> Option<String>;

    /// Creates a new, empty generation of a projection with its collections and indexes, under the next number.
    async fn create_generation(
        &self,
        projection: &str,
        store: StoreId,
        plugin: Digest,
        collections: &[CollectionSpec],
    ) -> Result<GenerationId, Error>;

    /// Lists a projection's generations, oldest first.
    async fn generations(&self, projection: &str) -> Result<Vec<Generation>, Error>;

    /// Lists the names of all projections that have a generation.
    async fn projections(&self) -> Result<Vec<String>, Error>;

    /// Lists the names of a generation's collections, in order.
    async fn collections(&self, generation: &GenerationId) -> Result<Vec<String>, Error>;

    /// Reads a generation's checkpoint.
    async fn checkpoint(&self, generation: &GenerationId) -> Result<Checkpoint, Error>;

    /// Makes this process the one that may commit to a generation, and tells where it stands.
    ///
    /// What a former owner has committed is whole when this returns; what it tries from now on is `LostOwnership`.
    async fn take_over(&self, generation: &GenerationId) -> Result<Checkpoint, Error>;

    /// Moves the checkpoint from `sequence` to `sequence + 1` together with the writes: all or nothing, exactly once.
    ///
    /// Only for the process that has taken the generation over last. When it returns, readers of this process see all of
    /// it, and those of others soon do. After an `Unavailable` its outcome is unknown: the same call again, with the same
    /// commit, takes effect once.
    async fn commit(
        &self,
        generation: &GenerationId,
        sequence: u64,
        commit: Commit,
    ) -> Result<(), Error>;

    /// Reads some documents of one collection by id; absent ones are left out.
    async fn get(
        &self,
        generation: &GenerationId,
        collection: &str,
        ids: &[String],
    ) -> Result<Vec<(String, Json)>, Error>;

    /// Finds documents, in order.
    async fn find(
        &self,
        generation: &GenerationId,
        collection: &str,
        find: Find,
    ) -> Result<Vec<Found>, Error>;

    /// Lists parked events in order of position, behind a position, at most `limit`.
    async fn parked(
        &self,
        generation: &GenerationId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<ParkedEvent>, Error>;

    /// Lists the streams that have parked events.
    async fn parked_streams(&self, generation: &GenerationId) -> Result<Vec<StreamId>, Error>;

    /// Makes a generation the live one of its projection, in one atomic step; the former one is retired. `LostOwnership`
    /// when another process has taken the generation over.
    async fn switch(&self, generation: &GenerationId) -> Result<(), Error>;

    /// Deletes a generation that is not live, with its documents; deleting it again changes nothing.
    async fn drop_generation(&self, generation: &GenerationId) -> Result<(), Error>;
}
