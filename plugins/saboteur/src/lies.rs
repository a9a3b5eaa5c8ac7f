//! Events that the typed SDK does not let an author write.

use foldhost_plugin_sdk::describe::AggregateDescriptor;
use foldhost_plugin_sdk::guest::{
    AggregateGuest, BatchFailure, CommandCall, NewEvent, Refusal, Stream,
};

use crate::Saboteur;

/// The saboteur with its lies; everything else is the typed one's.
#[derive(Debug)]
pub struct LyingSaboteur(Stream<Saboteur>);

impl AggregateGuest for LyingSaboteur {
    fn describe() -> AggregateDescriptor {
        Stream::<Saboteur>::describe()
    }

    fn new(stream: &str) -> Self {
        Self(Stream::new(stream))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), String> {
        self.0.restore(snapshot)
    }

    fn evolve(&mut self, events: &[u8]) -> Result<(), BatchFailure> {
        self.0.evolve(events)
    }

    fn decide(&self, command: &CommandCall<'_>) -> Result<Vec<NewEvent>, Refusal> {
        let (name, schema_version, data) = match command.name {
            "not-json" => ("Behaved", 1, r#"{"times": 1"#),
            "wrong-data" => ("Behaved", 1, r#"{"times": "three"}"#),
            "undeclared-event" => ("NeverDeclared", 1, "{}"),
            "undeclared-version" => ("Behaved", 9, r#"{"times": 1}"#),
            _ => return self.0.decide(command),
        };
        let data = data.as_bytes().to_vec();
        Ok(vec![NewEvent {
            name: name.into(),
            schema_version,
            data,
        }])
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    fn view(&self) -> Vec<u8> {
        self.0.view()
    }
}
