//! Starting a host: opening the stores, wiring the stages, taking up what is active.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::readiness::watch_stores;
use super::{Host, Inner};
use crate::catalog::Catalogs;
use crate::command::{Pipeline, Sizes};
use crate::config::{Config, InvalidConfig};
use crate::event_log::EventLog;
use crate::event_store::writer::Writer;
use crate::event_store::{self, EventStore};
use crate::plugin::{CodeCache, Sandbox};
use crate::projection::{self, Engine};
use crate::query::{Planners, Queries};
use crate::read_store::{self, ReadStore};
use crate::registry::{Loader, Parts, Registry};
use crate::stores;

/// Why a host does not start. Each is one line for an operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself. **Handling:** stop with this line.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The data folder cannot be used. **Handling:** stop with this line.
    #[error("the data folder {folder} cannot be used: {reason}")]
    Folder {
        /// The folder.
        folder: String,
        /// What is wrong.
        reason: String,
    },
    /// Another host has the data folder. **Handling:** stop with this line.
    #[error(
        "the data folder {folder} is in use by another process; stop that one, or choose another with --data"
    )]
    Locked {
        /// The folder.
        folder: String,
    },
    /// The event store, or the log that carries its events, cannot be opened. **Handling:** stop with this line.
    #[error(transparent)]
    EventStore(#[from] event_store::Error),
    /// The read store cannot be opened. **Handling:** stop with this line.
    #[error(transparent)]
    ReadStore(#[from] read_store::Error),
    /// An import into the event store was begun and not finished. **Handling:** stop with this line.
    #[error(
        "an import into the event store was not finished; repeat foldhost store import with the same file, or begin anew with an empty store"
    )]
    UnfinishedImport,
    /// The machine does not give what guests need. **Handling:** stop with this line.
    #[error("guests cannot be run here: {reason}")]
    Sandbox {
        /// What is wrong.
        reason: String,
    },
}

/// Builds a [`Host`].
#[derive(Clone, Debug)]
pub struct HostBuilder {
    config: Config,
}

impl HostBuilder {
    pub(super) fn new(config: Config) -> Self {
        Self { config }
    }

    /// Opens the stores, takes up the active plugins, and begins to watch the plugins folder; [`Host::readiness`] tells
    /// when what lies in it has been dealt with. A server that is away is waited for afterwards.
    pub async fn start(self) -> Result<Host, StartError> {
        self.config.check()?;
        let lock = lock_folder(&self.config.data)?;
        let stopping = watch::Sender::new(false);
        let store = stores::open_event_store(&self.config).await?;
        refuse_unfinished(&*store).await?;
        let read_store = stores::open_read_store(&self.config).await?;
        let (log, relay) = stores::open_event_log(&self.config, &store, stopping.subscribe())?;
        let (relay, relaying) = relay.unzip();
        let opened = Opened {
            store,
            log,
            read_store,
        };
        let (writer, writing) = Writer::new(Arc::clone(&opened.store));
        let (converged, has_converged) = watch::channel(false);
        let (looked, has_looked) = watch::channel(false);
        let (health, has_health) = watch::channel(Default::default());
        let (store, read_store) = (Arc::clone(&opened.store), Arc::clone(&opened.read_store));
        let (parts, queries) = wire(&self.config, &opened, writer)?;
        let inner = Inner {
            config: Arc::new(self.config),
            store: opened.store,
            log: opened.log,
            catalogs: parts.catalogs.clone(),
            pipeline: parts.pipeline.clone(),
            engine: parts.engine.clone(),
            queries,
            registry: Registry::new(parts),
            tasks: Mutex::default(),
            relay,
            stopping,
            looked: has_looked,
            converged: has_converged,
            health: has_health,
            _lock: lock,
        };
        let host = Host {
            inner: Arc::new(inner),
        };
        host.spawn(writing);
        if let Some(relaying) = relaying {
            host.spawn(relaying);
        }
        host.spawn(watch_stores(store, read_store, health));
        host.take_up_active(converged).await?;
        host.watch_folder(looked);
        Ok(host)
    }
}

impl Host {
    /// Takes up what is active, now if the store is there, and whenever it changes.
    async fn take_up_active(&self, converged: watch::Sender<bool>) -> Result<(), StartError> {
        let registry = self.inner.registry.clone();
        match registry.converge().await {
            Ok(()) => {
                converged.send_replace(true);
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "started without the event store; it is waited for");
            }
            Err(error) => return Err(error.into()),
        }
        self.spawn(async move { registry.converge_for_ever(converged).await });
        Ok(())
    }
}

/// The stores of a host.
struct Opened {
    store: Arc<dyn EventStore>,
    log: Arc<dyn EventLog>,
    read_store: Arc<dyn ReadStore>,
}

/// Makes the stages and gives each what it works with.
fn wire(config: &Config, opened: &Opened, writer: Writer) -> Result<(Parts, Queries), StartError> {
    let store = || Arc::clone(&opened.store);
    let read_store = || Arc::clone(&opened.read_store);
    let sandbox = Sandbox::new(config.max_instances).map_err(unfit)?;
    let cache = CodeCache::in_folder(&config.data.join("code"));
    let loader = Loader::new(sandbox, cache, Arc::new(config.clone()), store());
    let pipeline = Pipeline::start(store(), writer, sizes(config)).map_err(unfit)?;
    let ports = projection::Ports {
        store: store(),
        log: Arc::clone(&opened.log),
        read_store: read_store(),
        plugins: loader.for_engine(),
    };
    let engine = Engine::new(ports, config.projection_settings());
    let (catalogs, planners) = (Catalogs::default(), Planners::default());
    let queries = Queries {
        catalogs: catalogs.clone(),
        engine: engine.clone(),
        store: store(),
        read_store: read_store(),
        planners: planners.clone(),
    };
    let parts = Parts {
        loader,
        store: store(),
        read_store: read_store(),
        pipeline,
        engine,
        catalogs,
        planners,
    };
    Ok((parts, queries))
}

/// Half a history is none to decide on. A store that is away is asked again when something is activated.
async fn refuse_unfinished(store: &dyn EventStore) -> Result<(), StartError> {
    match store.unfinished_import().await {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(StartError::UnfinishedImport),
        Err(error) if error.is_transient() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn unfit(error: impl std::fmt::Display) -> StartError {
    StartError::Sandbox {
        reason: format!("{error:#}"),
    }
}

fn sizes(config: &Config) -> Sizes {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    Sizes {
        workers: if config.workers == 0 {
            processors
        } else {
            config.workers
        },
        cache_bytes: config.cache_mib.saturating_mul(1024 * 1024),
    }
}

/// Keeps every other process out of a data folder until it is dropped.
pub struct FolderLock(#[expect(dead_code, reason = "held, not read")] File);

/// Takes a data folder, made if it is not there.
pub fn lock_folder(folder: &Path) -> Result<FolderLock, StartError> {
    let shown = folder.display().to_string();
    let unusable = |error: std::io::Error| StartError::Folder {
        folder: shown.clone(),
        reason: error.to_string(),
    };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let file = File::create(folder.join("lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(TryLockError::WouldBlock) => Err(StartError::Locked { folder: shown }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}
