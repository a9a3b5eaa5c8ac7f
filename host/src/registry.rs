//! The registry: the one gate through which plugins come, and the swap from one version to the next.
//!
//! In come bytes, from the watched folder, over HTTP or from the command line; a version that passes the gate is kept in
//! the event store and can be activated. A bad one is refused with its reason and changes nothing.
//! An activation makes instances ready first, then commits in the store, then switches each worker between two
//! commands; a projection is rebuilt beside and switched when it has caught up.

mod gate;
pub(crate) mod watcher;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::watch;

use crate::catalog::{Catalogs, Refusal};
use crate::command::Pipeline;
use crate::config::Config;
use crate::event_store::{self, EventStore, StoredPlugin};
use crate::message::{Digest, Time};
use crate::plugin::{CodeCache, Fault, NotAPlugin, Plugin, Sandbox};
use crate::projection::{Engine, PluginLoader};
use crate::query::Planners;
use crate::read_store::{self, ReadStore};

/// How often the active versions are looked at without any notice.
const CONVERGE_EVERY: Duration = Duration::from_secs(5);
/// How soon they are looked at again when the store did not answer.
const CONVERGE_AGAIN: Duration = Duration::from_millis(500);

/// How soon a version that does not serve is tried again; the pause doubles, up to a minute or so.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How often clients may have the active versions looked at.
const ASKED_AGAIN: Duration = Duration::from_millis(250);

