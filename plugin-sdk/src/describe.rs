//! What a plugin says about itself.
//!
//! The derives and the export macros fill these in; authors need them only behind the low-level door, [`crate::guest`].
//! Schemas are JSON texts.

/// Name, version and description of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginDescriptor {
    /// Unique among the host's plugins.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One sentence for people.
    pub description: String,
}

/// An aggregate: its commands and events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateDescriptor {
    /// Without dashes.
    pub name: String,
    /// Moves when the form of the state moves.
    pub state_schema_version: u32,
    /// A snapshot is taken about every so many events; 0 means never.
    pub snapshot_interval: u32,
    /// The commands that it decides.
    pub commands: Vec<CommandType>,
    /// The events that it writes and reads.
    pub events: Vec<EventType>,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandType {
    /// Kebab-case.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// Schema of the payload.
    pub schema: Vec<u8>,
}

/// An event type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    /// Without the aggregate's name.
    pub name: &'static str,
    /// The aggregate it belongs to; a projection has to say it.
    pub aggregate: Option<&'static str>,
    /// The version in which it is written.
    pub schema_version: u32,
    /// All versions that are read.
    pub reads: Vec<u32>,
    /// Schema of the data in its newest version.
    pub schema: Vec<u8>,
}

/// A projection: what it wants, keeps and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionDescriptor {
    /// Unique among the host's projections.
    pub name: String,
    /// The events that it folds.
    pub events: Vec<EventType>,
    /// Where it keeps its documents.
    pub collections: Vec<CollectionType>,
    /// What can be asked by name.
    pub queries: Vec<QueryType>,
}

/// A collection of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionType {
    /// Unique among the host's collections.
    pub name: String,
    /// Schema of a document.
    pub schema: Vec<u8>,
    /// Each lists its fields in order.
    pub indexes: Vec<Vec<IndexField>>,
    /// Dotted paths of the fields that hold times.
    pub date_fields: Vec<String>,
}

/// One field of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexField {
    /// Dotted path into the document.
    pub path: &'static str,
    /// From the highest to the lowest.
    pub descending: bool,
}

/// A named query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryType {
    /// Kebab-case.
    pub name: String,
    /// The collection that it searches.
    pub collection: String,
    /// What it takes.
    pub parameters: Vec<ParameterType>,
    /// One sentence for people.
    pub description: String,
}

/// A parameter of a named query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterType {
    /// Name in the query string.
    pub name: String,
    /// How its text is read.
    pub kind: ParameterKind,
    /// Whether it has to be given.
    pub required: bool,
    /// One sentence for people.
    pub description: String,
}

/// How the text of a parameter is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// As it stands.
    Text,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
}
