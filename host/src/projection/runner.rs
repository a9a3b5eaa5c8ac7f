//! The runner of one generation: follows the event log, folds, commits.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Gate, watch};

use super::fold::{Folder, park};
use super::status::{Pace, RunState};
use super::{Inner, Ports};
use crate::event_store;
use crate::message::{Position, RecordedEvent, StreamId};
use crate::plugin::{Fault, Fetch, Plugin};
use crate::read_store::{self, Checkpoint, Commit, GenerationId, ReadStore};

/// The most events of one batch. Measured: larger ones gain little, and are refolded when one event fails.
const BATCH: usize = 512;
/// The longest pause while a store is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How far a generation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last position that took effect.
    pub position: Position,
    /// How many events are parked.
    pub parked: u64,
    /// Whether it is no pure fold any more.
    pub deviates: bool,
    /// What the runner is doing.
    pub state: RunState,
}

/// A generation that is being fed.
pub(super) struct Runner {
    pub(super) generation: GenerationId,
    pub(super) plugin: Arc<Plugin>,
    pub(super) progress: watch::Receiver<Progress>,
    /// Held while a batch is committed: whoever holds it knows that the generation stands still.
    pub(super) gate: Arc<Gate<()>>,
    pub(super) pace: Arc<Mutex<Pace>>,
    stop: watch::Sender<bool>,
}

impl Runner {
    /// Starts feeding a generation.
    pub(super) fn start(
        inner: &Arc<Inner>,
        generation: GenerationId,
        plugin: &Arc<Plugin>,
        at: &Checkpoint,
    ) -> Self {
        let state = RunState::CatchingUp;
        let progress = Progress {
            position: at.position,
            parked: 0,
            deviates: at.deviates,
            state,
        };
        let (publish, progress) = watch::channel(progress);
        let (stop, stopped) = watch::channel(false);
        let gate = Arc::new(Gate::new(()));
        let pace = Arc::new(Mutex::new(Pace::start(at.position)));
        let run = Run {
            inner: Arc::clone(inner),
            generation: generation.clone(),
            folder: Arc::new(Mutex::new(Folder::new(plugin))),
            checkpoint: at.clone(),
            parked: HashSet::new(),
            publish,
            gate: Arc::clone(&gate),
        };
        let mut all_stop = inner.stop.subscribe();
        let mut stopped = stopped;
        inner.spawn(async move {
            tokio::select! {
                () = run.run() => {}
                _ = stopped.wait_for(|stop| *stop) => {}
                _ = all_stop.wait_for(|stop| *stop) => {}
            }
        });
        Self {
            generation,
            plugin: Arc::clone(plugin),
            progress,
            gate,
            pace,
            stop,
        }
    }

    /// Ends the feeding.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(super) fn pace(&self) -> Pace {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Run {
    inner: Arc<Inner>,
    generation: GenerationId,
    /// Used by one blocking thread at a time.
    folder: Arc<Mutex<Folder>>,
    checkpoint: Checkpoint,
    /// Streams with parked events: their later events are parked too.
    parked: HashSet<StreamId>,
    publish: watch::Sender<Progress>,
    gate: Arc<Gate<()>>,
}

/// Why a runner stops for good.
struct Stopped(String);

impl Run {
    async fn run(mut self) {
        if let Err(Stopped(reason)) = self.follow().await {
            tracing::error!(
                projection = self.generation.projection,
                reason,
                "a projection has stopped"
            );
            self.publish
                .send_modify(|progress| progress.state = RunState::Faulted { reason });
        }
    }

    fn ports(&self) -> &Ports {
        &self.inner.ports
    }

    async fn follow(&mut self) -> Result<(), Stopped> {
        self.check_identity().await?;
        self.load_parked().await?;
        loop {
            self.publish_state();
            let batch = self.next_batch().await;
            let mut parts = VecDeque::from([batch]);
            while let Some(part) = parts.pop_front() {
                self.fold_part(part, &mut parts).await?;
            }
        }
    }

    /// A checkpoint that does not fit the store belongs to another history: nothing of it may be mixed with this one.
    async fn check_identity(&self) -> Result<(), Stopped> {
        let (store, at) = (&self.ports().store, &self.checkpoint);
        if let Some(ours) = store.id()
            && at.store != ours
        {
            let theirs = at.store;
            return Err(Stopped(format!(
                "its documents come from store {theirs}, this one is {ours}; rebuild it"
            )));
        }
        if at.position == Position::START {
            return Ok(());
        }
        let before = Position(at.position.0 - 1);
        let event = patiently(
            || store.read_all(before, 1),
            event_store::Error::is_transient,
        )
        .await;
        let event = event.map_err(|error| Stopped(error.to_string()))?.pop();
        if event.is_some_and(|event| event.event_id == at.event_id && event.position == at.position)
        {
            return Ok(());
        }
        Err(Stopped(format!(
            "the store's history was rewritten at or before position {}; rebuild it",
            at.position
        )))
    }

    async fn load_parked(&mut self) -> Result<(), Stopped> {
        let read_store = Arc::clone(&self.ports().read_store);
        let streams = patiently(
            || read_store.parked_streams(&self.generation),
            read_store::Error::is_transient,
        )
        .await;
        self.parked = streams
            .map_err(|error| Stopped(error.to_string()))?
            .into_iter()
            .collect();
        let all = patiently(
            || read_store.generations(&self.generation.projection),
            read_store::Error::is_transient,
        );
        let all = all.await.map_err(|error| Stopped(error.to_string()))?;
        let parked = all
            .iter()
            .find(|it| it.id == self.generation)
            .map_or(0, |it| it.parked);
        self.publish
            .send_modify(|progress| progress.parked = parked);
        Ok(())
    }

