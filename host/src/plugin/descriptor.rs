//! What a plugin says of itself, checked.

use std::sync::Arc;

use serde_json::Value;

use crate::message::AggregateName;
use crate::read_store::{CollectionSpec, FieldPath, SortKey};

/// A whole plugin: its name and what it exports.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// Unique among the host's plugins.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One sentence for people.
    pub description: String,
    /// The aggregate it defines, if it does.
    pub aggregate: Option<AggregateDescriptor>,
    /// The projection it defines, if it does.
    pub projection: Option<ProjectionDescriptor>,
}

/// The aggregate side of a plugin.
#[derive(Clone, Debug)]
pub struct AggregateDescriptor {
    /// The category of its streams.
    pub name: AggregateName,
    /// Moves when the form of the state moves.
    pub state_schema_version: u32,
    /// A snapshot is taken about every so many events; 0 means never.
    pub snapshot_interval: u32,
    /// The commands it decides.
    pub commands: Vec<CommandType>,
    /// The events it sets down and reads.
    pub events: Vec<EventType>,
}

/// One command that an aggregate decides.
#[derive(Clone, Debug)]
pub struct CommandType {
    /// Kebab-case; shared with every command of this name.
    pub name: Arc<str>,
    /// JSON schema of the payload.
    pub schema: Value,
    /// One sentence for people.
    pub description: String,
}

/// One event type of an aggregate.
#[derive(Clone, Debug)]
pub struct EventType {
    /// Without the aggregate's name; shared with every event of this type.
    pub name: Arc<str>,
    /// The schema version in which it is written.
    pub schema_version: u32,
    /// The schema versions that are read.
    pub reads: Vec<u32>,
    /// JSON schema of the data in its newest version.
    pub schema: Value,
}

/// The projection side of a plugin.
#[derive(Clone, Debug)]
pub struct ProjectionDescriptor {
    /// Unique among the host's projections.
    pub name: String,
    /// The events it folds.
    pub events: Vec<WantedEvent>,
    /// The collections it writes.
    pub collections: Arc<[Collection]>,
    /// The queries it answers.
    pub queries: Vec<QueryType>,
}

/// An event type that a projection folds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedEvent {
    /// `aggregate.Type`.
    pub full_type: String,
    /// The schema versions of it that it reads.
    pub reads: Vec<u32>,
}

/// A collection that a projection writes.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Unique among the host's collections.
    pub name: String,
    /// JSON schema of a document.
    pub schema: Value,
    /// Each index is a list of fields in order.
    pub indexes: Vec<Vec<SortKey>>,
    /// Dotted paths of fields that hold times.
    pub date_fields: Vec<String>,
}

impl Collection {
    /// Returns what the read store needs to know of it.
    pub fn spec(&self) -> CollectionSpec {
        CollectionSpec {
            name: self.name.clone(),
            indexes: self.indexes.clone(),
            date_fields: self.date_fields.clone(),
        }
    }
}

/// A named query.
#[derive(Clone, Debug)]
pub struct QueryType {
    /// Kebab-case, unique among the host's queries.
    pub name: String,
    /// The collection it reads.
    pub collection: String,
    /// What it takes.
    pub parameters: Vec<Parameter>,
    /// One sentence for people.
    pub description: String,
}

/// A parameter of a named query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the query string.
    pub name: String,
    /// How its text is read.
    pub kind: ParameterKind,
    /// Whether a query without it is refused.
    pub required: bool,
    /// One sentence for people.
    pub description: String,
}

/// How a parameter's text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// As it is.
    Text,
    /// As a whole number of 64 signed bits.
    Integer,
    /// As a number.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl AggregateDescriptor {
    /// Finds a command by name.
    pub fn command(&self, name: &str) -> Option<&CommandType> {
        self.commands.iter().find(|command| &*command.name == name)
    }

    /// Finds an event type by name.
    pub fn event(&self, name: &str) -> Option<&EventType> {
        self.events.iter().find(|event| &*event.name == name)
    }
}

/// Query parameters that the host takes for itself.
pub const RESERVED_PARAMETERS: [&str; 4] = ["limit", "cursor", "wait_for", "timeout"];

impl Descriptor {
    /// Checks everything that can be checked without another plugin; the error is for people.
    pub fn check(&self) -> Result<(), String> {
        check_name("the plugin's name", &self.name)?;
        check_version(&self.version)?;
        if let Some(aggregate) = &self.aggregate {
            check_aggregate(aggregate)?;
        }
        self.projection.as_ref().map_or(Ok(()), check_projection)
    }
}

