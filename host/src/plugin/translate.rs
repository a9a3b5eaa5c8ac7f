//! Between the generated types of the contract and ours.

use serde_json::Value;

use super::bindings::aggregate_world::exports::foldhost::plugin::aggregate as a;
use super::bindings::projection_world::exports::foldhost::plugin::projection as p;
use super::descriptor::{
    AggregateDescriptor, Collection, CommandType, EventType, Parameter, ParameterKind,
    ProjectionDescriptor, QueryType, WantedEvent,
};
use crate::message::AggregateName;
use crate::read_store::SortKey;

pub(super) fn aggregate(given: a::AggregateDescriptor) -> Result<AggregateDescriptor, String> {
    let command = |command: a::CommandType| {
        let schema = schema(&command.name, &command.schema)?;
        Ok(CommandType {
            name: command.name.into(),
            schema,
            description: command.description,
        })
    };
    let event = |event: a::EventType| {
        let schema = schema(&event.name, &event.schema)?;
        let (name, schema_version, reads) = (event.name.into(), event.schema_version, event.reads);
        Ok(EventType {
            name,
            schema_version,
            reads,
            schema,
        })
    };
    Ok(AggregateDescriptor {
        name: AggregateName::parse(&given.name).map_err(|error| error.to_string())?,
        state_schema_version: given.state_schema_version,
        snapshot_interval: given.snapshot_interval,
        commands: given
            .commands
            .into_iter()
            .map(command)
            .collect::<Result<_, String>>()?,
        events: given
            .events
            .into_iter()
            .map(event)
            .collect::<Result<_, String>>()?,
    })
}

pub(super) fn projection(given: p::ProjectionDescriptor) -> Result<ProjectionDescriptor, String> {
    let collection = |collection: p::Collection| {
        let schema = schema(&collection.name, &collection.schema)?;
        let indexes = collection
            .indexes
            .into_iter()
            .map(|index| index.into_iter().map(index_field).collect());
        let (name, date_fields) = (collection.name, collection.date_fields);
        Ok(Collection {
            name,
            schema,
            indexes: indexes.collect(),
            date_fields,
        })
    };
    let collections: Vec<Collection> = given
        .collections
        .into_iter()
        .map(collection)
        .collect::<Result<_, String>>()?;
    let events = given.events.into_iter().map(|event| WantedEvent {
        full_type: event.type_,
        reads: event.reads,
    });
    Ok(ProjectionDescriptor {
        name: given.name,
        events: events.collect(),
        collections: collections.into(),
        queries: given.queries.into_iter().map(query).collect(),
    })
}

fn query(given: p::Query) -> QueryType {
    let parameter = |parameter: p::Parameter| Parameter {
        name: parameter.name,
        kind: match parameter.kind {
            p::ParameterKind::Text => ParameterKind::Text,
            p::ParameterKind::Integer => ParameterKind::Integer,
            p::ParameterKind::Number => ParameterKind::Number,
            p::ParameterKind::Boolean => ParameterKind::Boolean,
        },
        required: parameter.required,
        description: parameter.description,
    };
    QueryType {
        name: given.name,
        collection: given.collection,
        parameters: given.parameters.into_iter().map(parameter).collect(),
        description: given.description,
    }
}

fn index_field(field: p::IndexField) -> SortKey {
    SortKey {
        path: field.path,
        descending: field.descending,
    }
}

fn schema(name: &str, bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes)
        .map_err(|error| format!("the schema of {name} is not JSON: {error}"))
}
