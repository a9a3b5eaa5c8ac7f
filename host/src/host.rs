//! The host: wires the stages, owns every task, and stops upstream first.

mod readiness;
mod starting;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::catalog::{Catalog, Catalogs};
use crate::command::{self, Answer, LookError, Past, PastState, Pipeline};
use crate::config::Config;
use crate::event_log::EventLog;
use crate::event_store::{self, EventStore};
use crate::message::{Command, CommandId, Digest, Position, StreamId};
use crate::plugin::Plugin;
use crate::projection::{Engine, ProjectionStatus};
use crate::query::{self, Documents, FindDocuments, PageRequest, Queries, Wait};
use crate::read_store::{Generation, ParkedEvent};
pub use crate::registry::Refused;
use crate::registry::{Registry, watcher};
use crate::relay::{Relay, RelayStatus};
use readiness::Health;
pub use readiness::Readiness;
pub use starting::{FolderLock, HostBuilder, StartError, lock_folder};

/// A running host. Cheap to clone; [`Host::shutdown`] ends it.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<Config>,
    store: Arc<dyn EventStore>,
    log: Arc<dyn EventLog>,
    /// Where events travel over Kafka.
    relay: Option<Relay>,
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
    /// Whether the stores answer.
    health: watch::Receiver<Health>,
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

impl Host {
    /// Begins to build a host.
    pub fn builder(config: Config) -> HostBuilder {
        HostBuilder::new(config)
    }

    /// Returns the HTTP surface, to be served or nested in another service.
    pub fn router(&self) -> axum::Router {
        crate::http::router(self.clone())
    }

    /// Decides a command and records what it sets down. Dropping the future does not take it back.
    pub async fn dispatch(&self, command: Command) -> Result<Answer, command::Error> {
        let aggregate = command.stream.category();
        let mut catalog = self.inner.catalogs.load();
        if catalog.aggregate(aggregate).is_none() {
            self.inner.registry.converge_for_client().await;
            catalog = self.inner.catalogs.load();
        }
        if catalog.aggregate(aggregate).is_none() {
            if let Some(reason) = self.not_started() {
                return Err(command::Error::Unavailable {
                    command_id: command.command_id.unwrap_or_else(CommandId::random),
                    reason,
                });
            }
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
            if let Some(reason) = self.not_started() {
                return Err(event_store::Error::Unavailable { reason }.into());
            }
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
        let found = self.inner.queries.document(collection, id, wait).await;
        self.unless_starting(found)
    }

    /// Finds documents of a collection.
    pub async fn find(
        &self,
        collection: &str,
        find: FindDocuments,
    ) -> Result<Documents, query::Error> {
        let found = self.inner.queries.find(collection, find).await;
        self.unless_starting(found)
    }

    /// Answers a named query; parameters are texts, read as the query declares them.
    pub async fn query(
        &self,
        name: &str,
        parameters: BTreeMap<String, String>,
        page: PageRequest,
    ) -> Result<Documents, query::Error> {
        let found = self.inner.queries.named(name, parameters, page).await;
        self.unless_starting(found)
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

    /// Tells how the relay is doing, where events travel over Kafka.
    pub fn relay(&self) -> Option<RelayStatus> {
        self.inner.relay.as_ref().map(Relay::status)
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
