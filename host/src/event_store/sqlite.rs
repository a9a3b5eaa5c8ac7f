//! The event store of the embedded profile: one SQLite file.
//!
//! Commits are synced to the disk before they are acknowledged. One writer appends whole batches; its transaction takes
//! the write lock first and only then reads the last position and the heads, so that positions are dense and in commit
//! order even if another process writes to the same file. Readers never wait for it. Where a batch has failed, at its
//! commit too, nothing of it is left and the store goes on; a full disk needs nothing but room.

mod append;
mod plugins;
mod read;
mod snapshots;
#[cfg(test)]
mod tests;
mod transfer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    CensusEntry, Cursor, Entry, Error, EventStore, Outcome, Ownership, RecordedCommand, Snapshot,
    StoredPlugin,
};
use crate::message::{
    CommandId, Digest, Position, RecordedEvent, StoreId, StreamHead, StreamId, Time, Version,
};
use crate::sqlite::{
    self, Database, Failure, Migration, OpenError, Purpose, Readers, Sync, signed,
};

/// The file, its ledger and its migrations.
const PURPOSE: Purpose = Purpose {
    file: "events.db",
    ledger: "event_store_migrations",
    migrations: &[
        Migration {
            name: "initial",
            sql: include_str!("../../migrations/sqlite/event_store/0001_initial.sql"),
        },
        Migration {
            name: "cursors",
            sql: include_str!("../../migrations/sqlite/event_store/0002_cursors.sql"),
        },
        Migration {
            name: "imports",
            sql: include_str!("../../migrations/sqlite/event_store/0003_imports.sql"),
        },
    ],
    prepare: |_| Ok(()),
};
const SAVE_CURSOR: &str = "INSERT INTO cursors (follower, position, event_id) VALUES (?1, ?2, ?3)
    ON CONFLICT (follower) DO UPDATE SET position = excluded.position, event_id = excluded.event_id";
/// Reads are short pages; more connections than this only take each other's processors.
const READERS: usize = 4;

/// The event store of the embedded profile.
pub struct SqliteEventStore {
    id: Arc<watch::Sender<StoreId>>,
    database: Database,
    readers: Readers,
    head: Arc<watch::Sender<Position>>,
    /// One process, one history: only a new identity moves it.
    epoch: Arc<watch::Sender<u64>>,
    plugins_changed: Arc<watch::Sender<u64>>,
}

impl SqliteEventStore {
    /// Tells whether a folder holds a store.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(PURPOSE.file).is_file()
    }

    /// Opens the store in a folder; creates the folder, the file and a fresh identity where there is none.
    ///
    /// Blocks while it reads or migrates. Does not keep a second process out: the folder's lock does that.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let database = Database::open(folder, PURPOSE)?;
        let connection = database.connect()?;
        let id = identity(&connection)?;
        let head = read::head(&connection)?;
        let readers = database.readers(READERS);
        Ok(Self {
            id: Arc::new(watch::Sender::new(id)),
            database,
            readers,
            head: Arc::new(watch::Sender::new(head)),
            epoch: Arc::default(),
            plugins_changed: Arc::default(),
        })
    }
}

/// Reads the store's id, which the first opening makes up.
fn identity(connection: &Connection) -> Result<StoreId, Error> {
    let fresh = "INSERT INTO store (one, id, created_at) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING";
    connection.execute(fresh, (Uuid::now_v7().as_bytes(), Time::now().0))?;
    let id = connection.query_row("SELECT id FROM store", [], |row| sqlite::uuid(row, 0))?;
    Ok(StoreId(id))
}

#[async_trait]
impl EventStore for SqliteEventStore {
    fn id(&self) -> Option<StoreId> {
        Some(*self.id.borrow())
    }

    fn epoch(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    async fn own(&self, _work: &str) -> Result<Option<Ownership>, Error> {
        // The folder's lock has kept other processes out already.
        Ok(Some(Ownership::undisputed()))
    }

    async fn append(&self, entries: Arc<[Entry]>) -> Result<Vec<Outcome>, Error> {
        let head = Arc::clone(&self.head);
        let work = move |writer: &mut sqlite::Writer| {
            let (outcomes, last) = append::append(writer.begin(Sync::Full)?, &entries)?;
            // Here and not in the caller's task, which may be gone by now.
            head.send_if_modified(|head| std::mem::replace(head, last) != last);
            Ok(outcomes)
        };
        self.database.write(work).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        let stream = stream.clone();
        self.readers
            .read(move |reader| read::stream(reader, &stream, after, limit))
            .await
    }

    async fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        self.readers
            .read(move |reader| read::all(reader, after, limit))
            .await
    }

