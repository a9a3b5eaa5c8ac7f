//! What becomes of a command when its append is settled.

use std::sync::Arc;
use std::sync::mpsc::SendError;
use std::time::{Duration, Instant};

use super::{Task, Worker, refuse};
use crate::command::Error;
use crate::command::stream::{Decided, Fate, InFlight, Job, Stream};
use crate::event_store::{self, Outcome, Snapshot};
use crate::message::{CommandId, CommandReceipt, Digest, Position, StreamHead, StreamId};

/// How often a command is decided again because others wrote to its stream.
const MAX_CONFLICTS: u32 = 50;
/// The longest rest of a stream that another process writes to as well: the time to read its head, decide and append.
const LONGEST_REST: Duration = Duration::from_millis(12);
/// How long a command waits for a version that another process has activated: loading one takes a second where its code
/// is not in the cache yet.
const MAX_STALE: Duration = Duration::from_secs(10);
/// How soon it is decided again meanwhile.
const STALE_PAUSE: Duration = Duration::from_millis(25);

impl Worker {
    pub(super) fn settle(
        &mut self,
        id: StreamId,
        ticket: u64,
        outcome: Result<Outcome, event_store::Error>,
    ) {
        let mut stream = self.take(&id);
        if let Some(at) = stream
            .in_flight
            .iter()
            .position(|entry| entry.ticket == ticket)
            && let Some(entry) = stream.in_flight.remove(at)
        {
            let stands = matches!(outcome, Ok(Outcome::Appended { .. }));
            self.conclude(&id, &mut stream, entry, outcome);
            stream.settle();
            if stands && stream.in_flight.is_empty() && stream.is_contended() {
                stream.resting = true;
                self.rest(&id);
            }
            self.pump(&id, &mut stream);
        }
        self.keep(id, stream);
    }

    /// Lets another process have its turn at a stream that both write to: the one that has just appended knows the head
    /// and would win every time.
    fn rest(&self, id: &StreamId) {
        let (tasks, stream) = (self.tasks.clone(), id.clone());
        let random = uuid::Uuid::now_v7().as_bytes()[15];
        let rest = LONGEST_REST.mul_f64(0.3 + f64::from(random) / 365.0);
        self.shared.runtime.spawn(async move {
            tokio::time::sleep(rest).await;
            // The worker is gone only when the host stops.
            let _ = tasks.send(Task::Rested { stream });
        });
    }

    /// The rest of a stream is over.
    pub(super) fn rested(&mut self, id: StreamId) {
        let mut stream = self.take(&id);
        stream.resting = false;
        self.pump(&id, &mut stream);
        self.keep(id, stream);
    }

    pub(super) fn conclude(
        &mut self,
        id: &StreamId,
        stream: &mut Stream,
        entry: InFlight,
        outcome: Result<Outcome, event_store::Error>,
    ) {
        let InFlight {
            mut job,
            expected,
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
                Decided::NotTaken(error) => Err(error),
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
                if actual.version > expected {
                    stream.note_contention();
                }
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

    /// Another plugin version was activated while this one decided: the command is decided again by it, as soon as it is
    /// at hand.
    pub(super) fn converge(
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
        let current = self
            .guests
            .plugin(id.category())
            .map(|plugin| plugin.digest);
        if current == active {
            job.stale_since = None;
            stream.again.push_back(job);
        } else if job.stale_since.get_or_insert_with(Instant::now).elapsed() < MAX_STALE {
            self.later(job);
        } else {
            refuse(job, "another version of its plugin is being taken up");
        }
    }

    /// Has the registry look for the version, and takes the command up again a moment later.
    fn later(&self, job: Job) {
        self.shared.stale.notify_one();
        let tasks = self.tasks.clone();
        self.shared.runtime.spawn(async move {
            tokio::time::sleep(STALE_PAUSE).await;
            if let Err(SendError(Task::Decide(job))) = tasks.send(Task::Decide(job)) {
                refuse(job, "the host is stopping");
            }
        });
    }

    pub(super) fn save(
        &self,
        id: &StreamId,
        head: StreamHead,
        snapshot: Option<(Digest, Vec<u8>)>,
    ) {
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
        Decided::Rejected(_) | Decided::Unexpected(_) | Decided::NotTaken(_) => Vec::new(),
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
