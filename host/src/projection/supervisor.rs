//! Who folds a projection: this process while it owns it, else it follows what the owner does.
//!
//! Ownership keeps two processes from doing the same work; what keeps them from spoiling it is the generation's checkpoint,
//! which only its present owner moves. An owner that loses the event store from sight stops, and whoever reaches it first
//! goes on. A process that follows learns from the read store which generation is live and how far it is.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Inner;
use super::generations::{arrange, prune};
use super::identity::verify;
use super::known::{Known, Projection};
use super::status::RunState;
use crate::event_store::{self, Ownership};
use crate::message::Position;
use crate::read_store::{self, Generation};

/// How long a process follows before it tries to become the owner: an owner that died is replaced this soon.
const TRY_TO_OWN: Duration = Duration::from_secs(1);
/// How old what is known of another process's projection may be. A switch is noticed this late.
const LOOK: Duration = Duration::from_secs(1);
/// The same while a reader waits for a position.
const LOOK_FOR_READERS: Duration = Duration::from_millis(10);
/// How often an owner looks for retired generations.
const PRUNE_EVERY: Duration = Duration::from_secs(5);
/// How often an owner looks whether it has stopped; then it gives way and everything is tried again, here or elsewhere.
const LET_OTHERS_TRY: Duration = Duration::from_secs(30);
/// The first pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause while a store is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Within this many events of the head a followed generation counts as live.
const NEAR: u64 = 512;

/// Folds or follows a projection until the engine stops.
pub(super) async fn supervise(inner: Arc<Inner>, projection: Arc<Projection>) {
    let mut stop = inner.stop.subscribe();
    tokio::select! {
        () = supervise_for_ever(&inner, &projection) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    projection.stop_feeding();
}

async fn supervise_for_ever(inner: &Arc<Inner>, projection: &Arc<Projection>) {
    loop {
        // Whoever reads here must not wait for an event store that is away.
        let asked = tokio::select! {
            biased;
            asked = own(inner, projection) => asked,
            never = follow_for_ever(inner, projection) => match never {},
        };
        match asked {
            Ok(Some(ownership)) => {
                lead(inner, projection, ownership).await;
                projection.stop_feeding();
            }
            Ok(None) => follow(inner, projection).await,
            Err(error) => {
                tracing::debug!(%error, projection = projection.name, "nobody can own a projection now");
                follow(inner, projection).await;
            }
        }
    }
}

/// Becomes the owner, if nobody is. What no other process can write to is this one's from the start.
async fn own(
    inner: &Inner,
    projection: &Projection,
) -> Result<Option<Ownership>, event_store::Error> {
    match inner.ports.read_store.shared_as() {
        None => Ok(Some(Ownership::undisputed())),
        Some(read_store) => {
            let work = format!("projection/{read_store}/{}", projection.name);
            inner.ports.store.own(&work).await
        }
    }
}

/// Arranges and feeds generations until another process may do so.
async fn lead(inner: &Arc<Inner>, projection: &Arc<Projection>, mut ownership: Ownership) {
    let mut wanted = projection.wanted.subscribe();
    let mut epoch = inner.ports.store.epoch();
    let mut pause = FIRST_PAUSE;
    loop {
        let (order, plugin) = wanted.borrow_and_update().clone();
        let arranged = tokio::select! {
            arranged = arrange(inner, projection, &plugin) => arranged,
            () = ownership.lost() => return,
        };
        let again = match arranged {
            Ok(()) => {
                projection.arranged.send_replace(order);
                pause = FIRST_PAUSE;
                None
            }
            Err(error) => {
                tracing::warn!(%error, projection = projection.name, "its generations are arranged later");
                pause = (pause * 2).min(LONGEST_PAUSE);
                Some(pause)
            }
        };
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = keep(inner, projection, again) => {}
            () = ownership.lost() => return,
            () = projection.usurped.notified() => return,
            () = stopped(projection) => return,
            // The store may have another history now: everything that is fed is verified anew.
            _ = epoch.changed() => return,
        }
    }
}

/// Waits until generations have to be arranged again, because it failed; prunes for ever where it did not.
async fn keep(inner: &Arc<Inner>, projection: &Arc<Projection>, again: Option<Duration>) {
    if let Some(pause) = again {
        return tokio::time::sleep(pause).await;
    }
    loop {
        tokio::time::sleep(PRUNE_EVERY).await;
        if let Err(error) = prune(inner, projection).await {
            tracing::debug!(%error, projection = projection.name, "retired generations were not pruned");
        }
    }
}

