//! The runner of one generation: follows the event log, folds, commits.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Gate, watch};

use super::fold::{Folder, park};
use super::identity::verify;
use super::known::{Known, Projection};
use super::status::RunState;
use super::{Inner, Ports};
use crate::crash_point;
use crate::event_store;
use crate::message::{Position, RecordedEvent, StreamId};
use crate::plugin::{Fault, Fetch};
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

/// The feeding of a generation by this process.
pub(super) struct Runner {
    /// Held while a batch is committed: whoever holds it knows that the generation stands still.
    pub(super) gate: Arc<Gate<()>>,
    stop: watch::Sender<bool>,
}

impl Runner {
    /// Starts feeding a generation.
    pub(super) fn start(inner: &Arc<Inner>, projection: &Arc<Projection>, known: &Known) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let gate = Arc::new(Gate::new(()));
        let run = Run {
            inner: Arc::clone(inner),
            generation: known.generation.clone(),
            folder: Arc::new(Mutex::new(Folder::new(&known.plugin))),
            parked: HashSet::new(),
            publish: Arc::clone(&known.progress),
            gate: Arc::clone(&gate),
        };
        let mut all_stop = inner.stop.subscribe();
        let projection = Arc::clone(projection);
        inner.spawn(async move {
            tokio::select! {
                usurped = run.run() => if usurped { projection.usurped.notify_one() },
                _ = stopped.wait_for(|stop| *stop) => {}
                _ = all_stop.wait_for(|stop| *stop) => {}
            }
        });
        Self { gate, stop }
    }

    /// Ends the feeding.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

struct Run {
    inner: Arc<Inner>,
    generation: GenerationId,
    /// Used by one blocking thread at a time.
    folder: Arc<Mutex<Folder>>,
    /// Streams with parked events: their later events are parked too.
    parked: HashSet<StreamId>,
    publish: Arc<watch::Sender<Progress>>,
    gate: Arc<Gate<()>>,
}

/// Why a runner stops.
enum Stopped {
    /// For a reason that does not go away by itself.
    Faulted(String),
    /// The generation is another process's by now, or gone.
    Usurped,
}

impl From<read_store::Error> for Stopped {
    fn from(error: read_store::Error) -> Self {
        match error {
            read_store::Error::LostOwnership { .. } | read_store::Error::NoGeneration { .. } => {
                Self::Usurped
            }
            other => Self::Faulted(other.to_string()),
        }
    }
}

impl Run {
    /// Feeds the generation until it cannot; tells whether it found another owner.
    async fn run(mut self) -> bool {
        match self.follow().await {
            Ok(never) => match never {},
            Err(Stopped::Usurped) => {
                tracing::info!(
                    projection = self.generation.projection,
                    generation = self.generation.number,
                    "a generation has another owner, or another history"
                );
                true
            }
            Err(Stopped::Faulted(reason)) => {
                tracing::error!(
                    projection = self.generation.projection,
                    reason,
                    "a projection has stopped"
                );
                self.publish
                    .send_modify(|progress| progress.state = RunState::Faulted { reason });
                false
            }
        }
    }

    fn ports(&self) -> &Ports {
        &self.inner.ports
    }

    async fn follow(&mut self) -> Result<Infallible, Stopped> {
        let epoch = self.ports().store.epoch();
        let began = *epoch.borrow();
        let mut at = self.take_over().await?;
        self.check_identity(&at).await?;
        self.load_parked().await?;
        loop {
            self.publish_state(&at);
            let batch = self.next_batch(&at).await?;
            // What was read may be of another history by now: nothing of it is folded before all is verified anew.
            if *epoch.borrow() != began {
                return Err(Stopped::Usurped);
            }
            let mut parts = VecDeque::from([batch]);
            while let Some(part) = parts.pop_front() {
                self.fold_part(&mut at, part, &mut parts).await?;
            }
        }
    }