/// Why a plugin version was not installed or not activated. The text is for operators and authors.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is no plugin for this host. **Handling:** tell the author.
    #[error(transparent)]
    NotAPlugin(#[from] NotAPlugin),
    /// It takes a name that another plugin holds. **Handling:** tell the author to choose another.
    #[error("{reason}")]
    NamesTaken {
        /// Which name, and who holds it.
        reason: String,
    },
    /// It cannot read events that are recorded. **Handling:** tell the author to keep reading them, or to upcast.
    #[error("it cannot read what is recorded: {reason}")]
    CannotRead {
        /// Which events, and why.
        reason: String,
    },
    /// No such version is installed. **Handling:** install it first.
    #[error("no plugin version {digest} is installed")]
    Unknown {
        /// Which one.
        digest: Digest,
    },
    /// It broke while its instances were made ready. **Handling:** tell the author.
    #[error(transparent)]
    Broken(#[from] Fault),
    /// The event store did not do its part. **Handling:** try again later.
    #[error(transparent)]
    Store(#[from] event_store::Error),
    /// The read store did not do its part. **Handling:** try again later.
    #[error(transparent)]
    ReadStore(#[from] read_store::Error),
}

/// Installs and activates plugins. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registry {
    inner: Arc<Inner>,
}

/// What the registry works with.
pub(crate) struct Parts {
    pub(crate) loader: Loader,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) read_store: Arc<dyn ReadStore>,
    pub(crate) pipeline: Pipeline,
    pub(crate) engine: Engine,
    pub(crate) catalogs: Catalogs,
    pub(crate) planners: Planners,
}

struct Inner {
    parts: Parts,
    /// Held by an activation from its checks to its end, so that two do not interleave.
    activating: tokio::sync::Mutex<()>,
    /// Versions that are active and do not serve here, by name: each is tried again, less and less often.
    failed: Mutex<HashMap<String, Failed>>,
    /// When this process last converged because a client asked for what is not here.
    asked: Mutex<Option<Instant>>,
}

/// A version that is active and does not serve here.
#[derive(Clone, Copy)]
struct Failed {
    digest: Digest,
    tries: u32,
    again: Instant,
}

impl Registry {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            inner: Arc::new(Inner {
                parts,
                activating: tokio::sync::Mutex::default(),
                failed: Mutex::default(),
                asked: Mutex::default(),
            }),
        }
    }

    /// Takes up what the store says is active, where something else is here. A version that does not serve is told once,
    /// and the others go on.
    pub(crate) async fn converge(&self) -> Result<(), event_store::Error> {
        let _activating = self.inner.activating.lock().await;
        for stored in self.parts().store.active_plugins().await? {
            let catalog = self.parts().catalogs.load();
            let present = catalog.plugin(&stored.name).map(|plugin| plugin.digest);
            if present == Some(stored.digest) || self.has_failed(&stored) {
                continue;
            }
            let taken_up = match self.parts().loader.installed(stored.digest).await {
                Err(Refused::Store(error)) => return Err(error),
                Ok(plugin) => self.serve(&plugin).await,
                Err(refused) => Err(refused),
            };
            match taken_up {
                Ok(()) => {
                    self.failed().remove(&stored.name);
                    tracing::info!(
                        plugin = stored.name, version = stored.version, digest = %stored.digest.short(),
                        "serves, as the event store says"
                    );
                }
                Err(refused) => self.note_failure(&stored, &refused),
            }
        }
        Ok(())
    }

    /// Converges whenever something may have changed, here or in another process. `converged` turns true with the first
    /// time.
    pub(crate) async fn converge_for_ever(&self, converged: watch::Sender<bool>) {
        let store = &self.parts().store;
        let (mut changed, mut epoch) = (store.plugins_changed(), store.epoch());
        let stale = self.parts().pipeline.stale();
        loop {
            let pause = match self.converge().await {
                Ok(()) => {
                    converged.send_replace(true);
                    CONVERGE_EVERY
                }
                Err(error) => {
                    tracing::debug!(%error, "the active plugins are not known yet");
                    CONVERGE_AGAIN
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stale.notified() => {}
                _ = changed.changed() => {}
                _ = epoch.changed() => {}
            }
        }
    }

    /// Converges now because a client asked for an aggregate that is not here: another process may have activated it.
    /// Clients that ask for what there is nowhere cannot make it happen often.
    pub(crate) async fn converge_for_client(&self) {
        let now = Instant::now();
        let is_due = |last: Instant| now.duration_since(last) > ASKED_AGAIN;
        {
            let mut asked = self
                .inner
                .asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if !asked.is_none_or(is_due) {
                return;
            }
            *asked = Some(now);
        }
        if let Err(error) = self.converge().await {
            tracing::debug!(%error, "the active plugins are not known now");
        }
    }

    /// Tells whether a version did not serve when it was tried, and is not to be tried again yet.
    fn has_failed(&self, stored: &StoredPlugin) -> bool {
        let failed = self.failed();
        failed
            .get(&stored.name)
            .is_some_and(|failed| failed.digest == stored.digest && Instant::now() < failed.again)
    }

    /// Whatever was active before serves on, and commands to it wait for this version: nobody is to send more here.
    fn note_failure(&self, stored: &StoredPlugin, refused: &Refused) {
        tracing::error!(plugin = stored.name, digest = %stored.digest, reason = %refused, "an active plugin does not serve");
        let mut failed = self.failed();
        let tries = failed
            .get(&stored.name)
            .filter(|failed| failed.digest == stored.digest)
            .map_or(0, |failed| failed.tries + 1);
        let again = Instant::now() + TRY_AGAIN * 2_u32.saturating_pow(tries.min(6));
        let digest = stored.digest;
        failed.insert(
            stored.name.clone(),
            Failed {
                digest,
                tries,
                again,
            },
        );
        drop(failed);
        let reason = format!("the active version does not serve: {refused}");
        self.note_refusal(&stored.name, reason, true);
    }

    fn failed(&self) -> MutexGuard<'_, HashMap<String, Failed>> {
        self.inner
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks bytes and keeps them; nothing is activated. Installing the same bytes again changes nothing.
    pub(crate) async fn install(
        &self,
        source: &str,
        bytes: Vec<u8>,
    ) -> Result<Arc<Plugin>, Refused> {
        let installed = self.try_install(bytes).await;
        match &installed {
            Ok(plugin) => {
                self.parts().catalogs.absolve(source);
                tracing::info!(
                    plugin = plugin.descriptor.name, version = plugin.descriptor.version,
                    digest = %plugin.digest.short(), "installed"
                );
            }
            Err(refused) => {
                tracing::warn!(source, reason = %refused, "a plugin was refused; what was active serves on");
                self.note_refusal(source, refused.to_string(), false);
            }
        }
        installed
    }

    async fn try_install(&self, bytes: Vec<u8>) -> Result<Arc<Plugin>, Refused> {
        let bytes: Arc<[u8]> = bytes.into();
        let plugin = self.parts().loader.load(Arc::clone(&bytes)).await?;
        self.check(&plugin).await?;
        let descriptor = &plugin.descriptor;
        let stored = StoredPlugin {
            name: descriptor.name.clone(),
            version: descriptor.version.clone(),
            digest: plugin.digest,
            aggregate: descriptor
                .aggregate
                .as_ref()
                .map(|aggregate| aggregate.name.to_string()),
            installed_at: Time::now(),
        };
        self.parts().store.install_plugin(stored, bytes).await?;
        Ok(plugin)
    }

    /// Makes an installed version the active one. Returns when commands are decided by it; a projection that has to be
    /// rebuilt is switched to when it has caught up.
    pub(crate) async fn activate(&self, digest: Digest) -> Result<Arc<Plugin>, Refused> {
        let plugin = self.parts().loader.installed(digest).await?;
        let activated = self.try_activate(&plugin).await;
        if let Err(refused) = &activated {
            let name = plugin.descriptor.name.as_str();
            tracing::warn!(plugin = name, digest = %digest.short(), reason = %refused, "an activation was refused");
            self.note_refusal(name, refused.to_string(), false);
        }
        activated.map(|()| plugin)
    }

    async fn try_activate(&self, plugin: &Arc<Plugin>) -> Result<(), Refused> {
        let _activating = self.inner.activating.lock().await;
        let name = plugin.descriptor.name.as_str();
        if self.is_active(plugin).await? {
            return Ok(());
        }
        self.check(plugin).await?;
        self.prepare(plugin).await?;
        self.parts()
            .store
            .activate_plugin(name, plugin.digest)
            .await?;
        self.switch(plugin).await?;
        tracing::info!(plugin = name, version = plugin.descriptor.version, digest = %plugin.digest.short(), "activated");
        Ok(())
    }

    /// Tells whether a version serves here and is the one that the store says is active: another process may have
    /// activated another one since.
    async fn is_active(&self, plugin: &Plugin) -> Result<bool, Refused> {
        let name = plugin.descriptor.name.as_str();
        let catalog = self.parts().catalogs.load();
        if catalog
            .plugin(name)
            .is_none_or(|it| it.digest != plugin.digest)
        {
            return Ok(false);
        }
        let active = self.parts().store.active_plugins().await?;
        Ok(active
            .iter()
            .any(|it| it.name == name && it.digest == plugin.digest))
    }

    async fn serve(&self, plugin: &Arc<Plugin>) -> Result<(), Refused> {
        self.prepare(plugin).await?;
        self.switch(plugin).await
    }

    async fn prepare(&self, plugin: &Arc<Plugin>) -> Result<(), Refused> {
        if plugin.descriptor.aggregate.is_some() {
            self.parts().pipeline.prepare(plugin).await?;
        }
        Ok(())
    }

    /// Brings workers, catalog and engine to a version that the store says is active.
    async fn switch(&self, plugin: &Arc<Plugin>) -> Result<(), Refused> {
        if let Some(aggregate) = &plugin.descriptor.aggregate {
            self.parts()
                .pipeline
                .promote(aggregate.name.as_str(), plugin.digest);
        }
        self.parts().catalogs.replace(plugin);
        self.parts().engine.activate(plugin).await;
        let mut used: Vec<Digest> = self
            .parts()
            .engine
            .all_live()
            .iter()
            .map(|live| live.plugin.digest)
            .collect();
        used.extend(
            self.parts()
                .catalogs
                .load()
                .plugins()
                .map(|plugin| plugin.digest),
        );
        self.parts().planners.forget_all_but(&used);
        self.parts().loader.forget_all_but(&used);
        Ok(())
    }

    async fn check(&self, plugin: &Arc<Plugin>) -> Result<(), Refused> {
        let names = self.parts().catalogs.load().check_names(&plugin.descriptor);
        names.map_err(|reason| Refused::NamesTaken { reason })?;
        gate::check(self.parts(), plugin).await
    }

    fn parts(&self) -> &Parts {
        &self.inner.parts
    }

    fn note_refusal(&self, source: &str, reason: String, leaves_gap: bool) {
        let refusal = Refusal {
            source: source.to_owned(),
            reason,
            at: Time::now(),
            leaves_gap,
        };
        self.parts().catalogs.refuse(&refusal);
    }
}