/// Waits until what queries read, or are to read, has stood still for a reason for some time: then any process may try.
async fn stopped(projection: &Projection) {
    loop {
        tokio::time::sleep(LET_OTHERS_TRY).await;
        let numbers = [projection.live_number(), projection.candidate()];
        let known = numbers
            .into_iter()
            .flatten()
            .filter_map(|it| projection.get(it));
        let is_stopped = |state: &RunState| matches!(state, RunState::Faulted { .. });
        if known
            .into_iter()
            .any(|known| is_stopped(&known.progress.borrow().state))
        {
            return;
        }
    }
}

async fn follow_for_ever(inner: &Arc<Inner>, projection: &Arc<Projection>) -> Infallible {
    loop {
        follow(inner, projection).await;
    }
}

/// Learns from the read store what the owner does, for a while.
async fn follow(inner: &Arc<Inner>, projection: &Arc<Projection>) {
    let until = Instant::now() + TRY_TO_OWN;
    while Instant::now() < until {
        let order = projection.wanted.borrow().0;
        match look(inner, projection).await {
            Ok(true) => {
                projection.arranged.send_replace(order);
            }
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, projection = projection.name, "its owner's progress is not known");
            }
        }
        let demand = &projection.demand;
        if demand.is_there() {
            tokio::time::sleep(LOOK_FOR_READERS).await;
        } else {
            let rest = until.saturating_duration_since(Instant::now());
            tokio::select! {
                () = tokio::time::sleep(rest.min(LOOK)) => {}
                () = demand.risen() => {}
            }
        }
    }
}

/// Looks once; tells whether a generation is live.
async fn look(inner: &Arc<Inner>, projection: &Arc<Projection>) -> Result<bool, read_store::Error> {
    let generations = inner.ports.read_store.generations(&projection.name).await?;
    let head = *inner.ports.store.head().borrow();
    let mut is_live = false;
    for generation in &generations {
        let is_candidate = !generation.live && generation.retired_at.is_none();
        // A retired one may still be waited for by who began to read it.
        let is_read = projection.get(generation.id.number).is_some();
        let matters = generation.live || is_candidate || is_read;
        if matters && note(inner, projection, generation, head).await {
            if generation.live {
                projection.set_live(generation.id.number);
                is_live = true;
            } else if is_candidate {
                projection.set_candidate(Some(generation.id.number));
            }
        }
    }
    if generations
        .iter()
        .all(|it| it.live || it.retired_at.is_some())
    {
        projection.set_candidate(None);
    }
    projection.keep_only(&generations);
    Ok(is_live)
}

/// Takes note of where a generation is; tells whether its plugin version is at hand.
async fn note(
    inner: &Arc<Inner>,
    projection: &Projection,
    generation: &Generation,
    head: Position,
) -> bool {
    let known = match projection.get(generation.id.number) {
        Some(known) => known,
        None => match (inner.ports.plugins)(generation.checkpoint.plugin).await {
            Some(plugin) => projection.take_up(generation, &plugin),
            None => return false,
        },
    };
    let fault = fault(inner, &known, generation).await;
    let is_near = head.0.saturating_sub(generation.applied.0) <= NEAR;
    known.progress.send_if_modified(|progress| {
        let before = progress.clone();
        // A position of another history is none of this one's.
        progress.position = if fault.is_some() {
            Position::START
        } else {
            generation.applied
        };
        progress.parked = generation.parked;
        progress.deviates = generation.checkpoint.deviates;
        progress.state = match fault {
            Some(reason) => RunState::Faulted { reason },
            None if is_near => RunState::Live,
            None => RunState::CatchingUp,
        };
        *progress != before
    });
    true
}

/// Tells why a followed generation is not of this store's history. Looked at once per epoch, and again while it is not.
async fn fault(inner: &Inner, known: &Known, generation: &Generation) -> Option<String> {
    let store = &inner.ports.store;
    let epoch = *store.epoch().borrow();
    if known.verified.load(Ordering::Acquire) == epoch {
        return None;
    }
    match verify(store.as_ref(), &generation.checkpoint).await {
        Ok(None) => {
            known.verified.store(epoch, Ordering::Release);
            None
        }
        Ok(Some(reason)) => Some(reason),
        // Reading needs the read store alone; it is verified when the event store is back.
        Err(_) => None,
    }
}
