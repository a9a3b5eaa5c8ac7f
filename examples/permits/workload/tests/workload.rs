//! Who did how much on which day.

use foldhost_plugin_sdk::testing::{Projected, Recorded, given_recorded, projection_laws};
use serde_json::{Value, json};
use workload::{DayOfWork, Workload};

fn task(resource: &str, at: &str) -> Recorded {
    let data = json!({ "task": "task-1", "activity": "T02", "resource": resource, "group": null, "at": at });
    Recorded::raw("permit-case-1", "TaskRecorded", 1, data)
}

fn work(day: &str, resource: &str, tasks: u64) -> Value {
    json!({ "day": day, "resource": resource, "tasks": tasks })
}

/// Two days, on the first of which one did two tasks and another one, a minute before midnight in UTC.
fn two_days() -> Projected<Workload> {
    given_recorded::<Workload>([
        task("Resource01", "2011-10-11T12:00:00.000Z"),
        task("Resource02", "2011-10-11T23:59:00.000Z"),
        task("Resource01", "2011-10-11T12:01:00.000Z"),
        task("Resource01", "2011-10-12T00:00:00.000Z"),
    ])
}

#[test]
fn tasks_are_counted_by_resource_and_day() {
    two_days()
        .then_document::<DayOfWork>("2011-10-11/Resource01", work("2011-10-11", "Resource01", 2))
        .then_document::<DayOfWork>("2011-10-11/Resource02", work("2011-10-11", "Resource02", 1))
        .then_document::<DayOfWork>("2011-10-12/Resource01", work("2011-10-12", "Resource01", 1))
        .then_count::<DayOfWork>(3);
}

#[test]
fn the_day_is_that_of_the_task_in_utc() {
    given_recorded::<Workload>([task("Resource01", "2011-10-12T01:30:00+02:00")])
        .then_document::<DayOfWork>("2011-10-11/Resource01", work("2011-10-11", "Resource01", 1));
}

#[test]
fn the_days_of_a_resource_come_in_order_and_within_bounds() {
    let first = work("2011-10-11", "Resource01", 2);
    let second = work("2011-10-12", "Resource01", 1);
    two_days()
        .then_query(
            "workload-of-resource",
            json!({ "resource": "Resource01" }),
            [first.clone(), second.clone()],
        )
        .then_query(
            "workload-of-resource",
            json!({ "resource": "Resource01", "from": "2011-10-12" }),
            [second],
        )
        .then_query(
            "workload-of-resource",
            json!({ "resource": "Resource01", "to": "2011-10-11" }),
            [first],
        );
}

#[test]
fn bounds_the_wrong_way_round_are_refused() {
    two_days().then_query_rejected(
        "workload-of-resource",
        json!({ "resource": "Resource01", "from": "2011-10-12", "to": "2011-10-11" }),
        "from-after-to",
    );
}

#[test]
fn on_a_day_those_who_did_the_most_come_first() {
    two_days().then_query(
        "workload-on-day",
        json!({ "day": "2011-10-11" }),
        [
            work("2011-10-11", "Resource01", 2),
            work("2011-10-11", "Resource02", 1),
        ],
    );
}

#[test]
fn the_busiest_days_come_first_and_equal_ones_by_their_ids() {
    two_days().then_query(
        "busiest-days",
        json!({}),
        [
            work("2011-10-11", "Resource01", 2),
            work("2011-10-11", "Resource02", 1),
            work("2011-10-12", "Resource01", 1),
        ],
    );
}

#[test]
fn the_laws_of_projections_hold() {
    projection_laws::<Workload>();
}
