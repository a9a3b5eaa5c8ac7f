//! The documents of permits, and what is found among them.

use foldhost_plugin_sdk::testing::{Recorded, given_recorded, on, projection_laws};
use permits::{PermitDocument, PermitEvent, Permits};
use serde_json::{Value, json};

fn registered(id: &str, channel: &str, responsible: &str, ended_at: Option<&str>) -> Recorded {
    let data = json!({ "channel": channel, "department": "General", "group": null, "responsible": responsible,
        "started_at": "2011-10-11T12:00:00.000Z", "ended_at": ended_at, "deadline": null });
    Recorded::raw(&format!("permit-{id}"), "PermitRegistered", 1, data)
}

fn task(id: &str, activity: &str, at: &str) -> Recorded {
    let data = json!({ "task": "task-1", "activity": activity, "resource": "Resource01", "group": null, "at": at });
    Recorded::raw(&format!("permit-{id}"), "TaskRecorded", 1, data)
}

fn permit(id: &str, fields: Value) -> Value {
    let mut permit = json!({ "permit_id": id, "state": "open", "channel": "Internet", "department": "General",
        "group": null, "responsible": "Resource21", "started_at": "2011-10-11T12:00:00.000Z", "ended_at": null,
        "deadline": null, "last_task_at": null, "elapsed_seconds": 0, "tasks": 0, "path": [] });
    for (name, value) in fields.as_object().into_iter().flatten() {
        permit[name] = value.clone();
    }
    permit
}

#[test]
fn a_registered_permit_has_no_path_yet() {
    given_recorded::<Permits>([registered("case-1", "Internet", "Resource21", None)])
        .then_document::<PermitDocument>("case-1", permit("case-1", json!({})));
}

#[test]
fn tasks_lengthen_the_path_and_the_elapsed_time() {
    given_recorded::<Permits>([
        registered("case-1", "Internet", "Resource21", None),
        task("case-1", "T02", "2011-10-11T12:01:00.000Z"),
        task("case-1", "T04", "2011-10-12T12:00:00.900Z"),
    ])
    .then_document::<PermitDocument>(
        "case-1",
        permit(
            "case-1",
            json!({ "last_task_at": "2011-10-12T12:00:00.900Z", "elapsed_seconds": 86_400, "tasks": 2,
                "path": ["T02", "T04"] }),
        ),
    );
}

#[test]
fn a_permit_with_an_end_date_is_closed() {
    let ended_at = "2011-10-18T12:00:00.000Z";
    let closed = json!({ "state": "closed", "ended_at": ended_at });
    given_recorded::<Permits>([
        registered("case-1", "Internet", "Resource21", Some(ended_at)),
        registered("case-2", "Internet", "Resource21", None),
    ])
    .then_document::<PermitDocument>("case-1", permit("case-1", closed))
    .then_query("open-permits", json!({}), [permit("case-2", json!({}))]);
}

#[test]
fn permits_are_found_by_who_is_responsible() {
    let of_other = permit("case-2", json!({ "responsible": "Resource02" }));
    given_recorded::<Permits>([
        registered("case-1", "Internet", "Resource21", None),
        registered("case-2", "Internet", "Resource02", None),
    ])
    .then_query(
        "permits-of-responsible",
        json!({ "responsible": "Resource02" }),
        [of_other],
    );
}

#[test]
fn the_slowest_permits_come_first_over_all_channels_or_in_one() {
    let slow = json!({ "channel": "Desk", "last_task_at": "2011-10-11T12:02:00.000Z", "elapsed_seconds": 120,
        "tasks": 1, "path": ["T02"] });
    let (slow, quick) = (permit("case-2", slow), permit("case-1", json!({})));
    given_recorded::<Permits>([
        registered("case-1", "Internet", "Resource21", None),
        registered("case-2", "Desk", "Resource21", None),
        task("case-2", "T02", "2011-10-11T12:02:00.000Z"),
    ])
    .then_query("slowest-permits", json!({}), [slow, quick.clone()])
    .then_query("slowest-permits", json!({ "channel": "Internet" }), [quick]);
}

#[test]
fn a_task_of_a_permit_that_was_never_registered_fails() {
    let event = PermitEvent::TaskRecorded {
        activity: "T02".into(),
        at: foldhost_plugin_sdk::Time::default(),
    };
    given_recorded::<Permits>([on("permit-case-1", event)])
        .then_failure(0, "permit case-1 was never registered");
}

#[test]
fn the_laws_of_projections_hold() {
    projection_laws::<Permits>();
}