/// Loads plugin versions, each once as long as it is used. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Loader {
    sandbox: Sandbox,
    cache: CodeCache,
    config: Arc<Config>,
    store: Arc<dyn EventStore>,
    loaded: Arc<Mutex<HashMap<Digest, Arc<Plugin>>>>,
}

impl Loader {
    pub(crate) fn new(
        sandbox: Sandbox,
        cache: CodeCache,
        config: Arc<Config>,
        store: Arc<dyn EventStore>,
    ) -> Self {
        Self {
            sandbox,
            cache,
            config,
            store,
            loaded: Arc::default(),
        }
    }

    async fn load(&self, bytes: Arc<[u8]>) -> Result<Arc<Plugin>, Refused> {
        let digest = Digest::of(&bytes);
        if let Some(plugin) = self
            .loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&digest)
        {
            return Ok(Arc::clone(plugin));
        }
        let this = self.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            Plugin::load(&this.sandbox, &this.cache, &bytes, |name| {
                this.config.limits_of(name)
            })
        });
        let stopping = |_| event_store::Error::Unavailable {
            reason: "the host is stopping".to_owned(),
        };
        let plugin = Arc::new(loaded.await.map_err(stopping)??);
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(all.entry(digest).or_insert(plugin)))
    }

    async fn installed(&self, digest: Digest) -> Result<Arc<Plugin>, Refused> {
        if let Some(plugin) = self
            .loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&digest)
        {
            let plugin = Arc::clone(plugin);
            return Ok(plugin);
        }
        let bytes = self
            .store
            .load_plugin(digest)
            .await?
            .ok_or(Refused::Unknown { digest })?;
        self.load(bytes).await
    }

    /// Gives installed versions to the engine, which needs those that write older generations.
    pub(crate) fn for_engine(&self) -> PluginLoader {
        let this = self.clone();
        Arc::new(move |digest| {
            let this = this.clone();
            let load = async move {
                let loaded = this.installed(digest).await;
                loaded
                    .inspect_err(
                        |error| tracing::error!(%error, %digest, "a plugin version does not load"),
                    )
                    .ok()
            };
            load.boxed()
        })
    }

    fn forget_all_but(&self, used: &[Digest]) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|digest, plugin| used.contains(digest) || Arc::strong_count(plugin) > 1);
    }
}
