//! A typed projection behind the low-level door.

use std::marker::PhantomData;

use super::{BatchFailure, DocumentStore, ProjectionGuest};
use crate::describe::ProjectionDescriptor;
use crate::packed::{PackedEvent, unpack};
use crate::{
    Collections as _, Documents, Event as _, Failure, Find, Projection, Query as _, Rejection,
};

/// The fold of the projection `P`, which keeps nothing of its own between calls.
#[derive(Debug)]
pub struct Fold<P>(PhantomData<P>);

impl<P: Projection> Fold<P> {
    /// Folds one event; those that the projection did not ask for only move its position.
    fn project_one(event: &PackedEvent<'_>, documents: &mut Documents<'_>) -> Result<(), Failure> {
        let envelope = &event.envelope;
        let read = P::Event::read(
            envelope.aggregate(),
            envelope.event_type,
            envelope.schema_version,
            event.data,
        )?;
        match read {
            Some(event) => P::project(event, envelope, documents),
            None => Ok(()),
        }
    }
}

impl<P: Projection> ProjectionGuest for Fold<P> {
    fn describe() -> ProjectionDescriptor {
        ProjectionDescriptor {
            name: P::NAME.into(),
            events: P::Event::types(),
            collections: P::Documents::collections(),
            queries: P::Query::types(),
        }
    }

    fn project(events: &[u8], store: &mut dyn DocumentStore) -> Result<(), BatchFailure> {
        let mut documents = Documents::new(store);
        for (index, event) in unpack(events).enumerate() {
            let event = event.map_err(|error| BatchFailure::at(index, error.to_string()))?;
            Self::project_one(&event, &mut documents)
                .map_err(|failure| BatchFailure::at(index, failure.into_message()))?;
        }
        Ok(())
    }

    fn plan(query: &str, parameters: &[u8]) -> Result<Find, Rejection> {
        P::plan(P::Query::read(query, parameters)?)
    }
}
