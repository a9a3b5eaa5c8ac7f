//! The host: wires the stages, owns every task, and stops upstream first.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::catalog::{Catalog, Catalogs};
use crate::command::{self, Answer, LookError, Past, PastState, Pipeline, Sizes};
use crate::config::{Config, InvalidConfig};
use crate::event_log::EventLog;
use crate::event_log::tail::TailEventLog;
use crate::event_store::sqlite::SqliteEventStore;
use crate::event_store::writer::Writer;
use crate::event_store::{self, EventStore};
use crate::message::{Command, Digest, Position, StreamId};
use crate::plugin::{CodeCache, Plugin, Sandbox};
use crate::projection::{self, Engine, ProjectionStatus, RunState};
use crate::query::{self, Documents, FindDocuments, PageRequest, Planners, Queries, Wait};
use crate::read_store::sqlite::SqliteReadStore;
use crate::read_store::{self, Generation, ParkedEvent, ReadStore};
pub use crate::registry::Refused;
use crate::registry::{Loader, Parts, Registry, watcher};

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
    /// The event store cannot be opened. **Handling:** stop with this line.
    #[error("the event store cannot be opened: {0}")]
    EventStore(#[from] event_store::Error),
    /// The read store cannot be opened. **Handling:** stop with this line.
    #[error("the read store cannot be opened: {0}")]
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

/// A running host. Cheap to clone; [`Host::shutdown`] ends it.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<Config>,
    store: Arc<dyn EventStore>,
    log: Arc<dyn EventLog>,
    catalogs: Catalogs,
    pipeline: Pipeline,
    engine: Engine,
    queries: Queries,
    registry: Registry,
    tasks: Mutex<JoinSet<()>>,
    stopping: watch::Sender<bool>,
    /// Whether the plugins folder was looked through once.
    looked: watch::Receiver<bool>,
    /// Whether the active plugins were taken up once.
    converged: watch::Receiver<bool>,
    /// Held for the host's life.
    _lock: FolderLock,
}

impl Drop for Inner {
    /// Whoever drops a host without [`Host::shutdown`] gets its threads and tasks ended all the same, though not awaited.
    fn drop(&mut self) {
        self.stopping.send_replace(true);
        self.pipeline.tell_to_stop();
        self.engine.tell_to_stop();
    }
}

/// Whether the active plugins serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Nothing is in the way.
    pub ready: bool,
    /// What is.
    pub reasons: Vec<String>,
}

impl HostBuilder {
    /// Opens the stores, takes up the active plugins, and begins to watch the plugins folder; [`Host::readiness`] tells
    /// when what lies in it has been dealt with.
    pub async fn start(self) -> Result<Host, StartError> {
        self.config.check()?;
        let config = Arc::new(self.config);
        let lock = lock_folder(&config.data)?;
        let store: Arc<dyn EventStore> = Arc::new(SqliteEventStore::open(&config.data)?);
        refuse_unfinished(&*store).await?;
        let read_store: Arc<dyn ReadStore> = Arc::new(SqliteReadStore::open(&config.data)?);
        let log: Arc<dyn EventLog> = Arc::new(TailEventLog::new(Arc::clone(&store)));
        let sandbox = Sandbox::new(config.max_instances).map_err(unfit)?;
        let cache = CodeCache::in_folder(&config.data.join("code"));
        let loader = Loader::new(sandbox, cache, Arc::clone(&config), Arc::clone(&store));
        let (writer, writing) = Writer::new(Arc::clone(&store));
        let pipeline = Pipeline::start(Arc::clone(&store), writer, sizes(&config));
        let pipeline = pipeline.map_err(unfit)?;
        let ports = projection::Ports {
            store: Arc::clone(&store),
            log: Arc::clone(&log),
            read_store: Arc::clone(&read_store),
            plugins: loader.for_engine(),
        };
        let engine = Engine::new(ports, config.projection_settings());
        let (catalogs, planners) = (Catalogs::default(), Planners::default());
        let queries = Queries {
            catalogs: catalogs.clone(),
            engine: engine.clone(),
            store: Arc::clone(&store),
            read_store: Arc::clone(&read_store),
            planners: planners.clone(),
        };
        let parts = Parts {
            loader,
            store: Arc::clone(&store),
            read_store,
            pipeline: pipeline.clone(),
            engine: engine.clone(),
            catalogs: catalogs.clone(),
            planners,
        };
        let (looked, looked_at_once) = watch::channel(false);
        let (converged, has_converged) = watch::channel(false);
        let inner = Inner {
            config,
            store,
            log,
            catalogs,
            pipeline,
            engine,
            queries,
            registry: Registry::new(parts),
            tasks: Mutex::default(),
            stopping: watch::Sender::new(false),
            looked: looked_at_once,
            converged: has_converged,
            _lock: lock,
        };
        let host = Host {
            inner: Arc::new(inner),
        };
        host.spawn(writing);
        match host.inner.registry.converge().await {
            Ok(()) => {
                converged.send_replace(true);
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "started without the event store; it is waited for");
            }
            Err(error) => return Err(error.into()),
        }
        let registry = host.inner.registry.clone();
        host.spawn(async move { registry.converge_for_ever(converged).await });
        host.watch_folder(looked);
        Ok(host)
    }
}

/// Half a history is none to decide on. A store that is away is asked again when it activates something.
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

