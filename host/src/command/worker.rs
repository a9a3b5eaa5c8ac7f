//! Workers: threads that own streams, decide their commands and keep their states in guests.
//!
//! Each stream belongs to one worker by its hash. A worker has one instance per aggregate, decides a command on the
//! state with everything folded that was decided before it, folds what came out, and hands it to the writer at once: so
//! several commands of one stream share a batch. An outcome that is not the expected one throws the state away, and what
//! was built on it is decided again. A worker never waits: reading and appending happen elsewhere and come back as tasks.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::thread::JoinHandle;

use lru::LruCache;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Error;
use super::guests::Guests;
use super::quarantine::Quarantine;
use super::rehydrate::{Page, Reader};
use super::stream::{Cached, Decided, Fate, InFlight, Job, Phase, Stream};
use crate::event_store::writer::Writer;
use crate::event_store::{self, Decision, Entry, EntryCommand, EventStore, Outcome, Snapshot};
use crate::message::{
    CommandId, CommandReceipt, Digest, EventReceipt, Json, NewEvent, Position, RecordedEvent,
    StreamHead, StreamId, Time,
};
use crate::plugin::{AggregateGuest, Fault, GuestCommand, Packed, Verdict};

/// The most appends under way for one stream: enough to fill a batch from one hot stream.
const MAX_IN_FLIGHT: usize = 128;
/// How often a command is decided again because others wrote to its stream.
const MAX_CONFLICTS: u32 = 20;
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

    /// Begins to read a stream; its pages come back as tasks.
    fn load(&mut self, id: &StreamId, stream: &mut Stream, with_snapshot: bool) {
        let Some(plugin) = self.guests.plugin(id.category()) else {
            let aggregate = id.category().to_owned();
            let known = self.guests.names();
            let error = Error::UnknownAggregate { aggregate, known };
            return stream
                .take_waiting()
                .into_iter()
                .for_each(|job| (job.reply)(Err(error.clone())));
        };
        let snapshot_of = with_snapshot.then_some(plugin.digest);
        let load = self.next_number();
        stream.phase = Phase::Loading { load, state: None };
        stream.weight = 0;
        let (store, tasks, id) = (
            Arc::clone(&self.shared.store),
            self.tasks.clone(),
            id.clone(),
        );
        self.shared
            .runtime
            .spawn(read_pages(store, id, snapshot_of, load, tasks));
    }

    fn fold(
        &mut self,
        id: StreamId,
        load: u64,
        page: Result<Page, event_store::Error>,
        next: oneshot::Sender<()>,
    ) {
        let mut stream = self.take(&id);
        match stream.phase {
            Phase::Loading {
                load: current,
                state,
            } if current == load => {
                match page {
                    Ok(page) => self.fold_page(&id, &mut stream, state, page, next),
                    Err(error) => {
                        self.guests.close(id.category(), stream.invalidate());
                        for job in stream.take_waiting() {
                            let error = Error::from_store(&error, "", &job.id);
                            (job.reply)(Err(error));
                        }
                    }
                }
                self.pump(&id, &mut stream);
            }
            _ => {}
        }
        self.keep(id, stream);
    }

    fn fold_page(
        &mut self,
        id: &StreamId,
        stream: &mut Stream,
        state: Option<Cached>,
        page: Page,
        next: oneshot::Sender<()>,
    ) {
        if state.is_some_and(|state| !self.guests.is_current(id.category(), state)) {
            stream.invalidate();
            return;
        }
        let snapshot_given = page.snapshot.is_some();
        stream.weight += page.events.len() + page.snapshot.as_ref().map_or(0, Vec::len);
        match self.guests.fold(id, state, &page) {
            Ok(cached) => {
                stream.head = page.head;
                if page.last {
                    stream.phase = Phase::Warm(cached);
                } else if let Phase::Loading { state, .. } = &mut stream.phase {
                    *state = Some(cached);
                    // The reader goes on; it is gone only when the host stops.
                    let _ = next.send(());
                }
            }
            Err(fault)
                if snapshot_given
                    && matches!(
                        fault,
                        Fault::ContractBroken {
                            call: "restore",
                            ..
                        }
                    ) =>
            {
                tracing::warn!(stream = %id, %fault, "a snapshot was not restored; the stream is read from its start");
                self.load(id, stream, false);
            }
            Err(fault) => {
                tracing::warn!(stream = %id, %fault, "a stream could not be rehydrated");
                self.shared.quarantine.record(id, fault.is_deadline());
                stream.invalidate();
                stream
                    .take_waiting()
                    .into_iter()
                    .for_each(|job| (job.reply)(Err(fault.clone().into())));
            }
        }
    }

    fn decide(&mut self, id: &StreamId, stream: &mut Stream, cached: Cached, job: Job) {
        if !job.expected.admits(stream.head.version) {
            let unexpected = Decided::Unexpected(stream.head.version);
            return self.submit(stream, job, Decision::Refused, unexpected, None);
        }
        let time = job.stamped.max(stream.head.time);
        let command = GuestCommand {
            store: self.shared.store.id(),
            stream: id.clone(),
            name: Arc::clone(&job.name),
            payload: job.payload.clone(),
            command_id: job.id.as_str().into(),
            time,
            actor: Arc::clone(&job.actor),
            correlation_id: Arc::clone(&job.correlation_id),
        };
        match self.guests.decide(id, cached, &command) {
            Ok(Verdict::Accepted(events)) => self.evolve(id, stream, cached, job, (events, time)),
            Ok(Verdict::Rejected(rejection)) => {
                self.submit(
                    stream,
                    job,
                    Decision::Refused,
                    Decided::Rejected(rejection),
                    None,
                );
            }
            Ok(Verdict::Malformed(reason)) => {
                let command = job.name.to_string();
                (job.reply)(Err(Error::Malformed { command, reason }));
            }
            Err(error) => self.fail(id, job, error),
        }
    }

    /// Folds decided events before they are appended, so that none is stored that its own aggregate cannot fold.
    fn evolve(
        &mut self,
        id: &StreamId,
        stream: &mut Stream,
        cached: Cached,
        job: Job,
        (events, time): (Vec<(Arc<str>, u32, Json)>, Time),
    ) {
        let before = stream.head;
        let mut new = NewEvents::default();
        for (event_type, schema_version, data) in events {
            new.push(
                &job,
                &mut stream.head,
                time,
                NewEvent {
                    event_id: Uuid::now_v7(),
                    event_type,
                    schema_version,
                    data,
                },
            );
        }
        match self
            .guests
            .evolve(id, cached, &new.packed, before.version, stream.head.version)
        {
            Ok(snapshot) => {
                stream.weight += new.packed.len();
                let decided = Decided::Accepted(new.receipts);
                let entry_head = stream.head;
                stream.head = before;
                self.submit(
                    stream,
                    job,
                    Decision::Accepted(new.events),
                    decided,
                    snapshot,
                );
                stream.head = entry_head;
            }
            Err(fault) => {
                stream.head = before;
                self.guests.close(id.category(), stream.invalidate());
                self.fail(id, job, fault.into());
            }
        }
    }

    fn fail(&mut self, id: &StreamId, job: Job, error: Error) {
        if let Error::Plugin(fault) = &error {
            tracing::warn!(stream = %id, command = %job.name, %fault, "a command failed in its plugin");
            self.shared.quarantine.record(id, fault.is_deadline());
        }
        (job.reply)(Err(error));
    }

    /// Hands an entry to the writer, decided on the stream's head as it is now.
    fn submit(
        &mut self,
        stream: &mut Stream,
        job: Job,
        decision: Decision,
        decided: Decided,
        snapshot: Option<(Digest, Vec<u8>)>,
    ) {
        let Some(plugin) = self
            .guests
            .plugin(job.stream.category())
            .map(|plugin| plugin.digest)
        else {
            return refuse(job, "its plugin is being taken away");
        };
        let entry = Entry {
            stream: job.stream.clone(),
            expected: stream.head,
            plugin,
            command: EntryCommand {
                id: job.id.clone(),
                actor: Arc::clone(&job.actor),
                name: Arc::clone(&job.name),
                payload: job.payload.clone(),
                hash: job.hash,
                correlation_id: Arc::clone(&job.correlation_id),
                metadata: job.metadata.clone(),
            },
            time: job.stamped.max(stream.head.time),
            decision,
        };
        let ticket = self.next_number();
        let (tasks, id) = (self.tasks.clone(), job.stream.clone());
        stream.in_flight.push_back(InFlight {
            ticket,
            job,
            decided,
            snapshot,
        });
        let settle = move |outcome| {
            // The worker is gone only when the host stops, and with it whoever waits for the answer.
            let _ = tasks.send(Task::Settle {
                stream: id,
                ticket,
                outcome,
            });
        };
        self.shared.writer.submit(entry, Box::new(settle));
    }

    fn settle(&mut self, id: StreamId, ticket: u64, outcome: Result<Outcome, event_store::Error>) {
        let mut stream = self.take(&id);
        if let Some(at) = stream
            .in_flight
            .iter()
            .position(|entry| entry.ticket == ticket)
            && let Some(entry) = stream.in_flight.remove(at)
        {
            self.conclude(&id, &mut stream, entry, outcome);
            stream.settle();
            self.pump(&id, &mut stream);
        }
        self.keep(id, stream);
    }

    fn conclude(
        &mut self,
        id: &StreamId,
        stream: &mut Stream,
        entry: InFlight,
        outcome: Result<Outcome, event_store::Error>,
    ) {
        let InFlight {
            mut job,
            decided,
            snapshot,
            ..
        } = entry;
        match outcome {
            Ok(Outcome::Appended { head }) => {
                if stream.head.is_same(&head) {
                    stream.head = head;
                }
                self.save(id, head, snapshot);
                (job.reply)(Ok(Fate::Accepted(receipt(id, &job.id, head, decided))));
            }
            Ok(Outcome::Checked) => (job.reply)(match decided {
                Decided::Rejected(rejection) => Ok(Fate::Rejected(rejection)),
                Decided::Unexpected(actual) => Err(Error::PreconditionFailed {
                    stream: id.to_string(),
                    actual,
                }),
                Decided::Accepted(_) => {
                    Ok(Fate::Accepted(receipt(id, &job.id, stream.head, decided)))
                }
            }),
            Ok(Outcome::Duplicate(recorded)) => {
                if matches!(&decided, Decided::Accepted(events) if !events.is_empty()) {
                    self.guests.close(id.category(), stream.invalidate());
                }
                (job.reply)(Ok(Fate::Duplicate(recorded)));
            }
            Ok(Outcome::Conflict { actual }) => {
                self.guests.close(id.category(), stream.invalidate());
                job.conflicts += 1;
                if job.conflicts > MAX_CONFLICTS {
                    let stream = id.to_string();
                    (job.reply)(Err(Error::Conflict {
                        stream,
                        actual: actual.version,
                    }));
                } else {
                    stream.again.push_back(job);
                }
            }
            Ok(Outcome::StalePlugin { active }) => self.converge(id, stream, job, active),
            Err(error) => {
                self.guests.close(id.category(), stream.invalidate());
                let plugin = self
                    .guests
                    .plugin(id.category())
                    .map(|plugin| plugin.descriptor.name.clone());
                let error = Error::from_store(&error, &plugin.unwrap_or_default(), &job.id);
                (job.reply)(Err(error));
            }
        }
    }

    /// Another plugin version was activated while this one decided: takes it up if it is at hand, and decides again.
    fn converge(
        &mut self,
        id: &StreamId,
        stream: &mut Stream,
        mut job: Job,
        active: Option<Digest>,
    ) {
        self.guests.close(id.category(), stream.invalidate());
        if let Some(active) = active {
            self.guests.promote(id.category(), active);
        }
        job.conflicts += 1;
        let current = self
            .guests
            .plugin(id.category())
            .map(|plugin| plugin.digest);
        if current == active && job.conflicts <= MAX_CONFLICTS {
            stream.again.push_back(job);
        } else {
            refuse(job, "another version of its plugin is being taken up");
        }
    }

    fn save(&self, id: &StreamId, head: StreamHead, snapshot: Option<(Digest, Vec<u8>)>) {
        let Some((plugin, bytes)) = snapshot else {
            return;
        };
        let (store, stream) = (Arc::clone(&self.shared.store), id.clone());
        self.shared.runtime.spawn(async move {
            if let Err(error) = store
                .save_snapshot(Snapshot {
                    stream,
                    plugin,
                    head,
                    bytes,
                })
                .await
            {
                tracing::debug!(%error, "a snapshot was not saved");
            }
        });
    }

    fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }
}

