//! What a worker keeps of one stream.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Error;
use crate::event_store::RecordedCommand;
use crate::message::{
    CommandId, CommandReceipt, Digest, EventReceipt, Expected, Json, Rejection, StreamHead,
    StreamId, Time, Version,
};
use crate::plugin::GuestState;

/// A command on its way through a worker.
pub(super) struct Job {
    pub(super) stream: StreamId,
    pub(super) name: Arc<str>,
    pub(super) payload: Json,
    pub(super) id: CommandId,
    pub(super) hash: Digest,
    pub(super) expected: Expected,
    pub(super) actor: Arc<str>,
    pub(super) correlation_id: Arc<str>,
    pub(super) metadata: Json,
    /// When the host took it; its events are never earlier.
    pub(super) stamped: Time,
    /// How often it was decided on a head that had moved.
    pub(super) conflicts: u32,
    /// Since when it waits for a plugin version that is being taken up.
    pub(super) stale_since: Option<Instant>,
    pub(super) reply: Reply,
}

/// Called once with a command's fate.
pub(super) type Reply = Box<dyn FnOnce(Result<Fate, Error>) + Send>;

/// What became of a command.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    Accepted(CommandReceipt),
    Rejected(Rejection),
    /// It had been recorded before.
    Duplicate(RecordedCommand),
}

/// A decided command whose append is under way.
pub(super) struct InFlight {
    pub(super) ticket: u64,
    pub(super) job: Job,
    /// The version that it was decided on.
    pub(super) expected: Version,
    pub(super) decided: Decided,
    /// A snapshot of the state as it will be when this entry stands.
    pub(super) snapshot: Option<(Digest, Vec<u8>)>,
}

pub(super) enum Decided {
    Accepted(Vec<EventReceipt>),
    Rejected(Rejection),
    /// The client expected another version than this.
    Unexpected(Version),
    /// The plugin does not take it; another version of it may, so that this has to be the active one.
    NotTaken(Error),
}

/// Where the state of a stream is.
pub(super) enum Phase {
    /// Nowhere; no append is under way either.
    Cold,
    /// Being read from the store, under this number.
    Loading { load: u64, state: Option<Cached> },
    /// In the guest, with all events folded that were decided so far.
    Warm(Cached),
    /// Thrown away while appends are under way; it is read again when they are settled.
    Draining,
}

/// A state and the instance that holds it.
#[derive(Clone, Copy)]
pub(super) struct Cached {
    pub(super) state: GuestState,
    pub(super) instance: u64,
}

/// One stream at its worker.
pub(super) struct Stream {
    pub(super) phase: Phase,
    /// The head with everything folded that was decided so far.
    pub(super) head: StreamHead,
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) waiting: VecDeque<Job>,
    /// Commands to decide again, before those that wait.
    pub(super) again: VecDeque<Job>,
    /// About how many bytes its state takes.
    pub(super) weight: usize,
    /// Until when another process is believed to write to it too; then this one lets it have its turns.
    pub(super) contended_until: Option<Instant>,
    /// It is the other's turn.
    pub(super) resting: bool,
}

/// How long a stream counts as contended after a conflict.
const CONTENDED: Duration = Duration::from_secs(1);

impl Stream {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Cold,
            head: StreamHead::default(),
            in_flight: VecDeque::new(),
            waiting: VecDeque::new(),
            again: VecDeque::new(),
            weight: 0,
            contended_until: None,
            resting: false,
        }
    }

    /// Notes that another process has written to it.
    pub(super) fn note_contention(&mut self) {
        self.contended_until = Some(Instant::now() + CONTENDED);
    }

    pub(super) fn is_contended(&self) -> bool {
        self.contended_until
            .is_some_and(|until| Instant::now() < until)
    }

    /// Tells whether nothing may be decided now, so that another process has its turn: what waited together is appended
    /// together, and then there is a rest.
    pub(super) fn gives_way(&self) -> bool {
        let has_had_its_turn = self.resting || !self.in_flight.is_empty();
        matches!(self.phase, Phase::Warm(_)) && has_had_its_turn && self.is_contended()
    }

    /// Tells whether nothing is lost but time when it is forgotten.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.waiting.is_empty() && self.again.is_empty()
    }

    /// Throws the state away, if any, and gives it to be dropped.
    pub(super) fn invalidate(&mut self) -> Option<Cached> {
        let next = if self.in_flight.is_empty() {
            Phase::Cold
        } else {
            Phase::Draining
        };
        let cached = match std::mem::replace(&mut self.phase, next) {
            Phase::Warm(cached) => Some(cached),
            Phase::Loading { state, .. } => state,
            Phase::Cold | Phase::Draining => None,
        };
        self.settle();
        cached
    }

    /// When everything under way is settled, lines up what must be decided again.
    pub(super) fn settle(&mut self) {
        if !self.in_flight.is_empty() {
            return;
        }
        if matches!(self.phase, Phase::Draining) {
            self.phase = Phase::Cold;
        }
        while let Some(job) = self.again.pop_back() {
            self.waiting.push_front(job);
        }
    }

    /// Takes everything that waits, to be answered with one failure.
    pub(super) fn take_waiting(&mut self) -> Vec<Job> {
        self.again.drain(..).chain(self.waiting.drain(..)).collect()
    }
}
