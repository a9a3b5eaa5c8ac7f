//! What this process knows of one projection: its generations, which one is live, and which process folds it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, Notify, watch};

use super::Live;
use super::runner::{Progress, Runner};
use super::status::{Pace, ProjectionStatus, RebuildStatus, RunState};
use crate::message::{Digest, Position};
use crate::plugin::Plugin;
use crate::read_store::{Generation, GenerationId};

/// One projection in this process.
pub(super) struct Projection {
    pub(super) name: String,
    known: Mutex<BTreeMap<u64, Arc<Known>>>,
    /// The number of the live one.
    live: watch::Sender<Option<u64>>,
    /// The number of the one that is to be switched to.
    candidate: Mutex<Option<u64>>,
    /// The plugin version that is to write it, with a number that counts the orders.
    pub(super) wanted: watch::Sender<(u64, Arc<Plugin>)>,
    /// The last order that was carried out, here or by following another process.
    pub(super) arranged: watch::Sender<u64>,
    /// Held while generations are arranged.
    pub(super) arranging: AsyncMutex<()>,
    /// Told when a runner has found another owner.
    pub(super) usurped: Notify,
    pub(super) demand: Arc<Demand>,
}

/// One generation in this process: fed here, or followed while another process feeds it.
pub(super) struct Known {
    pub(super) generation: GenerationId,
    pub(super) plugin: Arc<Plugin>,
    /// Outlives the runner, so that whoever waits for a position is not disturbed when its owner changes.
    pub(super) progress: Arc<watch::Sender<Progress>>,
    pub(super) pace: Pace,
    /// The epoch in which its checkpoint was last known to be of the store's history.
    pub(super) verified: AtomicU64,
    /// There while this process feeds it.
    runner: Mutex<Option<Arc<Runner>>>,
}

/// How many readers wait for a position that another process has to reach.
#[derive(Default)]
pub(super) struct Demand {
    waiting: AtomicUsize,
    risen: Notify,
}

/// One waiting reader; it no longer counts when it is dropped.
pub(super) struct Waiting(Arc<Demand>);

impl Demand {
    pub(super) fn wait(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.risen.notify_one();
        Waiting(Arc::clone(self))
    }

