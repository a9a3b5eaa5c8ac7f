//! Exports a [`ProjectionGuest`] as the contract's `projection`.

use std::marker::PhantomData;

use super::projection_part::exports::foldhost::plugin::projection as wit;
use super::projection_part::foldhost::plugin::{documents, types};
use crate::describe::{
    CollectionType, EventType, IndexField, ParameterKind, ParameterType, QueryType,
};
use crate::guest::{DocumentStore, ProjectionGuest};
use crate::payload::write_json;

/// The interface, implemented for any guest.
pub struct ProjectionExport<G>(PhantomData<G>);

/// The host's working set.
struct Imported;

impl DocumentStore for Imported {
    fn get(&self, collection: &str, id: &str) -> Option<Vec<u8>> {
        documents::get(collection, id)
    }

    fn put(&mut self, collection: &str, id: &str, document: Vec<u8>) {
        documents::put(collection, id, &document);
    }

    fn delete(&mut self, collection: &str, id: &str) {
        documents::delete(collection, id);
    }
}

impl<G: ProjectionGuest> wit::Guest for ProjectionExport<G> {
    fn describe() -> wit::ProjectionDescriptor {
        let projection = G::describe();
        wit::ProjectionDescriptor {
            name: projection.name,
            events: projection.events.into_iter().map(wanted_event).collect(),
            collections: projection.collections.into_iter().map(collection).collect(),
            queries: projection.queries.into_iter().map(query).collect(),
        }
    }

    fn project(events: Vec<u8>) -> Result<(), types::Failure> {
        G::project(&events, &mut Imported).map_err(|failure| types::Failure {
            index: failure.index,
            message: failure.message,
        })
    }

    fn plan(query: String, parameters: Vec<u8>) -> Result<wit::FindRequest, types::Rejection> {
        let find = G::plan(&query, &parameters).map_err(|rejection| {
            let (code, message) = rejection.into_parts();
            types::Rejection { code, message }
        })?;
        let sort = find.sort.into_iter().map(|key| wit::SortKey {
            path: key.path,
            descending: key.descending,
        });
        Ok(wit::FindRequest {
            filter: write_json(&find.filter),
            sort: sort.collect(),
            most: find.most,
        })
    }
}

/// The typed side refuses an enum that does not say whose its events are, so the aggregate is known.
fn wanted_event(event: EventType) -> wit::WantedEvent {
    let aggregate = event.aggregate.unwrap_or_default();
    wit::WantedEvent {
        type_: format!("{aggregate}.{}", event.name),
        reads: event.reads,
    }
}

fn collection(collection: CollectionType) -> wit::Collection {
    let index = |index: Vec<IndexField>| index.into_iter().map(index_field).collect();
    wit::Collection {
        name: collection.name,
        schema: collection.schema,
        indexes: collection.indexes.into_iter().map(index).collect(),
        date_fields: collection.date_fields,
    }
}

fn index_field(field: IndexField) -> wit::IndexField {
    wit::IndexField {
        path: field.path.into(),
        descending: field.descending,
    }
}

fn query(query: QueryType) -> wit::Query {
    wit::Query {
        name: query.name,
        collection: query.collection,
        parameters: query.parameters.into_iter().map(parameter).collect(),
        description: query.description,
    }
}

fn parameter(parameter: ParameterType) -> wit::Parameter {
    wit::Parameter {
        name: parameter.name,
        kind: match parameter.kind {
            ParameterKind::Text => wit::ParameterKind::Text,
            ParameterKind::Integer => wit::ParameterKind::Integer,
            ParameterKind::Number => wit::ParameterKind::Number,
            ParameterKind::Boolean => wit::ParameterKind::Boolean,
        },
        required: parameter.required,
        description: parameter.description,
    }
}
