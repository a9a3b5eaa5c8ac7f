//! Opening the stores themselves, beside a host or instead of one.

use std::sync::Arc;

use anyhow::{Result, bail};
use foldhost::config::Config;
use foldhost::event_store::EventStore;
use foldhost::event_store::sqlite::SqliteEventStore;
use foldhost::host::{FolderLock, lock_folder};
use foldhost::read_store::ReadStore;
use foldhost::stores;

/// The event store, and what keeps hosts away from it for as long as it is open.
pub(super) struct Opened {
    pub(super) store: Arc<dyn EventStore>,
    _lock: Option<FolderLock>,
}

/// Opens a store that is there, to read it. Hosts may go on meanwhile.
pub(super) async fn to_read(config: &Config) -> Result<Opened> {
    must_be_there(config)?;
    Ok(Opened {
        store: stores::open_event_store(config).await?,
        _lock: None,
    })
}

/// Opens a store that is there, to change it. A host that has the data folder is in the way.
pub(super) async fn to_change(config: &Config) -> Result<Opened> {
    must_be_there(config)?;
    to_fill(config).await
}

/// Opens a store, or makes a fresh one.
pub(super) async fn to_fill(config: &Config) -> Result<Opened> {
    let lock = lock_folder(&config.data)?;
    Ok(Opened {
        store: stores::open_event_store(config).await?,
        _lock: Some(lock),
    })
}

/// Opens where documents are.
pub(super) async fn read_store(config: &Config) -> Result<Arc<dyn ReadStore>> {
    Ok(stores::open_read_store(config).await?)
}

/// A folder that was mistyped is not to become a store.
fn must_be_there(config: &Config) -> Result<()> {
    if config.event_store != "sqlite:" || SqliteEventStore::is_in(&config.data) {
        return Ok(());
    }
    bail!(
        "there is no event store in {}; --data or --event-store says where it is",
        config.data.display()
    );
}
