//! Opening the stores themselves, beside a host or instead of one.

use std::sync::Arc;

use anyhow::{Result, bail};
use foldhost::config::Config;
use foldhost::event_store::EventStore;
use foldhost::event_store::sqlite::SqliteEventStore;
use foldhost::host::{FolderLock, lock_folder};
use foldhost::read_store::ReadStore;
use foldhost::read_store::sqlite::SqliteReadStore;

/// The event store, and what keeps hosts away from it for as long as it is open.
pub(super) struct Opened {
    pub(super) store: Arc<dyn EventStore>,
    _lock: Option<FolderLock>,
}

/// Opens a store that is there, to read it. Hosts may go on meanwhile.
pub(super) fn to_read(config: &Config) -> Result<Opened> {
    must_be_there(config)?;
    Ok(Opened {
        store: event_store(config)?,
        _lock: None,
    })
}

/// Opens a store that is there, to change it. A host that has the data folder is in the way.
pub(super) fn to_change(config: &Config) -> Result<Opened> {
    must_be_there(config)?;
    to_fill(config)
}

/// Opens a store, or makes a fresh one.
pub(super) fn to_fill(config: &Config) -> Result<Opened> {
    let lock = lock_folder(&config.data)?;
    Ok(Opened {
        store: event_store(config)?,
        _lock: Some(lock),
    })
}

/// Opens where documents are.
pub(super) fn read_store(config: &Config) -> Result<Arc<dyn ReadStore>> {
    Ok(Arc::new(SqliteReadStore::open(&config.data)?))
}

fn event_store(config: &Config) -> Result<Arc<dyn EventStore>> {
    Ok(Arc::new(SqliteEventStore::open(&config.data)?))
}

/// A folder that was mistyped is not to become a store.
fn must_be_there(config: &Config) -> Result<()> {
    if SqliteEventStore::is_in(&config.data) {
        return Ok(());
    }
    bail!(
        "there is no event store in {}; --data or --event-store says where it is",
        config.data.display()
    );
}
