//! Which generations of a projection are fed, and which one is live.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::runner::Runner;
use super::status::{ProjectionStatus, RebuildStatus, RunState};
use super::{Inner, Live};
use crate::message::{Digest, Position, Time};
use crate::plugin::Plugin;
use crate::read_store::{self, Generation, GenerationId};

/// How often retired generations are looked through.
const PRUNE_EVERY: Duration = Duration::from_secs(5);
/// How long the live generation may be held still for a switch. A candidate at the tail needs milliseconds.
const STAND_STILL: Duration = Duration::from_millis(500);
/// How long the live generation runs on before a candidate that was not quick enough is tried again.
const SWITCH_AGAIN: Duration = Duration::from_millis(50);
/// How long a candidate that parks more than the live one is left alone.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Gives an installed plugin version, compiled; `None` when the store does not hold it.
pub type PluginLoader =
    Arc<dyn Fn(Digest) -> BoxFuture<'static, Option<Arc<Plugin>>> + Send + Sync>;

/// One projection: its generations in this process.
pub(super) struct Projection {
    name: String,
    runners: Mutex<BTreeMap<u64, Arc<Runner>>>,
    /// The number of the live one.
    live: watch::Sender<Option<u64>>,
    /// The number of the one that is to be switched to.
    candidate: Mutex<Option<u64>>,
    /// Held while generations are arranged, so that two activations do not interleave.
    arranging: tokio::sync::Mutex<()>,
}

impl Projection {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            runners: Mutex::default(),
            live: watch::Sender::new(None),
            candidate: Mutex::default(),
            arranging: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn live(&self) -> Option<Live> {
        let number = (*self.live.borrow())?;
        let runner = self.runner(number)?;
        Some(Live {
            generation: runner.generation.clone(),
            plugin: Arc::clone(&runner.plugin),
            progress: runner.progress.clone(),
        })
    }

    pub(super) async fn until_live(&self, plugin: Digest) {
        let mut live = self.live.subscribe();
        let is = |number: &Option<u64>| {
            number
                .and_then(|number| self.runner(number))
                .is_some_and(|runner| runner.plugin.digest == plugin)
        };
        // The sender lives as long as `self`.
        let _ = live.wait_for(is).await;
    }

