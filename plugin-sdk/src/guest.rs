//! The low-level door: a plugin as the host sees it, in bytes.
//!
//! [`Stream`] and [`Fold`] turn an [`Aggregate`](crate::Aggregate) and a [`Projection`](crate::Projection)
//! into what this module describes, and `export_aggregate!` and its likes export those.
//! Implement the traits by hand, and export with [`export_guest!`](crate::export_guest),
//! only where the typed side does not allow what you need, such as a guest that has to misbehave in a test.
//! Their functions are those of `wit/foldhost.wit`, where each is described.

mod fold;
mod stream;

use crate::describe::{AggregateDescriptor, ProjectionDescriptor};
use crate::{Find, Rejection, Time};

pub use fold::Fold;
pub use stream::Stream;

/// The `aggregate` interface over one stream's state.
pub trait AggregateGuest: 'static {
    /// What the aggregate is.
    fn describe() -> AggregateDescriptor;

    /// The state before any event.
    fn new(stream: &str) -> Self;

    /// Puts back what `snapshot` gave.
    ///
    /// # Errors
    /// What is wrong with the snapshot.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), String>;

    /// Folds a packed batch into the state.
    ///
    /// # Errors
    /// Which event could not be folded and why.
    fn evolve(&mut self, events: &[u8]) -> Result<(), BatchFailure>;

    /// Decides a command.
    ///
    /// # Errors
    /// Why it was not accepted.
    fn decide(&self, command: &CommandCall<'_>) -> Result<Vec<NewEvent>, Refusal>;

    /// The state as bytes for `restore`.
    fn snapshot(&self) -> Vec<u8>;

    /// The state as JSON.
    fn view(&self) -> Vec<u8>;
}

/// The `projection` interface.
pub trait ProjectionGuest: 'static {
    /// What the projection is.
    fn describe() -> ProjectionDescriptor;

    /// Folds a packed batch into documents.
    ///
    /// # Errors
    /// Which event could not be folded and why.
    fn project(events: &[u8], documents: &mut dyn DocumentStore) -> Result<(), BatchFailure>;

    /// Plans a named query.
    ///
    /// # Errors
    /// Why the parameters are refused.
    fn plan(query: &str, parameters: &[u8]) -> Result<Find, Rejection>;
}

/// The `documents` interface: the host's working set, or one in memory in tests.
pub trait DocumentStore {
    /// The document as it stands now.
    fn get(&self, collection: &str, id: &str) -> Option<Vec<u8>>;

    /// Writes a whole document.
    fn put(&mut self, collection: &str, id: &str, document: Vec<u8>);

    /// Deletes a document.
    fn delete(&mut self, collection: &str, id: &str);
}

/// A command as the host hands it over.
#[derive(Clone, Copy, Debug)]
pub struct CommandCall<'a> {
    /// Kebab-case name.
    pub name: &'a str,
    /// JSON payload.
    pub payload: &'a [u8],
    /// The client's identity for the command.
    pub command_id: &'a str,
    /// When the host accepted it.
    pub time: Time,
    /// Who sent it.
    pub actor: &'a str,
    /// The same on everything that one outside request set in motion.
    pub correlation_id: &'a str,
}

/// An event before it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The event type.
    pub name: String,
    /// The schema version of the data.
    pub schema_version: u32,
    /// JSON data.
    pub data: Vec<u8>,
}

/// Why a command was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The state of the aggregate says no.
    Rejected(Rejection),
    /// The payload is not what the command takes.
    Malformed(String),
}

/// One event of a batch could not be folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchFailure {
    /// Which event of the batch, from 0.
    pub index: u32,
    /// What went wrong.
    pub message: String,
}

impl BatchFailure {
    /// A failure of the event at a place, which the host keeps far below `u32::MAX`.
    pub fn at(index: usize, message: impl Into<String>) -> Self {
        Self {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            message: message.into(),
        }
    }
}
