//! A typed aggregate behind the low-level door.

use super::{AggregateGuest, BatchFailure, CommandCall, NewEvent, Refusal};
use crate::describe::AggregateDescriptor;
use crate::packed::{PackedEvent, unpack};
use crate::{Aggregate, Command as _, Context, Event as _};

/// The state of one stream of the aggregate `A`.
#[derive(Debug)]
pub struct Stream<A> {
    id: String,
    state: A,
}

impl<A> Stream<A> {
    /// The state of the aggregate.
    pub fn state(&self) -> &A {
        &self.state
    }
}

impl<A: Aggregate> Stream<A> {
    fn evolve_one(&mut self, event: &PackedEvent<'_>) -> Result<(), String> {
        let envelope = &event.envelope;
        let read = A::Event::read(
            envelope.aggregate(),
            envelope.event_type,
            envelope.schema_version,
            event.data,
        )?;
        let Some(event) = read else {
            return Err(format!(
                "`{}` does not know the event `{}`",
                A::NAME,
                envelope.event_type
            ));
        };
        self.state.evolve(event, envelope);
        Ok(())
    }
}

impl<A: Aggregate> AggregateGuest for Stream<A> {
    fn describe() -> AggregateDescriptor {
        AggregateDescriptor {
            name: A::NAME.into(),
            state_schema_version: A::STATE_VERSION,
            snapshot_interval: A::SNAPSHOT_INTERVAL,
            commands: A::Command::types(),
            events: A::Event::types(),
        }
    }

    fn new(stream: &str) -> Self {
        Self {
            id: stream.to_owned(),
            state: A::default(),
        }
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), String> {
        self.state = A::from_snapshot(snapshot)?;
        Ok(())
    }

    fn evolve(&mut self, events: &[u8]) -> Result<(), BatchFailure> {
        for (index, event) in unpack(events).enumerate() {
            let event = event.map_err(|error| BatchFailure::at(index, error.to_string()))?;
            self.evolve_one(&event)
                .map_err(|message| BatchFailure::at(index, message))?;
        }
        Ok(())
    }

    fn decide(&self, call: &CommandCall<'_>) -> Result<Vec<NewEvent>, Refusal> {
        let command = A::Command::read(call.name, call.payload).map_err(Refusal::Malformed)?;
        let events = self
            .state
            .decide(command, &Context::new(&self.id, call))
            .map_err(Refusal::Rejected)?;
        Ok(events.into_iter().map(A::Event::write).collect())
    }

    fn snapshot(&self) -> Vec<u8> {
        self.state.to_snapshot()
    }

    fn view(&self) -> Vec<u8> {
        crate::payload::write_json(&self.state)
    }
}
