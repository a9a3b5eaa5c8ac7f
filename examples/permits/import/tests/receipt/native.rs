//! The plugins linked into the test, fed as a host feeds them, through the SDK's low-level door.

use std::collections::{BTreeMap, HashMap};

use foldhost_plugin_sdk::guest::{
    AggregateGuest as _, CommandCall, DocumentStore, Fold, NewEvent, ProjectionGuest as _, Refusal,
    Stream,
};
use foldhost_plugin_sdk::packed::{PackedEvent, pack};
use foldhost_plugin_sdk::{Envelope, EventId, Projection, Time};
use permit::Permit;
use permits_import::Command;
use serde_json::Value;

/// How many events are folded at once.
const BATCH: usize = 512;

/// An event of the made-up store.
pub(crate) struct Recorded {
    stream: String,
    version: u64,
    position: u64,
    event: NewEvent,
}

/// Decides the commands one after the other; gives the recorded events and the codes of the refusals.
pub(crate) fn decide_all(commands: &[Command]) -> (Vec<Recorded>, Vec<String>) {
    let mut streams: HashMap<&str, (Stream<Permit>, u64)> = HashMap::new();
    let (mut recorded, mut refused) = (Vec::new(), Vec::new());
    for command in commands {
        let stream = format!("{}-{}", command.aggregate, command.id);
        let (state, version) = streams
            .entry(&command.id)
            .or_insert_with(|| (Stream::new(&stream), 0));
        let payload = command.payload.to_string();
        let call = CommandCall {
            name: command.command,
            payload: payload.as_bytes(),
            command_id: &command.command_id,
            time: Time::default(),
            actor: "importer",
            correlation_id: &command.command_id,
        };
        match state.decide(&call) {
            Ok(events) => {
                for event in events {
                    *version += 1;
                    let position = recorded.len() as u64 + 1;
                    let new = Recorded {
                        stream: stream.clone(),
                        version: *version,
                        position,
                        event,
                    };
                    let mut batch = Vec::new();
                    new.pack_into(&mut batch);
                    assert_eq!(state.evolve(&batch), Ok(()));
                    recorded.push(new);
                }
            }
            Err(Refusal::Rejected(rejection)) => refused.push(rejection.code().to_owned()),
            Err(Refusal::Malformed(message)) => panic!("{}: {message}", command.command_id),
        }
    }
    (recorded, refused)
}

/// Folds the events into the documents of a projection, by collection and id.
pub(crate) fn fold<P: Projection>(
    recorded: &[Recorded],
) -> BTreeMap<String, BTreeMap<String, Value>> {
    let mut documents = InMemory::default();
    for collection in Fold::<P>::describe().collections {
        documents.0.insert(collection.name, BTreeMap::new());
    }
    for events in recorded.chunks(BATCH) {
        let mut batch = Vec::new();
        events.iter().for_each(|event| event.pack_into(&mut batch));
        assert_eq!(Fold::<P>::project(&batch, &mut documents), Ok(()));
    }
    documents.0
}

impl Recorded {
    fn pack_into(&self, batch: &mut Vec<u8>) {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&self.position.to_be_bytes());
        let packed = PackedEvent {
            envelope: Envelope {
                event_id: EventId::from_bytes(id),
                position: self.position,
                version: self.version,
                time: Time::default(),
                schema_version: self.event.schema_version,
                stream: &self.stream,
                event_type: &self.event.name,
                correlation_id: "",
                causation_id: "",
                actor: "importer",
                raw_metadata: b"{}",
            },
            data: &self.event.data,
        };
        assert!(pack(batch, &packed).is_ok());
    }
}

/// Documents in memory.
#[derive(Default)]
struct InMemory(BTreeMap<String, BTreeMap<String, Value>>);

impl DocumentStore for InMemory {
    fn get(&self, collection: &str, id: &str) -> Option<Vec<u8>> {
        let document = self.0[collection].get(id)?;
        Some(document.to_string().into_bytes())
    }

    fn put(&mut self, collection: &str, id: &str, document: Vec<u8>) {
        let Ok(document) = serde_json::from_slice(&document) else {
            panic!("{collection}/{id} is no JSON")
        };
        let documents = self.0.entry(collection.to_owned()).or_default();
        documents.insert(id.to_owned(), document);
    }

    fn delete(&mut self, collection: &str, id: &str) {
        self.0.entry(collection.to_owned()).or_default().remove(id);
    }
}
