//! Arranging the generations of a projection that this process owns: which are fed, and which one is live.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::Inner;
use super::known::{Known, Projection};
use super::runner::Runner;
use super::status::RunState;
use crate::crash_point;
use crate::message::{Digest, Position, StoreId, Time};
use crate::plugin::Plugin;
use crate::read_store::{self, Generation, GenerationId};

/// How long the live generation may be held still for a switch. A candidate at the tail needs milliseconds.
const STAND_STILL: Duration = Duration::from_millis(500);
/// How long the live generation runs on before a candidate that was not quick enough is tried again.
const SWITCH_AGAIN: Duration = Duration::from_millis(50);
/// How long a candidate that parks more than the live one is left alone.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Gives an installed plugin version, compiled; `None` when the store does not hold it.
pub type PluginLoader =
    Arc<dyn Fn(Digest) -> BoxFuture<'static, Option<Arc<Plugin>>> + Send + Sync>;

/// Brings a projection's generations to what a plugin version asks for: feeds the live one, resumes or creates the one that
/// the version writes, and has it switched to when it has caught up. A former candidate that never went live is given up.
pub(super) async fn arrange(
    inner: &Arc<Inner>,
    projection: &Arc<Projection>,
    plugin: &Arc<Plugin>,
) -> Result<(), read_store::Error> {
    let name = projection.name.as_str();
    let _arranging = projection.arranging.lock().await;
    let store = inner.store_id()?;
    let generations = inner.ports.read_store.generations(name).await?;
    projection.keep_only(&generations);
    let live = generations.iter().find(|generation| generation.live);
    let is_of_this_store = |generation: &Generation| generation.checkpoint.store == store;
    if let Some(live) = live {
        serve_live(inner, projection, live, plugin, is_of_this_store(live)).await?;
        if live.checkpoint.plugin == plugin.digest && is_of_this_store(live) {
            give_up_candidates(inner, projection, &generations, None).await;
            return Ok(());
        }
    }
    feed_retired(inner, projection, &generations, store).await;
    let is_resumable = |it: &&Generation| {
        !it.live && it.checkpoint.plugin == plugin.digest && is_of_this_store(it)
    };
    let candidate = match generations.iter().rev().find(is_resumable) {
        Some(generation) => generation.clone(),
        None => create(inner, plugin, name, store).await?,
    };
    give_up_candidates(inner, projection, &generations, Some(candidate.id.number)).await;
    feed(inner, projection, &candidate, plugin);
    projection.set_candidate(Some(candidate.id.number));
    if live.is_none() {
        // Nothing is served yet, so nothing can be stale: it is live from its first event on.
        return go_live(inner, projection, &candidate.id).await;
    }
    let (inner_too, projection) = (Arc::clone(inner), Arc::clone(projection));
    inner.spawn(async move {
        let mut stop = inner_too.stop.subscribe();
        tokio::select! {
            () = switch_when_caught_up(&inner_too, &projection, candidate.id) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
    Ok(())
}

/// Feeds a generation here, if it is not fed here already.
fn feed(
    inner: &Arc<Inner>,
    projection: &Arc<Projection>,
    generation: &Generation,
    plugin: &Arc<Plugin>,
) {
    let known = projection.take_up(generation, plugin);
    known.feed(|| Runner::start(inner, projection, &known));
}

/// Feeds what was switched away from and is kept for a way back, so that the way back is short after a restart too.
async fn feed_retired(
    inner: &Arc<Inner>,
    projection: &Arc<Projection>,
    generations: &[Generation],
    store: StoreId,
) {
    let retired = generations
        .iter()
        .filter(|it| !it.live && it.retired_at.is_some() && it.checkpoint.store == store);
    for generation in retired {
        if let Some(writer) = writer(inner, projection, generation).await {
            feed(inner, projection, generation, &writer);
        }
    }
}

/// Gives the plugin version that writes a generation.
async fn writer(
    inner: &Inner,
    projection: &Projection,
    generation: &Generation,
) -> Option<Arc<Plugin>> {
    match projection.get(generation.id.number) {
        Some(known) => Some(Arc::clone(&known.plugin)),
        None => (inner.ports.plugins)(generation.checkpoint.plugin).await,
    }
}

async fn create(
    inner: &Inner,
    plugin: &Arc<Plugin>,
    name: &str,
    store: StoreId,
) -> Result<Generation, read_store::Error> {
    let collections = plugin
        .descriptor
        .projection
        .iter()
        .flat_map(|it| it.collections.iter());
    let collections: Vec<_> = collections.map(crate::plugin::Collection::spec).collect();
    let read_store = &inner.ports.read_store;
    let id = read_store
        .create_generation(name, store, plugin.digest, &collections)
        .await?;
    crash_point::reached("generation/created");
    let created = read_store.generations(name).await?;
    created
        .into_iter()
        .find(|generation| generation.id == id)
        .ok_or(read_store::Error::NoGeneration { generation: id })
}

/// Serves the live generation, and feeds it with the version that writes it, which need not be the active one. One that
/// was folded from another store is served as it is until its successor is ready.
async fn serve_live(
    inner: &Arc<Inner>,
    projection: &Arc<Projection>,
    live: &Generation,
    active: &Arc<Plugin>,
    is_of_this_store: bool,
) -> Result<(), read_store::Error> {
    let writer = if live.checkpoint.plugin == active.digest {
        Some(Arc::clone(active))
    } else {
        writer(inner, projection, live).await
    };
    let Some(writer) = writer else {
        // That it is not there is one thing, that it cannot be had now another, to be tried again.
        let stored = inner.ports.store.find_plugin(live.checkpoint.plugin).await;
        if !matches!(stored, Ok(None)) {
            let reason = "the plugin version that writes the live generation does not load";
            return Err(read_store::Error::Unavailable {
                reason: reason.to_owned(),
            });
        }
        tracing::error!(
            projection = projection.name, digest = %live.checkpoint.plugin,
            "the plugin version that writes the live generation is not in the store; the new one replaces it when it is ready"
        );
        return Ok(());
    };
    if is_of_this_store {
        feed(inner, projection, live, &writer);
    } else {
        // Its positions are another history's, so that nobody who waits for one may read it.
        let known = projection.take_up(live, &writer);
        known
            .progress
            .send_modify(|progress| progress.position = Position::START);
    }
    projection.set_live(live.id.number);
    Ok(())
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
            projection.forget(number);
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
        let Some(known) = fed(projection, candidate.number) else {
            return;
        };
        let mut progress = known.progress.subscribe();
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
        match try_switch(inner, projection, &known).await {
            Ok(None) => return,
            Ok(Some(pause)) => tokio::time::sleep(pause).await,
            Err(error) => {
                tracing::warn!(%error, projection = projection.name, "a switch is tried again");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }
}

/// A generation that is fed here.
fn fed(projection: &Projection, number: u64) -> Option<Arc<Known>> {
    projection
        .get(number)
        .filter(|known| known.runner().is_some())
}

/// Holds the live generation still until the candidate has reached it, so that no reader ever goes back in time.
///
/// Gives `None` when it is done, else how long to wait, holding nothing, before it is tried again.
async fn try_switch(
    inner: &Arc<Inner>,
    projection: &Projection,
    candidate: &Known,
) -> Result<Option<Duration>, read_store::Error> {
    let _arranging = projection.arranging.lock().await;
    if projection.candidate() != Some(candidate.generation.number) {
        return Ok(None);
    }
    let live = projection
        .live_number()
        .and_then(|number| fed(projection, number));
    let Some((live, feeding)) = live.and_then(|live| Some((Arc::clone(&live), live.runner()?)))
    else {
        // Nobody feeds what is live, so it cannot run ahead; the candidate is to have everything there is.
        let head = *inner.ports.store.head().borrow();
        if candidate.progress.borrow().position < head {
            return Ok(Some(SWITCH_AGAIN));
        }
        go_live(inner, projection, &candidate.generation).await?;
        return Ok(None);
    };
    let _standing_still = feeding.gate.lock().await;
    let target = live.progress.borrow().clone();
    let mut progress = candidate.progress.subscribe();
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
    crash_point::reached("switch/ready");
    inner.ports.read_store.switch(generation).await?;
    crash_point::reached("switch/done");
    projection.set_candidate(None);
    projection.set_live(generation.number);
    tracing::info!(
        projection = projection.name,
        generation = generation.number,
        "a generation is live"
    );
    Ok(())
}

/// Drops retired generations when they have been fed on for long enough.
pub(super) async fn prune(inner: &Inner, projection: &Projection) -> Result<(), read_store::Error> {
    let _arranging = projection.arranging.lock().await;
    let retention = i64::try_from(inner.settings.retention.as_micros()).unwrap_or(i64::MAX);
    for generation in inner.ports.read_store.generations(&projection.name).await? {
        let retired = generation
            .retired_at
            .is_some_and(|at| Time::now().0.saturating_sub(at.0) > retention);
        let number = generation.id.number;
        if retired && !generation.live && projection.candidate() != Some(number) {
            projection.forget(number);
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