    pub(super) fn is_there(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Waits until a reader begins to wait.
    pub(super) async fn risen(&self) {
        self.risen.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Known {
    fn new(generation: &Generation, plugin: &Arc<Plugin>) -> Self {
        let progress = Progress {
            position: generation.applied,
            parked: generation.parked,
            deviates: generation.checkpoint.deviates,
            state: RunState::CatchingUp,
        };
        Self {
            generation: generation.id.clone(),
            plugin: Arc::clone(plugin),
            pace: Pace::start(progress.position),
            verified: AtomicU64::new(u64::MAX),
            progress: Arc::new(watch::Sender::new(progress)),
            runner: Mutex::default(),
        }
    }

    pub(super) fn runner(&self) -> Option<Arc<Runner>> {
        self.slot().as_ref().map(Arc::clone)
    }

    /// Feeds it here, unless it is fed here already.
    pub(super) fn feed(&self, start: impl FnOnce() -> Runner) {
        self.slot().get_or_insert_with(|| Arc::new(start()));
    }

    pub(super) fn stop_feeding(&self) {
        if let Some(runner) = self.slot().take() {
            runner.stop();
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Runner>>> {
        self.runner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Projection {
    pub(super) fn new(name: &str, plugin: &Arc<Plugin>) -> Self {
        Self {
            name: name.to_owned(),
            known: Mutex::default(),
            live: watch::Sender::new(None),
            candidate: Mutex::default(),
            wanted: watch::Sender::new((0, Arc::clone(plugin))),
            arranged: watch::Sender::new(0),
            arranging: AsyncMutex::default(),
            usurped: Notify::new(),
            demand: Arc::default(),
        }
    }

    /// Orders that a plugin version is to write it; gives the order's number.
    pub(super) fn want(&self, plugin: &Arc<Plugin>) -> u64 {
        let mut number = 0;
        self.wanted.send_modify(|wanted| {
            *wanted = (wanted.0 + 1, Arc::clone(plugin));
            number = wanted.0;
        });
        number
    }

    pub(super) fn live(&self) -> Option<Live> {
        let known = self.get((*self.live.borrow())?)?;
        // Where it is fed here, its progress moves by itself.
        let demand = known.runner().is_none().then(|| Arc::clone(&self.demand));
        Some(Live {
            generation: known.generation.clone(),
            plugin: Arc::clone(&known.plugin),
            progress: known.progress.subscribe(),
            demand,
        })
    }

    pub(super) fn live_number(&self) -> Option<u64> {
        *self.live.borrow()
    }

    pub(super) fn set_live(&self, number: u64) {
        self.live
            .send_if_modified(|live| live.replace(number) != Some(number));
    }

    pub(super) async fn until_live(&self, plugin: Digest) {
        let mut live = self.live.subscribe();
        let is = |number: &Option<u64>| {
            number
                .and_then(|number| self.get(number))
                .is_some_and(|known| known.plugin.digest == plugin)
        };
        // The sender lives as long as `self`.
        let _ = live.wait_for(is).await;
    }

    pub(super) fn candidate(&self) -> Option<u64> {
        *self
            .candidate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_candidate(&self, number: Option<u64>) {
        *self
            .candidate
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = number;
    }

    pub(super) fn get(&self, number: u64) -> Option<Arc<Known>> {
        self.known().get(&number).map(Arc::clone)
    }

    /// Finds a generation among the known ones, and takes it up when it is new.
    pub(super) fn take_up(&self, generation: &Generation, plugin: &Arc<Plugin>) -> Arc<Known> {
        let mut known = self.known();
        let known = known
            .entry(generation.id.number)
            .or_insert_with(|| Arc::new(Known::new(generation, plugin)));
        Arc::clone(known)
    }

    pub(super) fn forget(&self, number: u64) {
        if let Some(known) = self.known().remove(&number) {
            known.stop_feeding();
        }
    }

    /// Forgets the generations that are no more.
    pub(super) fn keep_only(&self, generations: &[Generation]) {
        self.known().retain(|number, known| {
            let is_there = generations.iter().any(|it| it.id.number == *number);
            if !is_there {
                known.stop_feeding();
            }
            is_there
        });
    }

    /// Feeds nothing any more: another process may do so.
    pub(super) fn stop_feeding(&self) {
        self.set_candidate(None);
        for known in self.known().values() {
            known.stop_feeding();
        }
    }

    pub(super) fn status(&self, head: Position) -> ProjectionStatus {
        let live = self.live_number().and_then(|number| self.get(number));
        let candidate = self.candidate().and_then(|number| self.get(number));
        let shown = live.or_else(|| candidate.clone());
        let rebuild = candidate.map(|known| rebuild_status(&known, head));
        let Some(shown) = shown else {
            return self.absent();
        };
        let progress = shown.progress.borrow().clone();
        ProjectionStatus {
            name: self.name.clone(),
            plugin: shown.plugin.descriptor.name.clone(),
            digest: shown.plugin.digest,
            generation: shown.generation.clone(),
            state: progress.state,
            position: progress.position,
            lag: head.0.saturating_sub(progress.position.0),
            parked: progress.parked,
            deviates: progress.deviates,
            rebuild,
        }
    }

    /// Between its first mention and its first generation.
    fn absent(&self) -> ProjectionStatus {
        ProjectionStatus {
            name: self.name.clone(),
            plugin: self.wanted.borrow().1.descriptor.name.clone(),
            digest: self.wanted.borrow().1.digest,
            generation: GenerationId {
                projection: self.name.clone(),
                number: 0,
            },
            state: RunState::CatchingUp,
            position: Position::START,
            lag: 0,
            parked: 0,
            deviates: false,
            rebuild: None,
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rebuild_status(known: &Known, head: Position) -> RebuildStatus {
    let progress = known.progress.borrow().clone();
    let (percent, events_per_second, seconds_left) = known.pace.of(progress.position, head);
    RebuildStatus {
        digest: known.plugin.digest,
        generation: known.generation.clone(),
        percent,
        events_per_second,
        seconds_left,
        parked: progress.parked,
        state: progress.state,
    }
}
