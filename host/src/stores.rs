//! Opening the stores that a configuration names: a profile is only a choice of adapters.
//!
//! A server that is away is no error: what is opened answers `Unavailable` until it is there. What will not get better by
//! itself is an error, of one line that names the setting.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::config::Config;
use crate::event_log::EventLog;
use crate::event_log::kafka::KafkaEventLog;
use crate::event_log::tail::TailEventLog;
use crate::event_store::postgres::{PostgresEventStore, PostgresOptions};
use crate::event_store::sqlite::SqliteEventStore;
use crate::event_store::{self, EventStore};
use crate::read_store::mongo::{MongoOptions, MongoReadStore};
use crate::read_store::sqlite::SqliteReadStore;
use crate::read_store::{self, ReadStore};
use crate::relay::Relay;

/// Opens the event store.
pub async fn open_event_store(config: &Config) -> Result<Arc<dyn EventStore>, event_store::Error> {
    if config.event_store.starts_with("postgres") {
        let options = PostgresOptions {
            url: config.event_store.clone(),
            schema: config.postgres.schema.clone(),
        };
        return Ok(Arc::new(PostgresEventStore::open(options).await?));
    }
    Ok(Arc::new(SqliteEventStore::open(&config.data)?))
}

/// Opens the read store.
pub async fn open_read_store(config: &Config) -> Result<Arc<dyn ReadStore>, read_store::Error> {
    if config.read_store != "sqlite:" {
        let options = MongoOptions {
            url: config.read_store.clone(),
            prefix: config.mongo.prefix.clone(),
        };
        return Ok(Arc::new(MongoReadStore::open(options).await?));
    }
    Ok(Arc::new(SqliteReadStore::open(&config.data)?))
}

/// A relay and its task.
pub type Relaying = (Relay, BoxFuture<'static, ()>);

/// Opens the event log that carries a store's events, with the relay that feeds it where it needs one. The relay ends when
/// `stop` turns true.
pub fn open_event_log(
    config: &Config,
    store: &Arc<dyn EventStore>,
    stop: watch::Receiver<bool>,
) -> Result<(Arc<dyn EventLog>, Option<Relaying>), event_store::Error> {
    if config.event_log == "tail" {
        return Ok((Arc::new(TailEventLog::new(Arc::clone(store))), None));
    }
    let open = || {
        let options = config.kafka.clone().at(&config.event_log)?;
        let log = KafkaEventLog::open(options.clone(), Arc::clone(store))?;
        let (relay, relaying) = Relay::new(options, Arc::clone(store), stop)?;
        let log: Arc<dyn EventLog> = Arc::new(log);
        Ok((log, Some((relay, relaying.boxed()))))
    };
    open().map_err(|error| match error {
        event_store::Error::CannotOpen { store, reason } => event_store::Error::CannotOpen {
            store,
            reason: format!("{reason} (see the setting event_log)"),
        },
        other => other,
    })
}