    async fn next_batch(&self) -> Vec<Arc<RecordedEvent>> {
        let mut pause = Duration::from_millis(20);
        loop {
            match self.ports().log.next(self.checkpoint.position, BATCH).await {
                Ok(batch) => return batch,
                Err(error) => {
                    tracing::warn!(%error, projection = self.generation.projection, "events could not be read");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Folds and commits a part of a batch; one that fails is halved until the failing event stands alone.
    async fn fold_part(
        &mut self,
        mut part: Vec<Arc<RecordedEvent>>,
        rest: &mut VecDeque<Vec<Arc<RecordedEvent>>>,
    ) -> Result<(), Stopped> {
        let mut attempt = 1;
        let mut pause = Duration::from_millis(20);
        loop {
            let fault = match self.fold(&part).await? {
                Ok(commit) => return self.commit(commit).await,
                Err(fault) => fault,
            };
            if let Fault::DocumentsUnavailable { .. } = fault {
                tracing::warn!(%fault, projection = self.generation.projection, "waiting for the read store");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            } else if part.len() > 1 {
                let second = part.split_off(part.len() / 2);
                rest.push_front(second);
                rest.push_front(part);
                return Ok(());
            } else if attempt < self.inner.settings.attempts {
                tokio::time::sleep(jitter(self.inner.settings.backoff * 2_u32.pow(attempt - 1)))
                    .await;
                attempt += 1;
            } else {
                return self.park(&part[0], &fault).await;
            }
        }
    }

    /// Folds on a thread of its own, since a guest call blocks.
    async fn fold(
        &mut self,
        part: &[Arc<RecordedEvent>],
    ) -> Result<Result<Commit, Fault>, Stopped> {
        let (folder, part, parked) = (Arc::clone(&self.folder), part.to_vec(), self.parked.clone());
        let fetch = fetch(
            Arc::clone(&self.ports().read_store),
            self.generation.clone(),
        );
        let folded = tokio::task::spawn_blocking(move || {
            folder
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .fold(&part, &parked, fetch)
        });
        folded
            .await
            .map_err(|_| Stopped("the host is stopping".to_owned()))
    }

    async fn park(&mut self, event: &RecordedEvent, fault: &Fault) -> Result<(), Stopped> {
        tracing::warn!(
            projection = self.generation.projection, position = event.position.0, stream = %event.stream, %fault,
            "an event is parked"
        );
        self.commit(Commit {
            position: event.position,
            event_id: event.event_id,
            park: vec![park(event, Some(fault.to_string()))],
            ..Commit::default()
        })
        .await
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), Stopped> {
        let read_store = Arc::clone(&self.ports().read_store);
        let gate = Arc::clone(&self.gate);
        let _standing_still = gate.lock().await;
        let done = patiently(
            || read_store.commit(&self.generation, self.checkpoint.sequence, commit.clone()),
            read_store::Error::is_transient,
        );
        done.await.map_err(|error| Stopped(error.to_string()))?;
        self.checkpoint.sequence += 1;
        self.checkpoint.position = commit.position;
        self.checkpoint.event_id = commit.event_id;
        self.parked
            .extend(commit.park.iter().map(|parked| parked.stream.clone()));
        let parked = commit.park.len() as u64;
        self.publish.send_modify(|progress| {
            progress.position = commit.position;
            progress.parked += parked;
        });
        Ok(())
    }

    /// Live means within a batch of the head: under steady load nobody is ever exactly there.
    fn publish_state(&self) {
        let head = *self.ports().store.head().borrow();
        if head.0.saturating_sub(self.checkpoint.position.0) <= BATCH as u64 {
            self.publish.send_if_modified(|progress| {
                let changed = progress.state != RunState::Live;
                progress.state = RunState::Live;
                changed
            });
        }
    }
}

/// Reads documents for a guest, from the blocking thread that it runs on.
fn fetch(read_store: Arc<dyn ReadStore>, generation: GenerationId) -> Fetch {
    let runtime = tokio::runtime::Handle::current();
    Box::new(move |collection, id| {
        let ids = [id.to_owned()];
        let found = runtime.block_on(read_store.get(&generation, collection, &ids));
        found
            .map(|mut found| found.pop().map(|(_, document)| document))
            .map_err(|error| error.to_string())
    })
}

/// Repeats a call while its error says that it may succeed later.
async fn patiently<R, E: std::fmt::Display, F: Future<Output = Result<R, E>>>(
    mut call: impl FnMut() -> F,
    is_transient: impl Fn(&E) -> bool,
) -> Result<R, E> {
    let mut pause = Duration::from_millis(20);
    loop {
        match call().await {
            Err(error) if is_transient(&error) => {
                tracing::warn!(%error, "waiting for a store");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
}

/// Between half and all of a pause, so that projections that fail together do not retry together.
fn jitter(pause: Duration) -> Duration {
    let random = uuid::Uuid::now_v7().as_bytes()[15];
    pause.mul_f64(0.5 + f64::from(random) / 510.0)
}
