//! The plugin as it is linked into the test.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde_json::Value;

use super::recorded::{Entry, pack_all, parse};
use super::rig::{AggregateRig, Collection, CommandToSend, Decision, ProjectionRig};
use crate::guest::{
    AggregateGuest, BatchFailure, CommandCall, DocumentStore, NewEvent, ProjectionGuest, Refusal,
};
use crate::{Find, Rejection};

const PLACE: &str = "natively";

/// States of a natively linked aggregate.
pub(super) struct NativeStreams<G> {
    states: BTreeMap<u64, G>,
    made: u64,
}

impl<G> NativeStreams<G> {
    pub(super) fn new() -> Self {
        Self {
            states: BTreeMap::new(),
            made: 0,
        }
    }

    fn state(&mut self, number: u64) -> &mut G {
        match self.states.get_mut(&number) {
            Some(state) => state,
            None => panic!("the kit used state {number} after dropping it"),
        }
    }
}

impl<G: AggregateGuest> AggregateRig for NativeStreams<G> {
    fn place(&self) -> &'static str {
        PLACE
    }

    fn new_state(&mut self, stream: &str) -> u64 {
        self.made += 1;
        self.states.insert(self.made, G::new(stream));
        self.made
    }

    fn restore(&mut self, state: u64, snapshot: &[u8]) -> Result<(), String> {
        self.state(state).restore(snapshot)
    }

    fn evolve(&mut self, state: u64, events: &[Entry]) -> Result<(), BatchFailure> {
        self.state(state).evolve(&pack_all(events, false))
    }

    fn decide(&mut self, state: u64, command: &CommandToSend) -> Decision {
        let payload = command.payload.to_string();
        let decided = self.state(state).decide(&CommandCall {
            name: &command.name,
            payload: payload.as_bytes(),
            command_id: &command.command_id,
            time: command.time,
            actor: &command.actor,
            correlation_id: &command.correlation_id,
        });
        match decided {
            Ok(events) => Decision::Accepted(events.iter().map(new_event).collect()),
            Err(Refusal::Rejected(rejection)) => Decision::Rejected(rejection),
            Err(Refusal::Malformed(message)) => Decision::Malformed(message),
        }
    }

    fn snapshot(&mut self, state: u64) -> Vec<u8> {
        self.state(state).snapshot()
    }

    fn view(&mut self, state: u64) -> Value {
        parse(&self.state(state).view())
    }

    fn drop_state(&mut self, state: u64) {
        self.states.remove(&state);
    }
}

/// A new event as the protocol has it.
pub(super) fn new_event(event: &NewEvent) -> Value {
    serde_json::json!({
        "type": event.name,
        "schema_version": event.schema_version,
        "data": parse(&event.data),
    })
}

/// A natively linked projection with documents in memory.
pub(super) struct NativeFold<G> {
    documents: InMemory,
    guest: PhantomData<G>,
}

impl<G: ProjectionGuest> NativeFold<G> {
    pub(super) fn new() -> Self {
        let collections = G::describe()
            .collections
            .into_iter()
            .map(|collection| (collection.name, BTreeMap::new()));
        Self {
            documents: InMemory {
                collections: collections.collect(),
            },
            guest: PhantomData,
        }
    }
}

impl<G: ProjectionGuest> ProjectionRig for NativeFold<G> {
    fn place(&self) -> &'static str {
        PLACE
    }

    fn is_native(&self) -> bool {
        true
    }

    /// Like the host it drops all that a failing batch wrote.
    fn project(&mut self, events: &[Entry]) -> Result<(), BatchFailure> {
        let before = self.documents.clone();
        let projected = G::project(&pack_all(events, true), &mut self.documents);
        if projected.is_err() {
            self.documents = before;
        }
        projected
    }

    fn documents(&mut self, collection: &str) -> Collection {
        let documents = self.documents.collection(collection);
        documents
            .iter()
            .map(|(id, document)| (id.clone(), parse(document)))
            .collect()
    }

    fn plan(&mut self, query: &str, parameters: &Value) -> Result<Find, Rejection> {
        G::plan(query, parameters.to_string().as_bytes())
    }
}

/// The declared collections, and no others.
#[derive(Clone)]
struct InMemory {
    collections: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

impl InMemory {
    #[track_caller]
    fn collection(&self, name: &str) -> &BTreeMap<String, Vec<u8>> {
        match self.collections.get(name) {
            Some(collection) => collection,
            None => panic!(
                "the projection does not declare the collection `{name}`: add its document to `Documents`"
            ),
        }
    }

    #[track_caller]
    fn collection_mut(&mut self, name: &str) -> &mut BTreeMap<String, Vec<u8>> {
        self.collection(name);
        self.collections.entry(name.to_owned()).or_default()
    }
}

impl DocumentStore for InMemory {
    fn get(&self, collection: &str, id: &str) -> Option<Vec<u8>> {
        self.collection(collection).get(id).cloned()
    }

    fn put(&mut self, collection: &str, id: &str, document: Vec<u8>) {
        assert!(
            parse(&document).is_object(),
            "{collection}/{id} is no object, as documents are"
        );
        self.collection_mut(collection)
            .insert(id.to_owned(), document);
    }

    fn delete(&mut self, collection: &str, id: &str) {
        self.collection_mut(collection).remove(id);
    }
}
