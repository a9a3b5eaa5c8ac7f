//! The projection engine: folds the events of all streams into documents.
//!
//! In come events in order of position, from the event log; out go documents and a checkpoint, committed together, so
//! that every event takes effect exactly once. Per projection one generation is live; a new plugin version fills a new
//! generation beside it and is switched to when it has caught up; the former one is fed on for a while.
//! An event that cannot be folded is retried, then parked with the later events of its stream; everything else goes on.
//! A read store that is away is no event's fault: the engine waits for it.

mod fold;
mod generations;
mod identity;
mod known;
mod runner;
mod status;
mod supervisor;
mod trial;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::event_log::EventLog;
use crate::event_store::EventStore;
use crate::message::{Digest, Position, StoreId};
use crate::plugin::Plugin;
use crate::read_store::{self, GenerationId, ReadStore};
pub use generations::PluginLoader;
use known::{Demand, Projection};
pub use runner::Progress;
pub use status::{ProjectionStatus, RebuildStatus, RunState};
pub use trial::Trial;

/// How long an activation waits for its projection to be under way: as long as a healthy store may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How projections behave.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often an event is tried before it is parked.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles, with jitter.
    pub backoff: Duration,
    /// How long a generation is fed on after it was switched away from.
    pub retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff: Duration::from_millis(50),
            retention: Duration::from_secs(600),
        }
    }
}

/// What the engine works with.
pub struct Ports {
    /// The only truth.
    pub store: Arc<dyn EventStore>,
    /// Where new events come from.
    pub log: Arc<dyn EventLog>,
    /// Where documents go.
    pub read_store: Arc<dyn ReadStore>,
    /// Gives an installed plugin version, for generations that an earlier version writes.
    pub plugins: PluginLoader,
}

/// Folds projections. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    ports: Ports,
    settings: Settings,
    projections: Mutex<HashMap<String, Arc<Projection>>>,
    tasks: Mutex<JoinSet<()>>,
    stop: watch::Sender<bool>,
}

/// The generation that queries read, at one moment.
#[derive(Clone)]
pub struct Live {
    /// Which one.
    pub generation: GenerationId,
    /// The plugin version that writes it.
    pub plugin: Arc<Plugin>,
    /// How far it is.
    pub progress: watch::Receiver<Progress>,
    /// Where another process folds it: who waits says so, to be told soon.
    demand: Option<Arc<Demand>>,
}

/// Why a generation has not reached a position in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReached {
    /// It is still on its way. **Handling:** answer 504 with the present position.
    #[error("the projection is at position {present}")]
    TimedOut {
        /// Where it is.
        present: Position,
    },
    /// It has stopped and will not get there by itself. **Handling:** answer 503; the reason is for the operator.
    #[error("the projection has stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
}

impl Live {
    /// Waits until everything up to a position has taken effect in this generation.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<(), NotReached> {
        let mut progress = self.progress.clone();
        let _waiting = self
            .demand
            .as_ref()
            .filter(|_| progress.borrow().position < position)
            .map(Demand::wait);
        let reached = progress.wait_for(|now| {
            now.position >= position || matches!(now.state, RunState::Faulted { .. })
        });
        let state = match tokio::time::timeout(timeout, reached).await {
            Ok(Ok(progress)) => match &progress.state {
                // Its position may be one of another history.
                RunState::Faulted { reason } => RunState::Faulted {
                    reason: reason.clone(),
                },
                RunState::CatchingUp | RunState::Live => return Ok(()),
            },
            Ok(Err(_)) => RunState::Faulted {
                reason: "the host is stopping".to_owned(),
            },
            Err(_) => RunState::CatchingUp,
        };
        match state {
            RunState::Faulted { reason } => Err(NotReached::Stopped { reason }),
            RunState::CatchingUp | RunState::Live => Err(NotReached::TimedOut {
                present: self.progress.borrow().position,
            }),
        }
    }
}

impl Engine {
    /// Makes an engine that folds nothing yet.
    pub fn new(ports: Ports, settings: Settings) -> Self {
        let inner = Inner {
            ports,
            settings,
            projections: Mutex::default(),
            tasks: Mutex::default(),
            stop: watch::Sender::new(false),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Folds a plugin version's projection from now on, here or in another process, and makes it the live one when it has
    /// caught up. A former candidate that never went live is given up.
    ///
    /// Returns when that is under way, or when the stores let it wait: it is done as soon as they are there.
    pub async fn activate(&self, plugin: &Arc<Plugin>) {
        let Some(descriptor) = &plugin.descriptor.projection else {
            return;
        };
        let projection = self.inner.projection(&descriptor.name, plugin);
        let mut arranged = projection.arranged.subscribe();
        let order = projection.want(plugin);
        let under_way = arranged.wait_for(|arranged| *arranged >= order);
        // Neither late nor stopping is an error.
        let _ = tokio::time::timeout(PATIENCE, under_way).await;
    }

    /// Returns the generation that queries of a projection read.
    pub fn live(&self, projection: &str) -> Option<Live> {
        self.inner.projections().get(projection)?.live()
    }

    /// Returns the generations that queries read, over all projections.
    pub fn all_live(&self) -> Vec<Live> {
        self.inner
            .projections()
            .values()
            .filter_map(|projection| projection.live())
            .collect()
    }

    /// Returns how every projection stands, by name.
    pub fn status(&self) -> Vec<ProjectionStatus> {
        let head = *self.inner.ports.store.head().borrow();
        let projections = self.inner.projections();
        let mut status: Vec<_> = projections
            .values()
            .map(|projection| projection.status(head))
            .collect();
        status.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        status
    }

    /// Waits until a plugin version is the one that queries read.
    pub async fn wait_until_live(
        &self,
        projection: &str,
        plugin: Digest,
        timeout: Duration,
    ) -> bool {
        let Some(projection) = self.inner.projections().get(projection).map(Arc::clone) else {
            return false;
        };
        tokio::time::timeout(timeout, projection.until_live(plugin))
            .await
            .is_ok()
    }

    /// Tells everything to end, without waiting for it.
    pub fn tell_to_stop(&self) {
        self.inner.stop.send_replace(true);
    }

    /// Ends all folding; what was committed stays, the rest is folded again after the next start.
    pub async fn stop(&self) {
        self.tell_to_stop();
        let mut tasks = std::mem::take(
            &mut *self
                .inner
                .tasks
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        while tasks.join_next().await.is_some() {}
    }
}

impl Inner {
    fn projections(&self) -> MutexGuard<'_, HashMap<String, Arc<Projection>>> {
        self.projections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a projection; one that is new is supervised from now on.
    fn projection(self: &Arc<Self>, name: &str, plugin: &Arc<Plugin>) -> Arc<Projection> {
        if let Some(known) = self.projections().get(name) {
            return Arc::clone(known);
        }
        let projection = Arc::new(Projection::new(name, plugin));
        self.projections()
            .insert(name.to_owned(), Arc::clone(&projection));
        self.spawn(supervisor::supervise(
            Arc::clone(self),
            Arc::clone(&projection),
        ));
        projection
    }

    fn store_id(&self) -> Result<StoreId, read_store::Error> {
        self.ports.store.id().ok_or_else(|| {
            let reason = "the event store was not reached yet".to_owned();
            read_store::Error::Unavailable { reason }
        })
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}
