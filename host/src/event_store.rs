//! The event store: the only truth.
//!
//! A port with two implementations, one contract: positions are dense and in commit order, an acknowledged append is on
//! disk, a refused one has left nothing, and a command id that was recorded once is answered with its first outcome.
//! What it deliberately does not do: decide, fold, or know what an event means.

pub mod postgres;
mod shared;
pub mod sqlite;
mod transfer;
pub mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use uuid::Uuid;

use crate::message::{
    CommandId, Digest, Json, NewEvent, Position, RecordedEvent, StoreId, StreamHead, StreamId,
    Time, Version,
};
pub use transfer::{CommandRecord, Import, Transfer};

/// One decided command, ready to be appended, or to be refused once its head is confirmed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The stream it was decided on.
    pub stream: StreamId,
    /// The head it was decided on. Within a batch it may be the outcome of an earlier entry of the same stream: then it
    /// stands only if that one does.
    pub expected: StreamHead,
    /// The plugin version that decided it. The store refuses it when another one is active for the stream's category.
    pub plugin: Digest,
    /// The command.
    pub command: EntryCommand,
    /// When the host stamped it; the time of all its events.
    pub time: Time,
    /// What was decided.
    pub decision: Decision,
}

/// The command of an [`Entry`].
#[derive(Clone, Debug)]
pub struct EntryCommand {
    /// Its identity, unique per actor.
    pub id: CommandId,
    /// Who sent it.
    pub actor: Arc<str>,
    /// Which command it is.
    pub name: Arc<str>,
    /// What it took.
    pub payload: Json,
    /// Covers stream, name, payload and preconditions: the same id with another hash is another command.
    pub hash: Digest,
    /// Correlates what one outside request set in motion.
    pub correlation_id: Arc<str>,
    /// Recorded with each of its events.
    pub metadata: Json,
}

/// What was decided about a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Accepted with these events, which may be none.
    Accepted(Vec<NewEvent>),
    /// Refused: nothing is to be stored, but the head must be as expected for the refusal to be true.
    Refused,
}

/// What became of one [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its events are on disk, and the stream now ends here.
    Appended {
        /// The stream's head after the entry; the head it had when the entry carried no events.
        head: StreamHead,
    },
    /// A refusal, decided on the stream's true head.
    Checked,
    /// The command had been recorded before; nothing was stored now.
    Duplicate(RecordedCommand),
    /// The stream's head is another than expected; nothing was stored.
    Conflict {
        /// The head it has.
        actual: StreamHead,
    },
    /// Another plugin version is active for this category; nothing was stored.
    StalePlugin {
        /// The one that is active, if any.
        active: Option<Digest>,
    },
}

/// An accepted command as the store remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedCommand {
    /// The stream it was decided on.
    pub stream: StreamId,
    /// Its identity.
    pub id: CommandId,
    /// See [`EntryCommand::hash`].
    pub hash: Digest,
    /// The stream's version before it.
    pub before: Version,
    /// The stream's version after it; the same as `before` when it had no events.
    pub after: Version,
    /// The position of its last event, or of the stream's last one at that time.
    pub position: Position,
}

/// How far someone outside the store has followed it. The event's id tells a rewritten history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last event that was dealt with.
    pub position: Position,
    /// That event's id.
    pub event_id: Uuid,
}

/// A saved aggregate state, usable only by the code that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The stream.
    pub stream: StreamId,
    /// The plugin version that wrote it.
    pub plugin: Digest,
    /// The stream's head that it stands for.
    pub head: StreamHead,
    /// What the guest gave.
    pub bytes: Vec<u8>,
}

/// An event type and schema version that occurs in the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CensusEntry {
    /// `aggregate.Type`.
    pub full_type: String,
    /// The schema version.
    pub schema_version: u32,
}

/// A plugin version that the store keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPlugin {
    /// The plugin's name.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// The identity of its bytes.
    pub digest: Digest,
    /// The aggregate it defines, if it does.
    pub aggregate: Option<String>,
    /// When it was installed first.
    pub installed_at: Time,
}

/// The right to be the only process that does some work; given back when it is dropped.
pub struct Ownership {
    lost: watch::Receiver<bool>,
    _held: Box<dyn std::any::Any + Send + Sync>,
}

impl Ownership {
    /// Makes one that ends when `lost` turns true or its sender is gone, and that gives back by dropping `held`.
    pub fn new(lost: watch::Receiver<bool>, held: impl std::any::Any + Send + Sync) -> Self {
        Self {
            lost,
            _held: Box::new(held),
        }
    }

    /// Makes one that no other process can take: where there is but one.
    pub fn undisputed() -> Self {
        let (held, lost) = watch::channel(false);
        Self::new(lost, held)
    }

