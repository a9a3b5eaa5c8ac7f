//! The read store of the embedded profile: one SQLite file.
//!
//! Each collection of a generation is a table: a document's id, its text, and one column per indexed path with the
//! document's value in a form whose order is the order of sorts (see [`key`]). A commit is one transaction with its
//! checkpoint. It is not synced by itself: what a loss of power takes back, it takes back together with the checkpoint,
//! and it is folded again from the event store, which is the truth. The end of the process takes nothing back.
//!
//! Queries have connections of their own, so that slow ones hold up other queries at most, and are stopped after a limit.

mod commit;
mod documents;
mod functions;
mod generations;
mod key;
mod parked;
mod query;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use uuid::Uuid;

use super::{
    Checkpoint, CollectionSpec, Commit, Error, Find, Found, Generation, GenerationId, ParkedEvent,
    ReadStore,
};
use crate::message::{Digest, Json, Position, StoreId, StreamId};
use crate::sqlite::{Database, Failure, Migration, OpenError, Purpose, Readers, Sync, Writer};

/// The file, its ledger and its migrations.
const PURPOSE: Purpose = Purpose {
    file: "read.db",
    ledger: "read_store_migrations",
    migrations: &[
        Migration {
            name: "initial",
            sql: include_str!("../../migrations/sqlite/read_store/0001_initial.sql"),
        },
        Migration {
            name: "owner",
            sql: include_str!("../../migrations/sqlite/read_store/0002_owner.sql"),
        },
    ],
    prepare: functions::register,
};
/// Connections of the projections, which read short and often.
const READERS: usize = 4;
/// Connections of the queries; more than this only take each other's processors.
const QUERY_READERS: usize = 4;
/// How long a query may run, unless told otherwise: nobody waits longer for a page.
const QUERY_LIMIT: Duration = Duration::from_secs(5);

/// The read store of the embedded profile.
pub struct SqliteReadStore {
    /// Tells this opening from others of the same file.
    owner: Uuid,
    database: Database,
    readers: Readers,
    query_readers: Readers,
    query_limit: Duration,
}

impl SqliteReadStore {
    /// Tells whether a folder holds a store.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(PURPOSE.file).is_file()
    }

    /// Opens the store in a folder; creates the folder and the file where there is none.
    ///
    /// Blocks while it reads or migrates. Does not keep a second process out: the folder's lock does that.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Self::open_with_query_limit(folder, QUERY_LIMIT)
    }

    /// Opens the store with another limit for how long a query may run.
    pub fn open_with_query_limit(folder: &Path, query_limit: Duration) -> Result<Self, Error> {
        let database = Database::open(folder, PURPOSE)?;
        let (readers, query_readers) = (database.readers(READERS), database.readers(QUERY_READERS));
        Ok(Self {
            owner: Uuid::now_v7(),
            database,
            readers,
            query_readers,
            query_limit,
        })
    }
}

#[async_trait]
impl ReadStore for SqliteReadStore {
    fn shared_as(&self) -> Option<String> {
        None
    }

    async fn create_generation(
        &self,
        projection: &str,
        store: StoreId,
        plugin: Digest,
        collections: &[CollectionSpec],
    ) -> Result<GenerationId, Error> {
        let (projection, collections) = (projection.to_owned(), collections.to_vec());
        let work = move |writer: &mut Writer| {
            generations::create(
                writer.begin(Sync::Normal)?,
                projection,
                store,
                plugin,
                &collections,
            )
        };
        self.database.write(work).await
    }

    async fn generations(&self, projection: &str) -> Result<Vec<Generation>, Error> {
        let projection = projection.to_owned();
        self.readers
            .read(move |reader| Ok(generations::list(reader, &projection)?))
            .await
    }

    async fn projections(&self) -> Result<Vec<String>, Error> {
        self.readers
            .read(|reader| Ok(generations::projections(reader)?))
            .await
    }

    async fn collections(&self, generation: &GenerationId) -> Result<Vec<String>, Error> {
        let generation = generation.clone();
        self.readers
            .read(move |reader| generations::collections(reader, &generation))
            .await
    }

    async fn checkpoint(&self, generation: &GenerationId) -> Result<Checkpoint, Error> {
        let generation = generation.clone();
        self.readers
            .read(move |reader| generations::checkpoint(reader, &generation))
            .await
    }

    async fn take_over(&self, generation: &GenerationId) -> Result<Checkpoint, Error> {
        let (owner, generation) = (self.owner, generation.clone());
        let work = move |writer: &mut Writer| {
            generations::take_over(writer.begin(Sync::Normal)?, owner, &generation)
        };
        self.database.write(work).await
    }

    async fn commit(
        &self,
        generation: &GenerationId,
        sequence: u64,
        commit: Commit,
    ) -> Result<(), Error> {
        let (owner, generation) = (self.owner, generation.clone());
        let work = move |writer: &mut Writer| {
            let transaction = writer.begin(Sync::Normal)?;
            commit::commit(transaction, owner, &generation, sequence, &commit)
        };
        self.database.write(work).await
    }

    async fn get(
        &self,
        generation: &GenerationId,
        collection: &str,
        ids: &[String],
    ) -> Result<Vec<(String, Json)>, Error> {
        let (generation, collection, ids) =
            (generation.clone(), collection.to_owned(), ids.to_vec());
        self.readers
            .read(move |reader| documents::get(reader, &generation, &collection, ids))
            .await
    }

    async fn find(
        &self,
        generation: &GenerationId,
        collection: &str,
        find: Find,
    ) -> Result<Vec<Found>, Error> {
        let (generation, collection, limit) =
            (generation.clone(), collection.to_owned(), self.query_limit);
        let work =
            move |reader: &Connection| documents::find(reader, &generation, &collection, &find);
        let found = self.query_readers.read_within(limit, work).await;
        found.map_err(|error| {
            if matches!(error, Error::TooSlow { .. }) {
                Error::TooSlow { limit }
            } else {
                error
            }
        })
    }

    async fn parked(
        &self,
        generation: &GenerationId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<ParkedEvent>, Error> {
        let generation = generation.clone();
        self.readers
            .read(move |reader| parked::list(reader, &generation, after, limit))
            .await
    }

    async fn parked_streams(&self, generation: &GenerationId) -> Result<Vec<StreamId>, Error> {
        let generation = generation.clone();
        self.readers
            .read(move |reader| parked::streams(reader, &generation))
            .await
    }

    async fn switch(&self, generation: &GenerationId) -> Result<(), Error> {
        let (owner, generation) = (self.owner, generation.clone());
        let work = move |writer: &mut Writer| {
            generations::switch(writer.begin(Sync::Normal)?, owner, &generation)
        };
        self.database.write(work).await
    }

    async fn drop_generation(&self, generation: &GenerationId) -> Result<(), Error> {
        let generation = generation.clone();
        self.database
            .write(move |writer| generations::drop(writer.begin(Sync::Normal)?, &generation))
            .await
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match Failure::from(&error) {
            Failure::Full => Self::Unavailable {
                reason: "no room is left on the disk".into(),
            },
            Failure::Unavailable(reason) => Self::Unavailable { reason },
            Failure::Interrupted => Self::TooSlow { limit: QUERY_LIMIT },
            Failure::Refused(reason) | Failure::Damaged(reason) => Self::Refused { reason },
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
            OpenError::TooNew { found, known } => Self::CannotOpen {
                store: PURPOSE.file.into(),
                reason: format!(
                    "it has schema {found}, this host knows {known}: run a newer host, or delete the file"
                ),
            },
        }
    }
}
