//! The command pipeline: from a command to its answer.
//!
//! In comes a [`Command`], out goes an [`Answer`]: accepted with what it set down, or rejected by its aggregate.
//! The same command id gives the first outcome again, also while the first is still under way. A rejection or a failed
//! precondition is given only on the stream's true head. What is accepted is on disk before it is answered.
//! The answer depends on the event store alone. Queues are bounded: what does not fit is refused at once.

mod error;
mod guests;
mod past;
mod quarantine;
mod rehydrate;
mod stream;
mod worker;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::event_store::writer::Writer;
use crate::event_store::{EventStore, RecordedCommand};
use crate::message::{
    Command, CommandId, CommandReceipt, Digest, EventReceipt, Expected, Rejection, StreamId, Time,
};
use crate::plugin::{AggregateGuest, Fault, Plugin};
pub use error::Error;
pub use past::{LookError, Past, PastState, look};
use quarantine::Quarantine;
use stream::{Fate, Job, Reply};
use worker::{Shared, Task, Worker, WorkerHandle};

/// How many commands may be under way at one worker; beyond it they are refused at once.
const MAX_UNDER_WAY: usize = 4_096;

/// How long a stop waits for commands under way: longer than an append is repeated while the store is away.
const DRAIN: Duration = Duration::from_secs(5);

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was accepted, and its events are on disk.
    Accepted(CommandReceipt),
    /// The aggregate said no.
    Rejected(Rejection),
}

/// How a pipeline is sized.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Worker threads, beside the one for streams in quarantine.
    pub workers: usize,
    /// Bytes of cached states over all workers.
    pub cache_bytes: usize,
}

/// Takes commands. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    workers: Vec<WorkerHandle>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    under_way: UnderWay,
}

type Answered = Result<Answer, Error>;
type Key = (Arc<str>, CommandId);

/// Commands with a client's id that are not answered yet, each with its hash and those who sent it again meanwhile.
type UnderWay = Arc<Mutex<HashMap<Key, (Digest, Vec<oneshot::Sender<Settled>>)>>>;
type Settled = Result<Fate, Error>;

