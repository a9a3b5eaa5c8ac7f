//! The event store of the cluster profile: one schema of a PostgreSQL database, for any number of host processes.
//!
//! An append is one call of the schema's own function: it takes the store's advisory lock and only then reads the last
//! position and the heads, and the lock is held through the commit, so that positions are dense and in commit order
//! whoever writes. The server may be away, at the start too: every call then says so, and the store comes back by itself.
//! Two sessions listen and hold locks, so that the URL has to lead to the server itself, or to a pooler that gives each
//! session a server connection of its own. All other statements are complete in themselves.

mod address;
mod append;
mod connections;
mod failure;
mod keeper;
mod migration;
mod ownership;
mod plugins;
mod read;
mod snapshots;
mod state;
mod transfer;
mod value;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use self::address::Address;
use self::connections::Connections;
use self::ownership::Owners;
use self::state::State;
use super::{
    CensusEntry, Cursor, Entry, Error, EventStore, Outcome, Ownership, RecordedCommand, Snapshot,
    StoredPlugin,
};
use crate::message::{
    CommandId, Digest, Position, RecordedEvent, StoreId, StreamHead, StreamId, Version,
};

/// Reads are short pages; more sessions than this only take each other's processors.
const READERS: usize = 8;

/// Where a PostgreSQL event store is.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:5432/database`, with the driver's parameters such as `sslmode`.
    pub url: String,
    /// The schema that holds everything, made when it is not there: a lower-case name.
    pub schema: String,
}

/// The event store of the cluster profile.
pub struct PostgresEventStore {
    address: Address,
    state: Arc<State>,
    /// One session: appends wait for each other's lock anyway.
    appends: Connections,
    reads: Connections,
    owners: Owners,
    keeper: AbortHandle,
}

impl PostgresEventStore {
    /// Opens the store, and makes its schema and a fresh identity where there is none.
    ///
    /// A server that does not answer within five seconds does not keep the store from being opened: every call is
    /// [`Error::Unavailable`] until it was reached.
    ///
    /// # Errors
    /// [`Error::CannotOpen`] and [`Error::TooNew`]: what only people can put right.
    pub async fn open(options: PostgresOptions) -> Result<Self, Error> {
        let address = Address::parse(&options)?;
        let state = Arc::new(State::new());
        let listener = keeper::open(&address, &state).await?;
        let keeper = keeper::keep(address.clone(), Arc::clone(&state), listener);
        let (owners, locks) = Owners::new(address.clone());
        // Ends by itself, once neither the store nor an ownership is left.
        tokio::spawn(locks);
        Ok(Self {
            appends: Connections::new(address.pooled(), 1, Arc::clone(&state)),
            reads: Connections::new(address.pooled(), READERS, Arc::clone(&state)),
            owners,
            keeper: tokio::spawn(keeper).abort_handle(),
            address,
            state,
        })
    }

    fn reader(&self) -> (&Connections, &Address) {
        (&self.reads, &self.address)
    }
}

impl Drop for PostgresEventStore {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

#[async_trait]
impl EventStore for PostgresEventStore {
    fn id(&self) -> Option<StoreId> {
        self.state.id()
    }

    fn epoch(&self) -> watch::Receiver<u64> {
        self.state.epoch()
    }

    async fn own(&self, work: &str) -> Result<Option<Ownership>, Error> {
        self.owners.own(work).await
    }

    async fn append(&self, entries: Arc<[Entry]>) -> Result<Vec<Outcome>, Error> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        append::check_size(&entries)?;
        let statement = append::statement(&self.address, self.state.newest(), &entries);
        let rows = match self.appends.rows(statement).await {
            Ok(rows) => rows,
            Err(error) => {
                // Why it failed may be that history was rewritten.
                self.state.ask_for_a_look();
                return Err(error);
            }
        };
        let (outcomes, newest) = append::outcomes(&rows, &entries)?;
        if let Some(newest) = newest {
            self.state.appended(newest);
        }
        Ok(outcomes)
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        read::stream(self.reader(), stream, after, limit).await
    }

    async fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        read::all(self.reader(), after, limit).await
    }

    async fn stream_head(&self, stream: &StreamId) -> Result<StreamHead, Error> {
        read::stream_head(self.reader(), stream).await
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.state.head()
    }

    async fn find_command(
        &self,
        actor: &str,
        id: &CommandId,
    ) -> Result<Option<RecordedCommand>, Error> {
        read::command(self.reader(), actor, id).await
    }

    async fn load_snapshot(
        &self,
        stream: &StreamId,
        plugin: Digest,
    ) -> Result<Option<Snapshot>, Error> {
        snapshots::load(self.reader(), stream, plugin).await
    }

    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        snapshots::save(self.reader(), &snapshot).await
    }

    async fn census(&self) -> Result<Vec<CensusEntry>, Error> {
        read::census(self.reader()).await
    }

    async fn sample_streams(&self, category: &str, limit: usize) -> Result<Vec<StreamId>, Error> {
        read::sample_streams(self.reader(), category, limit).await
    }

    async fn load_cursor(&self, follower: &str) -> Result<Option<Cursor>, Error> {
        read::load_cursor(self.reader(), follower).await
    }

    async fn save_cursor(&self, follower: &str, cursor: Cursor) -> Result<(), Error> {
        read::save_cursor(self.reader(), follower, cursor).await
    }

    async fn install_plugin(&self, plugin: StoredPlugin, bytes: Arc<[u8]>) -> Result<(), Error> {
        plugins::install(self.reader(), &plugin, &bytes).await
    }

    async fn activate_plugin(&self, name: &str, digest: Digest) -> Result<(), Error> {
        plugins::activate(self.reader(), name, digest).await?;
        self.state.plugin_activated();
        Ok(())
    }

    fn plugins_changed(&self) -> watch::Receiver<u64> {
        self.state.plugins_changed()
    }

    async fn active_plugins(&self) -> Result<Vec<StoredPlugin>, Error> {
        plugins::active(self.reader()).await
    }

    async fn find_plugin(&self, digest: Digest) -> Result<Option<StoredPlugin>, Error> {
        plugins::find(self.reader(), digest).await
    }

    async fn load_plugin(&self, digest: Digest) -> Result<Option<Arc<[u8]>>, Error> {
        plugins::bytes(self.reader(), digest).await
    }
}