/// The events of one decision in the forms that they are needed in.
#[derive(Default)]
struct NewEvents {
    events: Vec<NewEvent>,
    receipts: Vec<EventReceipt>,
    packed: Packed,
}

impl NewEvents {
    fn push(&mut self, job: &Job, head: &mut StreamHead, time: Time, event: NewEvent) {
        *head = StreamHead {
            version: head.version.next(),
            event_id: event.event_id,
            time,
            position: head.position,
        };
        self.packed.push(&RecordedEvent {
            event_id: event.event_id,
            stream: job.stream.clone(),
            version: head.version,
            position: Position::START,
            event_type: Arc::clone(&event.event_type),
            schema_version: event.schema_version,
            time,
            correlation_id: Arc::clone(&job.correlation_id),
            causation_id: job.id.as_str().into(),
            actor: Arc::clone(&job.actor),
            plugin: Digest([0; 32]),
            metadata: job.metadata.clone(),
            data: event.data.clone(),
        });
        self.receipts.push(EventReceipt {
            event_id: event.event_id,
            event_type: Arc::clone(&event.event_type),
            version: head.version,
            position: Position::START,
        });
        self.events.push(event);
    }
}

/// Completes a receipt with the positions that the append gave: consecutive, ending at the head's.
fn receipt(
    stream: &StreamId,
    id: &CommandId,
    head: StreamHead,
    decided: Decided,
) -> CommandReceipt {
    let mut events = match decided {
        Decided::Accepted(events) => events,
        Decided::Rejected(_) | Decided::Unexpected(_) => Vec::new(),
    };
    let count = events.len() as u64;
    for (event, behind) in events.iter_mut().zip((0..count).rev()) {
        event.position = Position(head.position.0 - behind);
    }
    let (version, position) = (head.version, head.position);
    CommandReceipt {
        stream: stream.clone(),
        version,
        position,
        command_id: id.clone(),
        events,
    }
}

fn refuse(job: Job, reason: &str) {
    let error = Error::Unavailable {
        command_id: job.id.clone(),
        reason: reason.to_owned(),
    };
    (job.reply)(Err(error));
}

/// Reads a stream and sends its pages to a worker, each when the one before was folded.
async fn read_pages(
    store: Arc<dyn EventStore>,
    stream: StreamId,
    snapshot_of: Option<Digest>,
    load: u64,
    tasks: mpsc::Sender<Task>,
) {
    let reader = match snapshot_of {
        Some(plugin) => Reader::from_snapshot(store, stream.clone(), plugin).await,
        None => Ok(Reader::from_start(store, stream.clone(), None)),
    };
    let send = |page| {
        let (next, go_on) = oneshot::channel();
        let sent = tasks.send(Task::Fold {
            stream: stream.clone(),
            load,
            page,
            next,
        });
        sent.is_ok().then_some(go_on)
    };
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(error) => {
            send(Err(error));
            return;
        }
    };
    while let Some(page) = reader.next().await.transpose() {
        let go_on = send(page);
        let Some(go_on) = go_on else { return };
        if go_on.await.is_err() {
            return;
        }
    }
}