fn check_aggregate(aggregate: &AggregateDescriptor) -> Result<(), String> {
    if aggregate.commands.is_empty() {
        return Err(format!("aggregate {} declares no command", aggregate.name));
    }
    check_distinct(
        "command",
        aggregate.commands.iter().map(|command| &*command.name),
    )?;
    check_distinct(
        "event type",
        aggregate.events.iter().map(|event| &*event.name),
    )?;
    for command in &aggregate.commands {
        check_name("a command's name", &command.name)?;
        check_schema("command", &command.name, &command.schema)?;
    }
    for event in &aggregate.events {
        check_type_name(&event.name)?;
        check_schema("event", &event.name, &event.schema)?;
        if event.schema_version == 0 || !event.reads.contains(&event.schema_version) {
            return Err(format!(
                "event {} does not read the schema version {} it writes",
                event.name, event.schema_version
            ));
        }
    }
    Ok(())
}

fn check_projection(projection: &ProjectionDescriptor) -> Result<(), String> {
    check_name("the projection's name", &projection.name)?;
    if projection.collections.is_empty() {
        return Err(format!(
            "projection {} declares no collection",
            projection.name
        ));
    }
    check_distinct(
        "event type",
        projection
            .events
            .iter()
            .map(|event| event.full_type.as_str()),
    )?;
    check_distinct(
        "collection",
        projection
            .collections
            .iter()
            .map(|collection| collection.name.as_str()),
    )?;
    check_distinct(
        "query",
        projection.queries.iter().map(|query| query.name.as_str()),
    )?;
    for event in &projection.events {
        let parts = event.full_type.split_once('.');
        let (aggregate, name) = parts
            .ok_or_else(|| format!("event type {:?} is not aggregate.Type", event.full_type))?;
        AggregateName::parse(aggregate).map_err(|error| error.to_string())?;
        check_type_name(name)?;
        if event.reads.is_empty() {
            return Err(format!(
                "event type {} is wanted in no schema version",
                event.full_type
            ));
        }
    }
    projection
        .collections
        .iter()
        .try_for_each(check_collection)?;
    projection
        .queries
        .iter()
        .try_for_each(|query| check_query(projection, query))
}

fn check_collection(collection: &Collection) -> Result<(), String> {
    check_name("a collection's name", &collection.name)?;
    check_schema("collection", &collection.name, &collection.schema)?;
    if collection.indexes.len() > 32
        || collection
            .indexes
            .iter()
            .any(|index| index.is_empty() || index.len() > 16)
    {
        return Err(format!(
            "collection {}: at most 32 indexes of 1 to 16 fields each",
            collection.name
        ));
    }
    let indexed = collection.indexes.iter().flatten().map(|field| &field.path);
    indexed
        .chain(&collection.date_fields)
        .try_for_each(|path| check_path(&collection.name, path))
}

fn check_query(projection: &ProjectionDescriptor, query: &QueryType) -> Result<(), String> {
    check_name("a query's name", &query.name)?;
    if !projection
        .collections
        .iter()
        .any(|collection| collection.name == query.collection)
    {
        return Err(format!(
            "query {} reads the undeclared collection {:?}",
            query.name, query.collection
        ));
    }
    check_distinct(
        "parameter",
        query
            .parameters
            .iter()
            .map(|parameter| parameter.name.as_str()),
    )?;
    for parameter in &query.parameters {
        if parameter.name.is_empty() || RESERVED_PARAMETERS.contains(&parameter.name.as_str()) {
            return Err(format!(
                "query {}: the parameter name {:?} is reserved",
                query.name, parameter.name
            ));
        }
    }
    Ok(())
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_lowercase());
    let rest =
        characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
    if first && rest && name.len() <= 64 {
        return Ok(());
    }
    Err(format!(
        "{what} {name:?} is not a lower-case letter, then lower-case letters, digits, _ or -, 64 at most"
    ))
}

fn check_type_name(name: &str) -> Result<(), String> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    if first && name.len() <= 100 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(format!(
        "event type {name:?} is not a letter, then letters, digits or _, 100 at most"
    ))
}

/// An index or a date field is named as a filter names it, but it is never the document's id.
fn check_path(collection: &str, path: &str) -> Result<(), String> {
    match FieldPath::parse(path) {
        Ok(path) if path.is_id() => Err(format!(
            "collection {collection}: _id needs no index, it always has one"
        )),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("collection {collection}: {error}")),
    }
}

fn check_schema(what: &str, name: &str, schema: &Value) -> Result<(), String> {
    if schema.is_object() || schema.is_boolean() {
        return Ok(());
    }
    Err(format!("the schema of {what} {name} is not a JSON schema"))
}

fn check_version(version: &str) -> Result<(), String> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    if numbers.len() == 3
        && numbers.iter().all(|number| number.parse::<u64>().is_ok())
        && version.len() <= 64
    {
        return Ok(());
    }
    Err(format!(
        "version {version:?} is not a semantic version such as 1.2.3"
    ))
}

fn check_distinct<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("{what} {name:?} is declared twice"));
        }
    }
    Ok(())
}
