//! Places for the adapters of the embedded profile.

use std::sync::Arc;

use async_trait::async_trait;
use foldhost::event_log::EventLog;
use foldhost::event_log::tail::TailEventLog;
use foldhost::event_store::EventStore;
use foldhost::event_store::sqlite::SqliteEventStore;
use foldhost::read_store::ReadStore;
use foldhost::read_store::sqlite::SqliteReadStore;

use super::event_log_contract::EventLogPlace;
use super::event_store_contract::EventStorePlace;
use super::folder::Folder;
use super::read_store_contract::ReadStorePlace;

/// A folder with both files in it.
pub(crate) struct Place(Folder);

/// A store in a folder, and its tail.
pub(crate) struct Tail {
    folder: Folder,
    store: Arc<dyn EventStore>,
    log: Arc<dyn EventLog>,
}

pub(crate) async fn place() -> Option<Place> {
    Some(Place(Folder::fresh()))
}

pub(crate) async fn tail() -> Option<Tail> {
    let folder = Folder::fresh();
    let store: Arc<dyn EventStore> = Arc::new(SqliteEventStore::open(folder.path()).unwrap());
    let log = Arc::new(TailEventLog::new(Arc::clone(&store)));
    Some(Tail { folder, store, log })
}

impl Tail {
    /// Changes the store's file behind its back.
    pub(crate) fn tamper(&self, sql: &str) {
        let file = rusqlite::Connection::open(self.folder.path().join("events.db")).unwrap();
        file.execute_batch(sql).unwrap();
    }
}

#[async_trait]
impl EventStorePlace for Place {
    async fn open(&self) -> Arc<dyn EventStore> {
        Arc::new(SqliteEventStore::open(self.0.path()).unwrap())
    }
}

#[async_trait]
impl ReadStorePlace for Place {
    async fn open(&self) -> Arc<dyn ReadStore> {
        Arc::new(SqliteReadStore::open(self.0.path()).unwrap())
    }
}

impl EventLogPlace for Tail {
    fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.store)
    }

    fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.log)
    }
}
