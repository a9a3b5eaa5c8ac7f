//! Opening the stores that a configuration names: a profile is only a choice of adapters.

use std::sync::Arc;

use crate::config::Config;
use crate::event_log::EventLog;
use crate::event_log::tail::TailEventLog;
use crate::event_store::sqlite::SqliteEventStore;
use crate::event_store::{self, EventStore};
use crate::read_store::sqlite::SqliteReadStore;
use crate::read_store::{self, ReadStore};

/// Opens the event store. One that is away is opened all the same and answers when it is there.
pub async fn open_event_store(config: &Config) -> Result<Arc<dyn EventStore>, event_store::Error> {
    Ok(Arc::new(SqliteEventStore::open(&config.data)?))
}

/// Opens the read store. One that is away is opened all the same and answers when it is there.
pub async fn open_read_store(config: &Config) -> Result<Arc<dyn ReadStore>, read_store::Error> {
    Ok(Arc::new(SqliteReadStore::open(&config.data)?))
}

/// Opens the event log that carries a store's events.
pub async fn open_event_log(
    _config: &Config,
    store: &Arc<dyn EventStore>,
) -> Result<Arc<dyn EventLog>, event_store::Error> {
    Ok(Arc::new(TailEventLog::new(Arc::clone(store))))
}