    async fn stream_head(&self, stream: &StreamId) -> Result<StreamHead, Error> {
        let stream = stream.clone();
        self.readers
            .read(move |reader| Ok(read::stream_head(reader, &stream)?))
            .await
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    async fn find_command(
        &self,
        actor: &str,
        id: &CommandId,
    ) -> Result<Option<RecordedCommand>, Error> {
        let (actor, id) = (actor.to_owned(), id.clone());
        self.readers
            .read(move |reader| Ok(read::command(reader, &actor, &id)?))
            .await
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        plugin: Digest,
    ) -> Result<Option<Snapshot>, Error> {
        let stream = stream.clone();
        self.readers
            .read(move |reader| Ok(snapshots::load(reader, stream, plugin)?))
            .await
    }

    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        // Losing a snapshot loses nothing, so that no append ever waits for one to be synced.
        self.database
            .write(move |writer| Ok(snapshots::save(writer.begin(Sync::Normal)?, &snapshot)?))
            .await
    }

    async fn census(&self) -> Result<Vec<CensusEntry>, Error> {
        self.readers.read(|reader| Ok(read::census(reader)?)).await
    }

    async fn sample_streams(&self, category: &str, limit: usize) -> Result<Vec<StreamId>, Error> {
        let category = category.to_owned();
        self.readers
            .read(move |reader| Ok(read::sample_streams(reader, &category, limit)?))
            .await
    }

    async fn load_cursor(&self, follower: &str) -> Result<Option<Cursor>, Error> {
        let follower = follower.to_owned();
        self.readers
            .read(move |reader| Ok(read::cursor(reader, &follower)?))
            .await
    }

    async fn save_cursor(&self, follower: &str, cursor: Cursor) -> Result<(), Error> {
        let follower = follower.to_owned();
        // A cursor that goes back costs its follower a repetition, which it has to bear anyway.
        self.database
            .write(move |writer| {
                let transaction = writer.begin(Sync::Normal)?;
                transaction.prepare_cached(SAVE_CURSOR)?.execute((
                    &follower,
                    signed(cursor.position.0),
                    cursor.event_id.as_bytes(),
                ))?;
                Ok(transaction.commit()?)
            })
            .await
    }

    async fn install_plugin(&self, plugin: StoredPlugin, bytes: Arc<[u8]>) -> Result<(), Error> {
        self.database
            .write(move |writer| {
                Ok(plugins::install(
                    writer.begin(Sync::Full)?,
                    &plugin,
                    &bytes,
                )?)
            })
            .await
    }

    async fn activate_plugin(&self, name: &str, digest: Digest) -> Result<(), Error> {
        let (name, changed) = (name.to_owned(), Arc::clone(&self.plugins_changed));
        self.database
            .write(move |writer| {
                plugins::activate(writer.begin(Sync::Full)?, &name, digest)?;
                changed.send_modify(|changes| *changes += 1);
                Ok(())
            })
            .await
    }

    fn plugins_changed(&self) -> watch::Receiver<u64> {
        self.plugins_changed.subscribe()
    }

    async fn active_plugins(&self) -> Result<Vec<StoredPlugin>, Error> {
        self.readers
            .read(|reader| Ok(plugins::active(reader)?))
            .await
    }

    async fn find_plugin(&self, digest: Digest) -> Result<Option<StoredPlugin>, Error> {
        self.readers
            .read(move |reader| Ok(plugins::find(reader, digest)?))
            .await
    }

    async fn load_plugin(&self, digest: Digest) -> Result<Option<Arc<[u8]>>, Error> {
        self.readers
            .read(move |reader| Ok(plugins::bytes(reader, digest)?))
            .await
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match Failure::from(&error) {
            Failure::Full => Self::Full,
            Failure::Unavailable(reason) => Self::Unavailable { reason },
            Failure::Interrupted => Self::Unavailable {
                reason: "interrupted".into(),
            },
            Failure::Refused(reason) => Self::Refused { reason },
            Failure::Damaged(reason) => Self::Damaged { reason },
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Broken { path, reason } => Self::CannotOpen {
                store: path,
                reason,
            },
            OpenError::TooNew { found, known } => Self::TooNew { found, known },
        }
    }
}
