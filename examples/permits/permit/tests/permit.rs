//! What is decided on applications for permits.

use foldhost_plugin_sdk::Time;
use foldhost_plugin_sdk::testing::{aggregate_laws, given};
use permit::{Permit, PermitCommand, PermitEvent};
use serde_json::json;

/// Noon on a day of October 2011.
fn noon(day: i64) -> Time {
    const FIRST_NOON: i64 = 1_317_470_400_000_000;
    Time::from_micros(FIRST_NOON + (day - 1) * 86_400_000_000)
}

fn register() -> PermitCommand {
    PermitCommand::Register {
        channel: "Internet".into(),
        department: "General".into(),
        group: None,
        responsible: "Resource21".into(),
        started_at: noon(11),
        ended_at: None,
        deadline: Some(noon(30)),
    }
}

fn registered() -> PermitEvent {
    PermitEvent::PermitRegistered {
        channel: "Internet".into(),
        department: "General".into(),
        group: None,
        responsible: "Resource21".into(),
        started_at: noon(11),
        ended_at: None,
        deadline: Some(noon(30)),
    }
}

fn record(task: &str, at: Time) -> PermitCommand {
    PermitCommand::RecordTask {
        task: task.into(),
        activity: "Confirmation of receipt".into(),
        resource: "Resource01".into(),
        group: Some("Group 1".into()),
        at,
    }
}

fn recorded(task: &str, at: Time) -> PermitEvent {
    PermitEvent::TaskRecorded {
        task: task.into(),
        activity: "Confirmation of receipt".into(),
        resource: "Resource01".into(),
        group: Some("Group 1".into()),
        at,
    }
}

#[test]
fn an_application_is_registered() {
    given::<Permit>([]).when(register()).then([registered()]);
}

#[test]
fn an_application_is_registered_once() {
    given::<Permit>([registered()])
        .when(register())
        .then_rejected("already-registered");
}

#[test]
fn a_task_is_recorded_on_a_registered_application() {
    given::<Permit>([registered()])
        .when(record("task-1", noon(12)))
        .then([recorded("task-1", noon(12))]);
}

#[test]
fn a_task_before_the_registration_is_refused() {
    given::<Permit>([])
        .when(record("task-1", noon(12)))
        .then_rejected("not-registered");
}

#[test]
fn a_task_instance_is_recorded_once() {
    given::<Permit>([registered(), recorded("task-1", noon(12))])
        .when(record("task-1", noon(13)))
        .then_rejected("task-already-recorded");
}

#[test]
fn a_task_recorded_twice_is_called_that_though_its_time_has_passed() {
    given::<Permit>([
        registered(),
        recorded("task-1", noon(12)),
        recorded("task-2", noon(13)),
    ])
    .when(record("task-1", noon(12)))
    .then_rejected("task-already-recorded");
}

#[test]
fn a_task_before_the_last_one_is_refused() {
    given::<Permit>([registered(), recorded("task-1", noon(13))])
        .when(record("task-2", noon(12)))
        .then_rejected("time-goes-back");
}

#[test]
fn a_task_before_the_start_is_refused() {
    given::<Permit>([registered()])
        .when(record("task-1", noon(10)))
        .then_rejected("time-goes-back");
}

#[test]
fn two_tasks_may_be_done_at_the_same_time() {
    given::<Permit>([registered(), recorded("task-1", noon(12))])
        .when(record("task-2", noon(12)))
        .then([recorded("task-2", noon(12))]);
}

#[test]
fn a_name_too_long_for_a_document_id_is_refused() {
    given::<Permit>([registered()])
        .when(record(&"t".repeat(201), noon(12)))
        .then_rejected("name-too-long");
}

#[test]
fn a_time_with_an_offset_is_kept_in_utc() {
    let payload = json!({ "task": "task-1", "activity": "Confirmation of receipt", "resource": "Resource01",
        "group": "Group 1", "at": "2011-10-12T14:00:00+02:00" });
    given::<Permit>([registered()])
        .when_raw("record-task", payload)
        .then([recorded("task-1", noon(12))]);
}

#[test]
fn a_time_without_an_offset_is_malformed() {
    let payload = json!({ "task": "task-1", "activity": "Confirmation of receipt", "resource": "Resource01",
        "at": "2011-10-12T14:00:00" });
    given::<Permit>([registered()])
        .when_raw("record-task", payload)
        .then_malformed("at");
}

#[test]
fn the_state_holds_the_latest_time_and_the_tasks() {
    given::<Permit>([registered(), recorded("task-1", noon(12))])
        .then_view(json!({ "latest": "2011-10-12T12:00:00.000Z", "tasks": ["task-1"] }));
}

#[test]
fn the_laws_of_aggregates_hold() {
    aggregate_laws::<Permit>();
}
