//! What the kit needs of a plugin, whether it is linked natively or runs as a component.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::component::{ComponentRig, configured};
use super::native::{NativeFold, NativeStreams};
use super::recorded::Entry;
use crate::guest::{AggregateGuest, BatchFailure, ProjectionGuest};
use crate::{Find, Rejection, Time};

/// The documents of one collection by their ids.
pub(super) type Collection = BTreeMap<String, Value>;

/// A command on its way into a plugin.
#[derive(Clone, Debug)]
pub(super) struct CommandToSend {
    pub(super) name: String,
    pub(super) payload: Value,
    pub(super) command_id: String,
    pub(super) time: Time,
    pub(super) actor: String,
    pub(super) correlation_id: String,
}

/// What a plugin decided.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    /// The new events, as `{type, schema_version, data}`.
    Accepted(Vec<Value>),
    Rejected(Rejection),
    Malformed(String),
}

impl Decision {
    /// The decision for people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Accepted(events) => format!("accepted with {}", pretty(&json!(events))),
            Self::Rejected(rejection) => format!("rejected: {rejection}"),
            Self::Malformed(message) => format!("malformed: {message}"),
        }
    }
}

pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// An aggregate under test; states are known by number.
pub(super) trait AggregateRig {
    /// Where the plugin runs, for messages.
    fn place(&self) -> &'static str;
    fn new_state(&mut self, stream: &str) -> u64;
    fn restore(&mut self, state: u64, snapshot: &[u8]) -> Result<(), String>;
    fn evolve(&mut self, state: u64, events: &[Entry]) -> Result<(), BatchFailure>;
    fn decide(&mut self, state: u64, command: &CommandToSend) -> Decision;
    fn snapshot(&mut self, state: u64) -> Vec<u8>;
    fn view(&mut self, state: u64) -> Value;
    fn drop_state(&mut self, state: u64);
}

/// A projection under test, with documents that live as long as the rig.
pub(super) trait ProjectionRig {
    /// Where the plugin runs, for messages.
    fn place(&self) -> &'static str;
    fn is_native(&self) -> bool;
    fn project(&mut self, events: &[Entry]) -> Result<(), BatchFailure>;
    fn documents(&mut self, collection: &str) -> Collection;
    fn plan(&mut self, query: &str, parameters: &Value) -> Result<Find, Rejection>;
}

/// Runs a check on the aggregate where it is linked, and in the component if there is one.
#[track_caller]
pub(super) fn on_each_aggregate<G: AggregateGuest>(
    mut check: impl FnMut(&mut dyn AggregateRig) -> Result<(), String>,
) {
    let mut checked = check(&mut NativeStreams::<G>::new());
    if checked.is_ok()
        && let Some(component) = configured()
    {
        let mut rig = ComponentRig::lend(&component);
        checked = check(&mut rig);
        // Not reached after a trap, which is a panic: a component that may be broken is not lent again.
        rig.give_back();
    }
    if let Err(message) = checked {
        panic!("{message}");
    }
}

/// What does not hold is the check's error.
pub(super) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

/// Makes rigs of a projection, each without documents.
pub(super) type NewProjectionRig = fn() -> Box<dyn ProjectionRig>;

/// How to make the projection under test: where it is linked, and in the component if there is one.
pub(super) fn projection_rigs<G: ProjectionGuest>() -> Vec<NewProjectionRig> {
    let mut rigs: Vec<NewProjectionRig> = vec![|| Box::new(NativeFold::<G>::new())];
    if configured().is_some() {
        rigs.push(|| match configured() {
            Some(component) => Box::new(ComponentRig::start(&component)),
            None => Box::new(NativeFold::<G>::new()),
        });
    }
    rigs
}