    /// Waits until another process may do the work. Cancellation-safe.
    pub async fn lost(&mut self) {
        // An error says that the sender is gone, which is a loss too.
        let _ = self.lost.wait_for(|lost| *lost).await;
    }
}

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store does not answer, or has no room. **Handling:** answer 503, try again later; the fate of an append is
    /// unknown until its command id is asked for or repeated.
    #[error("the event store is unavailable: {reason}")]
    Unavailable {
        /// What the driver said, shortened.
        reason: String,
    },
    /// The disk is full. **Handling:** answer 503; nothing of the append was stored.
    #[error("the event store has no room left")]
    Full,
    /// The store refused this batch and would refuse it again. **Handling:** halve the batch until the guilty entry
    /// stands alone, answer that one with an error.
    #[error("the event store refused the batch: {reason}")]
    Refused {
        /// What the driver said, shortened.
        reason: String,
    },
    /// The store cannot be opened at all: no permission, no such database, not a database. **Handling:** stop with this
    /// line.
    #[error("{store} cannot be opened: {reason}")]
    CannotOpen {
        /// Which one: a path, or a URL without its credentials.
        store: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store's schema is newer than this host. **Handling:** stop with this line.
    #[error("the event store has schema {found}, this host knows {known}: run a newer host")]
    TooNew {
        /// The schema version of the store.
        found: u32,
        /// The newest that this host knows.
        known: u32,
    },
    /// The store holds something that it cannot have been given. **Handling:** stop, look at the store.
    #[error("the event store is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// Something is to be imported, and the store has a history of its own. **Handling:** choose an empty store.
    #[error("the event store is not empty")]
    NotEmpty,
    /// What was imported so far is not the whole history. **Handling:** repeat the import of the same file, or begin anew
    /// with an empty store; until then nothing is decided and nothing is activated.
    #[error("an import into the event store was begun and not finished")]
    Unfinished,
}

impl Error {
    /// Tells whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Full)
    }
}

/// Records events and gives them back.
///
/// All methods may be called at any time from any task, and may wait for I/O.
#[async_trait]
pub trait EventStore: Transfer + 'static {
    /// Returns the store's identity as it was seen last; `None` before the store was reached for the first time.
    fn id(&self) -> Option<StoreId>;

    /// Returns a receiver of a number that moves whenever the store may have become another one: it was reached again
    /// after an outage, or its identity has changed. Whoever keeps a cursor verifies it again.
    fn epoch(&self) -> watch::Receiver<u64>;

    /// Tries to become the only process that does some work, such as folding a projection. `None` while another one does.
    ///
    /// It keeps other processes out as long as the store is reached; what must never happen twice is guarded where it
    /// takes effect. Within one process the caller asks once per work.
    async fn own(&self, work: &str) -> Result<Option<Ownership>, Error>;

    /// Appends a batch in one transaction, in order, and gives one outcome per entry, in the same order.
    ///
    /// Per entry, first match wins: the command is recorded already → `Duplicate`; another plugin is active →
    /// `StalePlugin` (only when the category has an active plugin at all); the stream's head is not as expected, counting
    /// earlier entries of this batch → `Conflict`; else it stands. An entry that does not stand stores nothing and hinders
    /// none that does not build on it. Accepted commands are recorded, with or without events; refused ones are not.
    /// Appending the same entries again after an unknown outcome is safe: they answer `Duplicate`.
    async fn append(&self, entries: Arc<[Entry]>) -> Result<Vec<Outcome>, Error>;

    /// Reads events of one stream behind a version, oldest first, at most `limit`; fewer only when there are no more.
    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, Error>;

    /// Reads events of all streams behind a position, in order of position, at most `limit`; fewer only when there are
    /// no more.
    async fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, Error>;

    /// Returns the head of one stream; the default head when there is no such stream.
    async fn stream_head(&self, stream: &StreamId) -> Result<StreamHead, Error>;

    /// Returns a receiver of the store's head, moved after each commit that the store learns of.
    fn head(&self) -> watch::Receiver<Position>;

    /// Finds a recorded command.
    async fn find_command(
        &self,
        actor: &str,
        id: &CommandId,
    ) -> Result<Option<RecordedCommand>, Error>;

    /// Loads the newest snapshot of a stream that this plugin version wrote.
    async fn load_snapshot(
        &self,
        stream: &StreamId,
        plugin: Digest,
    ) -> Result<Option<Snapshot>, Error>;

    /// Saves a snapshot, replacing older ones of the same stream and plugin version.
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error>;

    /// Lists which event types and schema versions occur.
    async fn census(&self) -> Result<Vec<CensusEntry>, Error>;

    /// Lists some streams of a category, the most recently written first.
    async fn sample_streams(&self, category: &str, limit: usize) -> Result<Vec<StreamId>, Error>;

    /// Loads how far a follower outside the store has come, such as the relay; `None` before it was saved first.
    async fn load_cursor(&self, follower: &str) -> Result<Option<Cursor>, Error>;

    /// Saves how far a follower outside the store has come.
    async fn save_cursor(&self, follower: &str, cursor: Cursor) -> Result<(), Error>;

    /// Keeps a plugin version's bytes; doing it again changes nothing.
    async fn install_plugin(&self, plugin: StoredPlugin, bytes: Arc<[u8]>) -> Result<(), Error>;

    /// Makes an installed version the active one of its name, under the append lock: every entry that another version
    /// decided and that is not yet appended answers `StalePlugin` from now on.
    async fn activate_plugin(&self, name: &str, digest: Digest) -> Result<(), Error>;

    /// Returns a receiver of a number that moves when the active versions may have changed, here or in another process.
    fn plugins_changed(&self) -> watch::Receiver<u64>;

    /// Lists the active version of each plugin.
    async fn active_plugins(&self) -> Result<Vec<StoredPlugin>, Error>;

    /// Finds an installed version.
    async fn find_plugin(&self, digest: Digest) -> Result<Option<StoredPlugin>, Error>;

    /// Loads an installed version's bytes.
    async fn load_plugin(&self, digest: Digest) -> Result<Option<Arc<[u8]>>, Error>;
}