    /// Becomes the one that commits; what a former owner committed is whole then.
    async fn take_over(&self) -> Result<Checkpoint, Stopped> {
        let read_store = &self.ports().read_store;
        let at = patiently(
            || read_store.take_over(&self.generation),
            read_store::Error::is_transient,
        )
        .await?;
        self.publish.send_modify(|progress| {
            progress.position = at.position;
            progress.deviates = at.deviates;
            progress.state = RunState::CatchingUp;
        });
        Ok(at)
    }

    async fn check_identity(&self, at: &Checkpoint) -> Result<(), Stopped> {
        let store = self.ports().store.as_ref();
        let verified = patiently(|| verify(store, at), event_store::Error::is_transient).await;
        match verified.map_err(|error| Stopped::Faulted(error.to_string()))? {
            None => Ok(()),
            Some(reason) => Err(Stopped::Faulted(reason)),
        }
    }

    async fn load_parked(&mut self) -> Result<(), Stopped> {
        let read_store = Arc::clone(&self.ports().read_store);
        let streams = patiently(
            || read_store.parked_streams(&self.generation),
            read_store::Error::is_transient,
        )
        .await;
        self.parked = streams?.into_iter().collect();
        let all = patiently(
            || read_store.generations(&self.generation.projection),
            read_store::Error::is_transient,
        );
        let all = all.await?;
        let parked = all
            .iter()
            .find(|it| it.id == self.generation)
            .map_or(0, |it| it.parked);
        self.publish
            .send_modify(|progress| progress.parked = parked);
        Ok(())
    }

    async fn next_batch(&self, at: &Checkpoint) -> Result<Vec<Arc<RecordedEvent>>, Stopped> {
        let mut pause = Duration::from_millis(20);
        let mut was_away = false;
        loop {
            match self.ports().log.next(at.position, BATCH).await {
                Ok(batch) if was_away => {
                    // It may have come back with another history.
                    self.check_identity(at).await?;
                    return Ok(batch);
                }
                Ok(batch) => return Ok(batch),
                Err(error) => {
                    if !std::mem::replace(&mut was_away, true) {
                        tracing::warn!(%error, projection = self.generation.projection, "events could not be read");
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Folds and commits a part of a batch; one that fails is halved until the failing event stands alone.
    async fn fold_part(
        &mut self,
        at: &mut Checkpoint,
        mut part: Vec<Arc<RecordedEvent>>,
        rest: &mut VecDeque<Vec<Arc<RecordedEvent>>>,
    ) -> Result<(), Stopped> {
        let mut attempt = 1;
        let mut pause = Duration::from_millis(20);
        loop {
            let fault = match self.fold(&part).await? {
                Ok(commit) => return self.commit(at, commit).await,
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
                return self.park(at, &part[0], &fault).await;
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
            .map_err(|_| Stopped::Faulted("the host is stopping".to_owned()))
    }

    async fn park(
        &mut self,
        at: &mut Checkpoint,
        event: &RecordedEvent,
        fault: &Fault,
    ) -> Result<(), Stopped> {
        tracing::warn!(
            projection = self.generation.projection, position = event.position.0, stream = %event.stream, %fault,
            "an event is parked"
        );
        let commit = Commit {
            position: event.position,
            event_id: event.event_id,
            park: vec![park(event, Some(fault.to_string()))],
            ..Commit::default()
        };
        self.commit(at, commit).await
    }

    async fn commit(&mut self, at: &mut Checkpoint, commit: Commit) -> Result<(), Stopped> {
        let read_store = Arc::clone(&self.ports().read_store);
        let gate = Arc::clone(&self.gate);
        let _standing_still = gate.lock().await;
        crash_point::reached("fold/folded");
        let done = patiently(
            || read_store.commit(&self.generation, at.sequence, commit.clone()),
            read_store::Error::is_transient,
        );
        done.await?;
        crash_point::reached("fold/committed");
        at.sequence += 1;
        at.position = commit.position;
        at.event_id = commit.event_id;
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
    fn publish_state(&self, at: &Checkpoint) {
        let head = *self.ports().store.head().borrow();
        if head.0.saturating_sub(at.position.0) <= BATCH as u64 {
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
    let mut is_told = false;
    loop {
        match call().await {
            Err(error) if is_transient(&error) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%error, "waiting for a store");
                }
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