    pub(super) fn status(&self, head: Position) -> ProjectionStatus {
        let live = (*self.live.borrow()).and_then(|number| self.runner(number));
        let candidate = self.candidate().and_then(|number| self.runner(number));
        let shown = live.or_else(|| candidate.clone());
        let rebuild = candidate.map(|runner| rebuild_status(&runner, head));
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
            plugin: String::new(),
            digest: Digest([0; 32]),
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

    fn runners(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Runner>>> {
        self.runners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runner(&self, number: u64) -> Option<Arc<Runner>> {
        self.runners().get(&number).map(Arc::clone)
    }

    fn candidate(&self) -> Option<u64> {
        *self
            .candidate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn set_candidate(&self, number: Option<u64>) {
        *self
            .candidate
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = number;
    }

    /// Feeds a generation, if it is not fed already.
    fn feed(&self, inner: &Arc<Inner>, generation: &Generation, plugin: &Arc<Plugin>) {
        let mut runners = self.runners();
        runners.entry(generation.id.number).or_insert_with(|| {
            Arc::new(Runner::start(
                inner,
                generation.id.clone(),
                plugin,
                &generation.checkpoint,
            ))
        });
    }

    fn stop_feeding(&self, number: u64) {
        if let Some(runner) = self.runners().remove(&number) {
            runner.stop();
        }
    }
}

fn rebuild_status(runner: &Runner, head: Position) -> RebuildStatus {
    let progress = runner.progress.borrow().clone();
    let (percent, events_per_second, seconds_left) = runner.pace().of(progress.position, head);
    RebuildStatus {
        digest: runner.plugin.digest,
        generation: runner.generation.clone(),
        percent,
        events_per_second,
        seconds_left,
        parked: progress.parked,
        state: progress.state,
    }
}

/// See [`super::Engine::activate`].
pub(super) async fn activate(
    inner: &Arc<Inner>,
    plugin: &Arc<Plugin>,
) -> Result<(), read_store::Error> {
    let Some(descriptor) = &plugin.descriptor.projection else {
        return Ok(());
    };
    let name = descriptor.name.as_str();
    let projection = {
        let mut projections = inner.projections();
        Arc::clone(
            projections
                .entry(name.to_owned())
                .or_insert_with(|| Arc::new(Projection::new(name))),
        )
    };
    let _arranging = projection.arranging.lock().await;
    let read_store = &inner.ports.read_store;
    let generations = read_store.generations(name).await?;
    let live = generations.iter().find(|generation| generation.live);
    if let Some(live) = live {
        feed_live(inner, &projection, live, plugin).await;
        if live.checkpoint.plugin == plugin.digest {
            give_up_candidates(inner, &projection, &generations, None).await;
            return Ok(());
        }
    }
    feed_retired(inner, &projection, &generations).await;
    let resumable = generations
        .iter()
        .rev()
        .find(|it| !it.live && it.checkpoint.plugin == plugin.digest);
    let candidate = match resumable {
        Some(generation) => generation.id.clone(),
        None => create(inner, plugin, name).await?,
    };
    give_up_candidates(inner, &projection, &generations, Some(candidate.number)).await;
    let generations = read_store.generations(name).await?;
    let Some(candidate) = generations
        .into_iter()
        .find(|generation| generation.id == candidate)
    else {
        return Err(read_store::Error::NoGeneration {
            generation: candidate,
        });
    };
    projection.feed(inner, &candidate, plugin);
    projection.set_candidate(Some(candidate.id.number));
    if live.is_none() {
        // Nothing is served yet, so nothing can be stale: it is live from its first event on.
        return go_live(inner, &projection, &candidate.id).await;
    }
    let (inner_too, projection) = (Arc::clone(inner), Arc::clone(&projection));
    inner.spawn(async move {
        let mut stop = inner_too.stop.subscribe();
        tokio::select! {
            () = switch_when_caught_up(&inner_too, &projection, candidate.id) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
    Ok(())
}

/// Feeds what was switched away from and is kept for a way back, so that the way back is short after a restart too.
async fn feed_retired(inner: &Arc<Inner>, projection: &Projection, generations: &[Generation]) {
    let retired = generations
        .iter()
        .filter(|generation| !generation.live && generation.retired_at.is_some());
    for generation in retired {
        if projection.runner(generation.id.number).is_none()
            && let Some(writer) = (inner.ports.plugins)(generation.checkpoint.plugin).await
        {
            projection.feed(inner, generation, &writer);
        }
    }
}

async fn create(
    inner: &Inner,
    plugin: &Arc<Plugin>,
    name: &str,
) -> Result<GenerationId, read_store::Error> {
    let collections = plugin
        .descriptor
        .projection
        .iter()
        .flat_map(|it| it.collections.iter());
    let collections: Vec<_> = collections.map(crate::plugin::Collection::spec).collect();
    let Some(store) = inner.ports.store.id() else {
        return Err(read_store::Error::Unavailable {
            reason: "the event store was not reached yet".to_owned(),
        });
    };
    inner
        .ports
        .read_store
        .create_generation(name, store, plugin.digest, &collections)
        .await
}

/// Feeds the live generation with the version that writes it, which need not be the active one.
async fn feed_live(
    inner: &Arc<Inner>,
    projection: &Projection,
    live: &Generation,
    active: &Arc<Plugin>,
) {
    let writer = if live.checkpoint.plugin == active.digest {
        Some(Arc::clone(active))
    } else {
        match projection.runner(live.id.number) {
            Some(runner) => Some(Arc::clone(&runner.plugin)),
            None => (inner.ports.plugins)(live.checkpoint.plugin).await,
        }
    };
    match writer {
        Some(writer) => {
            projection.feed(inner, live, &writer);
            projection.live.send_replace(Some(live.id.number));
        }
        None => tracing::error!(
            projection = projection.name, digest = %live.checkpoint.plugin,
            "the plugin version that writes the live generation is not in the store; the new one replaces it when it is ready"
        ),
    }
}

/// Drops generations that were being filled and are not wanted any more. Retired ones are left to pruning.
async fn give_up_candidates(
    inner: &Inner,
    projection: &Projection,
    generations: &[Generation],
    wanted: Option<u64>,
) {
    projection.set_candidate(None);
    for generation in generations {
        let number = generation.id.number;
        if !generation.live && generation.retired_at.is_none() && wanted != Some(number) {
            projection.stop_feeding(number);
            if let Err(error) = inner.ports.read_store.drop_generation(&generation.id).await {
                tracing::warn!(%error, "a generation that was given up was not dropped");
            }
        }
    }
}

/// Switches when the candidate has everything that the live one has, and is still wanted.
async fn switch_when_caught_up(
    inner: &Arc<Inner>,
    projection: &Projection,
    candidate: GenerationId,
) {
    loop {
        let Some(runner) = projection.runner(candidate.number) else {
            return;
        };
        let mut progress = runner.progress.clone();
        let ready = progress
            .wait_for(|progress| progress.state != RunState::CatchingUp)
            .await;
        match ready.map(|progress| progress.state.clone()) {
            Ok(RunState::Live) => {}
            // A candidate that has stopped never goes live; its reason is in the status.
            Ok(_) | Err(_) => return,
        }
        if projection.candidate() != Some(candidate.number) {
            return;
        }
        match try_switch(inner, projection, &runner).await {
            Ok(None) => return,
            Ok(Some(pause)) => tokio::time::sleep(pause).await,
            Err(error) => {
                tracing::warn!(%error, projection = projection.name, "a switch is tried again");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }
}

/// Holds the live generation still until the candidate has reached it, so that no reader ever goes back in time.
///
/// Gives `None` when it is done, else how long to wait, holding nothing, before it is tried again.
async fn try_switch(
    inner: &Arc<Inner>,
    projection: &Projection,
    candidate: &Runner,
) -> Result<Option<Duration>, read_store::Error> {
    let _arranging = projection.arranging.lock().await;
    if projection.candidate() != Some(candidate.generation.number) {
        return Ok(None);
    }
    let live = (*projection.live.borrow()).and_then(|number| projection.runner(number));
    let Some(live) = live else {
        go_live(inner, projection, &candidate.generation).await?;
        return Ok(None);
    };
    let _standing_still = live.gate.lock().await;
    let target = live.progress.borrow().clone();
    let mut progress = candidate.progress.clone();
    let reached = progress.wait_for(|progress| progress.position >= target.position);
    if !matches!(tokio::time::timeout(STAND_STILL, reached).await, Ok(Ok(_))) {
        return Ok(Some(SWITCH_AGAIN));
    }
    let parked = candidate.progress.borrow().parked;
    if parked > target.parked {
        tracing::warn!(
            projection = projection.name,
            parked,
            parked_in_live = target.parked,
            "the new version parks more events than the live one: it is not switched to"
        );
        return Ok(Some(LOOK_AGAIN));
    }
    go_live(inner, projection, &candidate.generation).await?;
    Ok(None)
}

async fn go_live(
    inner: &Inner,
    projection: &Projection,
    generation: &GenerationId,
) -> Result<(), read_store::Error> {
    inner.ports.read_store.switch(generation).await?;
    projection.set_candidate(None);
    projection.live.send_replace(Some(generation.number));
    tracing::info!(
        projection = projection.name,
        generation = generation.number,
        "a generation is live"
    );
    Ok(())
}

/// Drops retired generations when they have been fed on for long enough.
pub(super) async fn prune_for_ever(inner: &Inner) {
    let mut stop = inner.stop.subscribe();
    loop {
        tokio::select! {
            () = tokio::time::sleep(PRUNE_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let projections: Vec<_> = inner.projections().values().map(Arc::clone).collect();
        for projection in projections {
            if let Err(error) = prune(inner, &projection).await {
                tracing::debug!(%error, projection = projection.name, "retired generations were not pruned");
            }
        }
    }
}

async fn prune(inner: &Inner, projection: &Projection) -> Result<(), read_store::Error> {
    let _arranging = projection.arranging.lock().await;
    let retention = i64::try_from(inner.settings.retention.as_micros()).unwrap_or(i64::MAX);
    for generation in inner.ports.read_store.generations(&projection.name).await? {
        let retired = generation
            .retired_at
            .is_some_and(|at| Time::now().0.saturating_sub(at.0) > retention);
        let number = generation.id.number;
        if retired && !generation.live && projection.candidate() != Some(number) {
            projection.stop_feeding(number);
            inner
                .ports
                .read_store
                .drop_generation(&generation.id)
                .await?;
            tracing::info!(
                projection = projection.name,
                generation = number,
                "a retired generation was dropped"
            );
        }
    }
    Ok(())
}
