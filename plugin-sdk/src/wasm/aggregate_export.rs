//! Exports an [`AggregateGuest`] as the contract's `aggregate`.

use std::cell::RefCell;
use std::marker::PhantomData;

use super::aggregate_part::exports::foldhost::plugin::aggregate as wit;
use super::aggregate_part::foldhost::plugin::types;
use crate::describe::{CommandType, EventType};
use crate::guest::{AggregateGuest, CommandCall, NewEvent, Refusal};
use crate::{Rejection, Time};

/// The interface, implemented for any guest.
pub struct AggregateExport<G>(PhantomData<G>);

/// The resource; the component model hands out shared references, one call at a time.
pub struct StateExport<G>(RefCell<G>);

impl<G: AggregateGuest> wit::Guest for AggregateExport<G> {
    type State = StateExport<G>;

    fn describe() -> wit::AggregateDescriptor {
        let aggregate = G::describe();
        wit::AggregateDescriptor {
            name: aggregate.name,
            state_schema_version: aggregate.state_schema_version,
            snapshot_interval: aggregate.snapshot_interval,
            commands: aggregate.commands.into_iter().map(command_type).collect(),
            events: aggregate.events.into_iter().map(event_type).collect(),
        }
    }
}

impl<G: AggregateGuest> wit::GuestState for StateExport<G> {
    fn new(stream_id: String) -> Self {
        Self(RefCell::new(G::new(&stream_id)))
    }

    fn restore(&self, snapshot: Vec<u8>) -> Result<(), String> {
        self.0.borrow_mut().restore(&snapshot)
    }

    fn evolve(&self, events: Vec<u8>) -> Result<(), types::Failure> {
        let folded = self.0.borrow_mut().evolve(&events);
        folded.map_err(|failure| types::Failure {
            index: failure.index,
            message: failure.message,
        })
    }

    fn decide(&self, command: wit::Command) -> Result<Vec<wit::NewEvent>, wit::Refusal> {
        let call = CommandCall {
            name: &command.name,
            payload: &command.payload,
            command_id: &command.command_id,
            time: Time::from_micros(command.time),
            actor: &command.actor,
            correlation_id: &command.correlation_id,
        };
        let decided = self.0.borrow().decide(&call);
        decided
            .map(|events| events.into_iter().map(new_event).collect())
            .map_err(refusal)
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().snapshot()
    }

    fn view(&self) -> Vec<u8> {
        self.0.borrow().view()
    }
}

fn command_type(command: CommandType) -> wit::CommandType {
    wit::CommandType {
        name: command.name,
        schema: command.schema,
        description: command.description,
    }
}

fn event_type(event: EventType) -> wit::EventType {
    wit::EventType {
        name: event.name.into(),
        schema_version: event.schema_version,
        reads: event.reads,
        schema: event.schema,
    }
}

fn new_event(event: NewEvent) -> wit::NewEvent {
    wit::NewEvent {
        type_: event.name,
        schema_version: event.schema_version,
        data: event.data,
    }
}

fn refusal(refusal: Refusal) -> wit::Refusal {
    match refusal {
        Refusal::Rejected(rejection) => wit::Refusal::Rejected(rejected(rejection)),
        Refusal::Malformed(message) => wit::Refusal::Malformed(message),
    }
}

fn rejected(rejection: Rejection) -> types::Rejection {
    let (code, message) = rejection.into_parts();
    types::Rejection { code, message }
}
