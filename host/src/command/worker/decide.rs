//! Deciding a command, folding what came out, and handing it to the writer.

use std::sync::Arc;

use uuid::Uuid;

use super::{Task, Worker, refuse};
use crate::command::Error;
use crate::command::stream::{Cached, Decided, InFlight, Job, Stream};
use crate::event_store::{Decision, Entry, EntryCommand};
use crate::message::{
    Digest, EventReceipt, Json, NewEvent, Position, RecordedEvent, StreamHead, StreamId, Time,
};
use crate::plugin::{GuestCommand, Packed, Verdict};

impl Worker {
    pub(super) fn decide(&mut self, id: &StreamId, stream: &mut Stream, cached: Cached, job: Job) {
        if !job.expected.admits(stream.head.version) {
            let unexpected = Decided::Unexpected(stream.head.version);
            return self.submit(stream, job, Decision::Refused, unexpected, None);
        }
        let time = job.stamped.max(stream.head.time);
        let Some(store) = self.shared.store.id() else {
            return refuse(job, "the event store was not reached yet");
        };
        let command = GuestCommand {
            store,
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
                let error = Decided::NotTaken(Error::Malformed { command, reason });
                self.submit(stream, job, Decision::Refused, error, None);
            }
            Err(error @ Error::UnknownCommand { .. }) => {
                let error = Decided::NotTaken(error);
                self.submit(stream, job, Decision::Refused, error, None);
            }
            Err(error) => self.fail(id, job, error),
        }
    }

    /// Folds decided events before they are appended, so that none is stored that its own aggregate cannot fold.
    pub(super) fn evolve(
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

    pub(super) fn fail(&mut self, id: &StreamId, job: Job, error: Error) {
        if let Error::Plugin(fault) = &error {
            tracing::warn!(stream = %id, command = %job.name, %fault, "a command failed in its plugin");
            self.shared.quarantine.record(id, fault.is_deadline());
        }
        (job.reply)(Err(error));
    }

    /// Hands an entry to the writer, decided on the stream's head as it is now.
    pub(super) fn submit(
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
            expected: entry.expected.version,
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