impl Pipeline {
    /// Starts the workers.
    pub fn start(
        store: Arc<dyn EventStore>,
        writer: Writer,
        sizes: Sizes,
    ) -> std::io::Result<Self> {
        let count = sizes.workers.max(1);
        let shared = Arc::new(Shared {
            store,
            writer,
            quarantine: Quarantine::default(),
            runtime: tokio::runtime::Handle::current(),
            stale: Arc::default(),
            cache_bytes: sizes.cache_bytes / count,
        });
        let (apart, thread) =
            Worker::start("foldhost-quarantine".to_owned(), Arc::clone(&shared), None)?;
        let (mut workers, mut threads) = (Vec::new(), vec![thread]);
        for number in 0..count {
            let name = format!("foldhost-worker-{number}");
            let (worker, thread) = Worker::start(name, Arc::clone(&shared), Some(apart.clone()))?;
            workers.push(worker);
            threads.push(thread);
        }
        workers.push(apart);
        let inner = Inner {
            shared,
            workers,
            threads: Mutex::new(threads),
            under_way: UnderWay::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Decides a command and records what it sets down.
    ///
    /// Dropping the future does not take the command back.
    pub async fn dispatch(&self, command: Command) -> Answered {
        let hash = hash(&command);
        let supplied = command.command_id.is_some();
        let id = command.command_id.clone().unwrap_or_else(CommandId::random);
        let fate = self.fate(command, id.clone(), hash, supplied).await?;
        match fate {
            Fate::Accepted(receipt) => Ok(Answer::Accepted(receipt)),
            Fate::Rejected(rejection) => Ok(Answer::Rejected(rejection)),
            Fate::Duplicate(recorded) if recorded.hash != hash => {
                Err(Error::IdReused { command_id: id })
            }
            Fate::Duplicate(recorded) => self.first_outcome(recorded).await.map(Answer::Accepted),
        }
    }

    /// Makes instances of a version at every worker, without using them yet.
    pub async fn prepare(&self, plugin: &Arc<Plugin>) -> Result<(), Fault> {
        for worker in &self.inner.workers {
            let plugin = Arc::clone(plugin);
            let made = tokio::task::spawn_blocking(move || AggregateGuest::new(&plugin)).await;
            let guest = match made {
                Ok(guest) => Box::new(guest?),
                Err(_) => continue,
            };
            let (ready, done) = oneshot::channel();
            if worker.tasks.send(Task::Prepare { guest, ready }).is_ok() {
                // Answered unless the worker is stopping.
                let _ = done.await;
            }
        }
        Ok(())
    }

    /// Decides with a prepared version from now on.
    pub fn promote(&self, aggregate: &str, digest: Digest) {
        for worker in &self.inner.workers {
            // A worker that is gone decides nothing any more.
            let _ = worker.tasks.send(Task::Promote {
                aggregate: aggregate.to_owned(),
                digest,
            });
        }
    }

    /// Returns what is told when commands wait for a version that another process has activated.
    pub fn stale(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.shared.stale)
    }

    /// Tells the workers to end, without waiting for it.
    pub fn tell_to_stop(&self) {
        for worker in &self.inner.workers {
            // Already gone is as good.
            let _ = worker.tasks.send(Task::Stop);
        }
    }

    /// Waits for the commands under way, for a few seconds at most, then ends the workers.
    ///
    /// One that is cut off may or may not be recorded; repeating it with its id tells.
    pub async fn stop(&self) {
        let give_up = tokio::time::Instant::now() + DRAIN;
        while self.load() > 0 && tokio::time::Instant::now() < give_up {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.tell_to_stop();
        let threads = std::mem::take(
            &mut *self
                .inner
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let join = move || {
            threads
                .into_iter()
                .filter_map(|thread| thread.join().err())
                .count()
        };
        match tokio::task::spawn_blocking(join).await {
            Ok(0) => {}
            Ok(panicked) => tracing::error!(panicked, "workers had panicked"),
            Err(error) => tracing::error!(%error, "the workers were not awaited"),
        }
    }

    /// Returns how many commands are under way.
    pub fn load(&self) -> usize {
        self.inner
            .workers
            .iter()
            .map(|worker| worker.load.load(Ordering::Relaxed))
            .sum()
    }

    async fn fate(&self, command: Command, id: CommandId, hash: Digest, supplied: bool) -> Settled {
        let (answer, answered) = oneshot::channel();
        let key = supplied.then(|| (Arc::clone(&command.actor), id.clone()));
        if let Some(answer) = self.join(key.as_ref(), hash, answer)? {
            self.hand_over(command, id.clone(), hash, key, answer);
        }
        answered.await.unwrap_or_else(|_| Err(stopping(id)))
    }

    /// Lines up behind the same command where it is under way already; else gives the answer's way back.
    fn join(
        &self,
        key: Option<&Key>,
        hash: Digest,
        answer: oneshot::Sender<Settled>,
    ) -> Result<Option<oneshot::Sender<Settled>>, Error> {
        let Some(key) = key else {
            return Ok(Some(answer));
        };
        let mut under_way = self
            .inner
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match under_way.get_mut(key) {
            Some((first, _)) if *first != hash => Err(Error::IdReused {
                command_id: key.1.clone(),
            }),
            Some((_, waiting)) => {
                waiting.push(answer);
                Ok(None)
            }
            None => {
                under_way.insert(key.clone(), (hash, Vec::new()));
                Ok(Some(answer))
            }
        }
    }

    fn hand_over(
        &self,
        command: Command,
        id: CommandId,
        hash: Digest,
        key: Option<Key>,
        answer: oneshot::Sender<Settled>,
    ) {
        let worker = &self.inner.workers[self.route(&command.stream)];
        let load = Arc::clone(&worker.load);
        let busy = load.fetch_add(1, Ordering::Relaxed) >= MAX_UNDER_WAY;
        let under_way = Arc::clone(&self.inner.under_way);
        let reply: Reply = Box::new(move |fate: Settled| {
            load.fetch_sub(1, Ordering::Relaxed);
            if let Some(key) = key {
                let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
                let waiting = under_way.remove(&key).map(|(_, waiting)| waiting);
                for waiting in waiting.into_iter().flatten() {
                    // A client that went away needs no answer.
                    let _ = waiting.send(fate.clone());
                }
            }
            // A client that went away needs no answer.
            let _ = answer.send(fate);
        });
        if busy {
            let reason = "too many commands are under way".to_owned();
            return reply(Err(Error::Unavailable {
                command_id: id,
                reason,
            }));
        }
        let correlation_id = command.correlation_id.unwrap_or_else(|| id.as_str().into());
        let job = Job {
            stream: command.stream,
            name: command.name,
            payload: command.payload,
            id,
            hash,
            expected: command.expected,
            actor: command.actor,
            correlation_id,
            metadata: command.metadata,
            stamped: Time::now(),
            conflicts: 0,
            stale_since: None,
            reply,
        };
        if let Err(std::sync::mpsc::SendError(Task::Decide(job))) =
            worker.tasks.send(Task::Decide(job))
        {
            let error = stopping(job.id);
            (job.reply)(Err(error));
        }
    }

    fn route(&self, stream: &StreamId) -> usize {
        let ordinary = self.inner.workers.len() - 1;
        if self.inner.shared.quarantine.holds(stream) {
            return ordinary;
        }
        let mut hasher = DefaultHasher::new();
        stream.hash(&mut hasher);
        usize::try_from(hasher.finish() % ordinary as u64).unwrap_or(0)
    }

    /// Makes the answer that the first sending of a command got.
    async fn first_outcome(&self, recorded: RecordedCommand) -> Result<CommandReceipt, Error> {
        let count = usize::try_from(recorded.after.0 - recorded.before.0).unwrap_or(usize::MAX);
        let events = if count == 0 {
            Vec::new()
        } else {
            let read = self
                .inner
                .shared
                .store
                .read_stream(&recorded.stream, recorded.before, count)
                .await;
            read.map_err(|error| Error::from_store(&error, "", &recorded.id))?
        };
        let events = events.iter().map(|event| EventReceipt {
            event_id: event.event_id,
            event_type: Arc::clone(&event.event_type),
            version: event.version,
            position: event.position,
        });
        Ok(CommandReceipt {
            stream: recorded.stream.clone(),
            version: recorded.after,
            position: recorded.position,
            command_id: recorded.id.clone(),
            events: events.collect(),
        })
    }
}

fn stopping(command_id: CommandId) -> Error {
    Error::Unavailable {
        command_id,
        reason: "the host is stopping".to_owned(),
    }
}

/// Covers everything that makes two commands the same: stream, name, payload and preconditions.
fn hash(command: &Command) -> Digest {
    let expected = match command.expected {
        Expected::Any => "any".to_owned(),
        Expected::NoStream => "none".to_owned(),
        Expected::Exact(version) => version.to_string(),
    };
    let parts = [
        command.stream.as_str(),
        &command.name,
        command.payload.as_str(),
        &expected,
    ];
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(&part.len().to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    Digest::of(&text)
}