impl Host {
    /// Begins to build a host.
    pub fn builder(config: Config) -> HostBuilder {
        HostBuilder { config }
    }

    /// Returns the HTTP surface, to be served or nested in another service.
    pub fn router(&self) -> axum::Router {
        crate::http::router(self.clone())
    }

    /// Decides a command and records what it sets down. Dropping the future does not take it back.
    pub async fn dispatch(&self, command: Command) -> Result<Answer, command::Error> {
        let aggregate = command.stream.category();
        let catalog = self.inner.catalogs.load();
        if catalog.aggregate(aggregate).is_none() {
            let names = catalog
                .plugins()
                .filter_map(|plugin| plugin.descriptor.aggregate.as_ref());
            let known = names.map(|aggregate| aggregate.name.to_string()).collect();
            return Err(command::Error::UnknownAggregate {
                aggregate: aggregate.to_owned(),
                known,
            });
        }
        self.inner.pipeline.dispatch(command).await
    }

    /// Shows an aggregate's state, now or in the past.
    pub async fn look(&self, stream: &StreamId, past: Past) -> Result<PastState, LookError> {
        let catalog = self.inner.catalogs.load();
        let Some(plugin) = catalog.aggregate(stream.category()) else {
            return Err(LookError::UnknownAggregate {
                aggregate: stream.category().to_owned(),
            });
        };
        command::look(&self.inner.store, plugin, stream, past).await
    }

    /// Gives one document of a collection, or none.
    pub async fn document(
        &self,
        collection: &str,
        id: &str,
        wait: Wait,
    ) -> Result<Documents, query::Error> {
        self.inner.queries.document(collection, id, wait).await
    }

    /// Finds documents of a collection.
    pub async fn find(
        &self,
        collection: &str,
        find: FindDocuments,
    ) -> Result<Documents, query::Error> {
        self.inner.queries.find(collection, find).await
    }

    /// Answers a named query; parameters are texts, read as the query declares them.
    pub async fn query(
        &self,
        name: &str,
        parameters: BTreeMap<String, String>,
        page: PageRequest,
    ) -> Result<Documents, query::Error> {
        self.inner.queries.named(name, parameters, page).await
    }

    /// Lists parked events of a projection, in order of position.
    pub async fn parked(
        &self,
        projection: &str,
        after: Position,
        limit: usize,
    ) -> Result<Vec<ParkedEvent>, query::Error> {
        self.inner.queries.parked(projection, after, limit).await
    }

    /// Lists the generations of a projection's read model, oldest first.
    pub async fn generations(&self, projection: &str) -> Result<Vec<Generation>, query::Error> {
        Ok(self
            .inner
            .queries
            .read_store
            .generations(projection)
            .await?)
    }

    /// Checks a component and keeps it; nothing is activated. `source` is told with a refusal.
    pub async fn install(&self, source: &str, bytes: Vec<u8>) -> Result<Arc<Plugin>, Refused> {
        self.inner.registry.install(source, bytes).await
    }

    /// Makes an installed version the active one, between two commands.
    pub async fn activate(&self, digest: Digest) -> Result<Arc<Plugin>, Refused> {
        self.inner.registry.activate(digest).await
    }

    /// Returns the event store.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.inner.store
    }

    /// Returns the event log.
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.inner.log
    }

    /// Returns what the host was started with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Returns the active plugins at this moment.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.catalogs.load()
    }

    /// Returns how every projection stands.
    pub fn projections(&self) -> Vec<ProjectionStatus> {
        self.inner.engine.status()
    }

    /// Returns the projection engine.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Tells whether the active plugins serve, and what is in the way.
    pub fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        for refusal in self.inner.catalogs.load().refusals() {
            if refusal.leaves_gap {
                reasons.push(format!("plugin {}: {}", refusal.source, refusal.reason));
            }
        }
        for projection in self.projections() {
            if let RunState::Faulted { reason } = projection.state {
                reasons.push(format!("projection {}: {reason}", projection.name));
            }
        }
        if !*self.inner.converged.borrow() {
            reasons.push("the event store was not reached yet".to_owned());
        } else if !*self.inner.looked.borrow() {
            reasons.push("the plugins folder is being looked through".to_owned());
        }
        if *self.inner.stopping.borrow() {
            reasons.push("the host is stopping".to_owned());
        }
        Readiness {
            ready: reasons.is_empty(),
            reasons,
        }
    }

    /// Returns a receiver that turns true when the host begins to stop.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.inner.stopping.subscribe()
    }

    /// Says that the host is about to stop: event streams end, and readiness turns red. For a server that waits for its
    /// connections before [`Host::shutdown`].
    pub fn announce_shutdown(&self) {
        self.inner.stopping.send_replace(true);
    }

    /// Ends everything, upstream first. What was acknowledged is on disk; what was not is decided again by its client.
    pub async fn shutdown(&self) {
        self.announce_shutdown();
        self.inner.pipeline.stop().await;
        self.inner.engine.stop().await;
        let mut tasks = std::mem::take(
            &mut *self
                .inner
                .tasks
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        tasks.shutdown().await;
    }

    fn watch_folder(&self, looked: watch::Sender<bool>) {
        let (registry, config) = (self.inner.registry.clone(), &self.inner.config);
        self.spawn(watcher::watch(
            registry,
            config.plugins.clone(),
            config.activate_from_folder,
            looked,
        ));
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spawn(task);
    }
}
