//! The saboteur's healthy side, and that its lies are lies; its harm is for the host's tests to contain.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use foldhost_plugin_sdk::Time;
use foldhost_plugin_sdk::guest::{AggregateGuest as _, CommandCall, NewEvent};
use foldhost_plugin_sdk::testing::{given, given_recorded, on};
use saboteur::{
    FoldedEvent, Harm, LyingSaboteur, SabotagedProjection, Saboteur, SaboteurCommand,
    SaboteurDocument, SaboteurEvent,
};
use serde_json::json;

#[track_caller]
fn lie(name: &str) -> NewEvent {
    let command = CommandCall {
        name,
        payload: b"{}",
        command_id: "1",
        time: Time::default(),
        actor: "tester",
        correlation_id: "1",
    };
    let mut events = LyingSaboteur::new("saboteur-1").decide(&command).unwrap();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

#[test]
fn behaving_is_recorded_and_folded() {
    let behaved = || SaboteurEvent::Behaved { times: 2 };
    given::<Saboteur>([])
        .when(SaboteurCommand::Behave { times: Some(2) })
        .then([behaved()]);
    given::<Saboteur>([behaved(), behaved()]).then_view(json!({ "behaved": 4, "other": 0 }));
}

#[test]
fn a_refusal_is_a_refusal() {
    given::<Saboteur>([])
        .when(SaboteurCommand::Refuse)
        .then_rejected("refused");
}

#[test]
fn poison_is_harmless_to_the_aggregate() {
    let sabotage = || SaboteurEvent::Sabotage {
        how: Harm::HugeDocument,
    };
    given::<Saboteur>([sabotage()])
        .when_raw("poison", json!({ "how": "huge-document" }))
        .then([sabotage()]);
}

#[test]
fn a_harm_that_does_not_exist_is_malformed() {
    given::<Saboteur>([])
        .when_raw("poison", json!({ "how": "kindness" }))
        .then_malformed("field `how`: unknown variant `kindness`");
}

#[test]
fn lies_are_lies() {
    assert!(serde_json::from_slice::<serde_json::Value>(&lie("not-json").data).is_err());
    assert_eq!(lie("wrong-data").data, br#"{"times": "three"}"#);
    let declared = LyingSaboteur::describe().events;
    assert!(
        declared
            .iter()
            .all(|event| event.name != lie("undeclared-event").name)
    );
    assert!(
        declared
            .iter()
            .all(|event| event.schema_version != lie("undeclared-version").schema_version)
    );
}

#[test]
fn every_lie_is_a_declared_command() {
    let commands = LyingSaboteur::describe().commands;
    for lie in [
        "not-json",
        "wrong-data",
        "undeclared-event",
        "undeclared-version",
    ] {
        assert!(commands.iter().any(|command| command.name == lie), "{lie}");
    }
}

#[test]
fn healthy_events_are_folded_into_a_document() {
    given_recorded::<SabotagedProjection>([
        on("saboteur-1", FoldedEvent::Behaved { times: 2 }),
        on("saboteur-1", FoldedEvent::Behaved { times: 1 }),
    ])
    .then_document::<SaboteurDocument>("1", json!({ "behaved": 3, "survived": 0 }))
    .then_query(
        "best-saboteurs",
        json!({}),
        [json!({ "behaved": 3, "survived": 0 })],
    );
}

#[test]
fn a_failing_event_says_why() {
    given_recorded::<SabotagedProjection>([
        on("saboteur-1", FoldedEvent::Behaved { times: 1 }),
        on("saboteur-1", FoldedEvent::Sabotage { how: Harm::Fail }),
    ])
    .then_failure(1, "fails on purpose");
}
