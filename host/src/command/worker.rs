//! Workers: threads that own streams, decide their commands and keep their states in guests.
//!
//! Each stream belongs to one worker by its hash. A worker has one instance per aggregate, decides a command on the
//! state with everything folded that was decided before it, folds what came out, and hands it to the writer at once: so
//! several commands of one stream share a batch. An outcome that is not the expected one throws the state away, and what
//! was built on it is decided again. A worker never waits: reading and appending happen elsewhere and come back as tasks.

mod decide;
mod load;
mod settle;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::thread::JoinHandle;

use lru::LruCache;
use tokio::sync::{Notify, oneshot};

use super::Error;
use super::guests::Guests;
use super::quarantine::Quarantine;
use super::rehydrate::Page;
use super::stream::{Job, Phase, Stream};
use crate::event_store::writer::Writer;
use crate::event_store::{self, EventStore, Outcome};
use crate::message::{Digest, StreamId};
use crate::plugin::AggregateGuest;

/// The most appends under way for one stream: enough to fill a batch from one hot stream.
const MAX_IN_FLIGHT: usize = 128;
/// What a cached stream costs beside its events, in bytes.
const STREAM_OVERHEAD: usize = 512;

/// Something for a worker to do.
pub(super) enum Task {
    /// Decide a command.
    Decide(Job),
    /// Fold a page of a stream that is being read.
    Fold {
        stream: StreamId,
        load: u64,
        page: Result<Page, event_store::Error>,
        next: oneshot::Sender<()>,
    },
    /// Take note of what became of an append.
    Settle {
        stream: StreamId,
        ticket: u64,
        outcome: Result<Outcome, event_store::Error>,
    },
    /// Go on with a stream that another process has had its turn at.
    Rested { stream: StreamId },
    /// Keep an instance of a version that is about to be activated.
    Prepare {
        guest: Box<AggregateGuest>,
        ready: oneshot::Sender<()>,
    },
    /// Decide with a version from now on; it was prepared before.
    Promote { aggregate: String, digest: Digest },
    /// End the thread.
    Stop,
}

/// What all workers share.
pub(super) struct Shared {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) writer: Writer,
    pub(super) quarantine: Quarantine,
    pub(super) runtime: tokio::runtime::Handle,
    /// Told when another process has activated a version that is not here yet.
    pub(super) stale: Arc<Notify>,
    /// Bytes of cached states per worker.
    pub(super) cache_bytes: usize,
}

/// The way to a worker. Cheap to clone.
#[derive(Clone)]
pub(super) struct WorkerHandle {
    pub(super) tasks: mpsc::Sender<Task>,
    /// Commands that were handed over and not yet answered.
    pub(super) load: Arc<AtomicUsize>,
}

/// A worker's thread and all it knows.
pub(super) struct Worker {
    shared: Arc<Shared>,
    tasks: mpsc::Sender<Task>,
    /// Where streams in quarantine are decided; absent in that worker itself.
    apart: Option<WorkerHandle>,
    guests: Guests,
    streams: LruCache<StreamId, Stream>,
    cached_bytes: usize,
    /// The last number given to a load or an append.
    counter: u64,
}

impl Worker {
    /// Starts a worker's thread.
    pub(super) fn start(
        name: String,
        shared: Arc<Shared>,
        apart: Option<WorkerHandle>,
    ) -> std::io::Result<(WorkerHandle, JoinHandle<()>)> {
        let (tasks, received) = mpsc::channel();
        let handle = WorkerHandle {
            tasks: tasks.clone(),
            load: Arc::default(),
        };
        let mut worker = Self {
            shared,
            tasks,
            apart,
            guests: Guests::default(),
            streams: LruCache::unbounded(),
            cached_bytes: 0,
            counter: 0,
        };
        // A guest's stack is taken from this thread's.
        let thread = std::thread::Builder::new()
            .name(name)
            .stack_size(4 * 1024 * 1024);
        let thread = thread.spawn(move || {
            while let Ok(task) = received.recv() {
                if matches!(task, Task::Stop) {
                    break;
                }
                worker.perform(task);
            }
        })?;
        Ok((handle, thread))
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Decide(job) => self.accept(job),
            Task::Fold {
                stream,
                load,
                page,
                next,
            } => self.fold(stream, load, page, next),
            Task::Settle {
                stream,
                ticket,
                outcome,
            } => self.settle(stream, ticket, outcome),
            Task::Rested { stream } => self.rested(stream),
            Task::Prepare { guest, ready } => {
                self.guests.prepare(*guest);
                // The one who asked may have given up.
                let _ = ready.send(());
            }
            Task::Promote { aggregate, digest } => {
                if self.guests.promote(&aggregate, digest) {
                    self.shared.quarantine.forgive(&aggregate);
                }
            }
            Task::Stop => {}
        }
    }

    fn accept(&mut self, job: Job) {
        if let Some(apart) = &self.apart
            && self.shared.quarantine.holds(&job.stream)
        {
            if let Err(mpsc::SendError(Task::Decide(job))) = apart.tasks.send(Task::Decide(job)) {
                refuse(job, "the host is stopping");
            }
            return;
        }
        let id = job.stream.clone();
        self.guests.relieve(id.category());
        let mut stream = self.take(&id);
        stream.waiting.push_back(job);
        self.pump(&id, &mut stream);
        self.keep(id, stream);
    }

    fn take(&mut self, id: &StreamId) -> Stream {
        let stream = self.streams.pop(id).unwrap_or_else(Stream::new);
        self.cached_bytes -= stream.weight;
        stream
    }

    /// Puts a stream back, and forgets the ones that were idle longest where there is too much.
    fn keep(&mut self, id: StreamId, mut stream: Stream) {
        if matches!(stream.phase, Phase::Cold) && stream.is_idle() {
            return;
        }
        stream.weight = stream.weight.max(STREAM_OVERHEAD);
        self.cached_bytes += stream.weight;
        self.streams.put(id, stream);
        let mut looked_at = 0;
        while self.cached_bytes > self.shared.cache_bytes && looked_at < self.streams.len() {
            let Some((id, mut oldest)) = self.streams.pop_lru() else {
                break;
            };
            if oldest.is_idle() && matches!(oldest.phase, Phase::Warm(_)) {
                self.cached_bytes -= oldest.weight;
                self.guests.close(id.category(), oldest.invalidate());
            } else {
                self.streams.put(id, oldest);
                looked_at += 1;
            }
        }
    }

    /// Decides what waits, as far as that is possible now.
    fn pump(&mut self, id: &StreamId, stream: &mut Stream) {
        if stream.gives_way() {
            return;
        }
        loop {
            match stream.phase {
                Phase::Loading { .. } | Phase::Draining => return,
                Phase::Cold if stream.waiting.is_empty() => return,
                Phase::Cold => return self.load(id, stream, true),
                Phase::Warm(cached) if !self.guests.is_current(id.category(), cached) => {
                    stream.invalidate();
                }
                Phase::Warm(_) if stream.in_flight.len() >= MAX_IN_FLIGHT => return,
                Phase::Warm(cached) => {
                    let Some(job) = stream.waiting.pop_front() else {
                        return;
                    };
                    self.decide(id, stream, cached, job);
                }
            }
        }
    }

    fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }
}

fn refuse(job: Job, reason: &str) {
    let error = Error::Unavailable {
        command_id: job.id.clone(),
        reason: reason.to_owned(),
    };
    (job.reply)(Err(error));
}
