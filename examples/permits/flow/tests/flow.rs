//! Which activity follows which, and which paths are taken.

use flow::{Case, Flow, Pair, Path, PermitEvent};
use foldhost_plugin_sdk::testing::{Projected, Recorded, given_recorded, on, projection_laws};
use serde_json::{Value, json};

fn task(id: &str, activity: &str) -> Recorded {
    let activity = activity.into();
    on(
        &format!("permit-{id}"),
        PermitEvent::TaskRecorded { activity },
    )
}

fn pair(from: &str, to: &str, count: u64) -> Value {
    json!({ "from": from, "to": to, "count": count })
}

fn path(activities: &[&str], permits: u64) -> Value {
    json!({ "activities": activities, "tasks": activities.len(), "permits": permits })
}

/// Two permits go A, B; one of them goes on to C and back to B; a third does A alone. None waits for another.
fn three_permits() -> Projected<Flow> {
    given_recorded::<Flow>([
        task("1", "A"),
        task("2", "A"),
        task("1", "B"),
        task("3", "A"),
        task("2", "B"),
        task("1", "C"),
        task("1", "B"),
    ])
}

#[test]
fn pairs_are_counted_within_each_permit() {
    three_permits().then_count::<Pair>(3).then_query(
        "commonest-pairs",
        json!({}),
        [pair("A", "B", 2), pair("B", "C", 1), pair("C", "B", 1)],
    );
}

#[test]
fn a_permit_counts_for_its_whole_path_alone() {
    three_permits().then_count::<Path>(3).then_query(
        "commonest-paths",
        json!({}),
        [
            path(&["A"], 1),
            path(&["A", "B"], 1),
            path(&["A", "B", "C", "B"], 1),
        ],
    );
}

#[test]
fn the_commonest_path_comes_first() {
    given_recorded::<Flow>([task("1", "A"), task("2", "B"), task("3", "B")]).then_query(
        "commonest-paths",
        json!({}),
        [path(&["B"], 2), path(&["A"], 1)],
    );
}

#[test]
fn an_activity_may_follow_itself() {
    given_recorded::<Flow>([task("1", "A"), task("1", "A")])
        .then_query("commonest-pairs", json!({}), [pair("A", "A", 1)])
        .then_count::<Path>(1)
        .then_count::<Case>(1);
}

#[test]
fn what_follows_and_what_precedes_an_activity_is_found() {
    three_permits()
        .then_query(
            "what-follows",
            json!({ "activity": "B" }),
            [pair("B", "C", 1)],
        )
        .then_query(
            "what-precedes",
            json!({ "activity": "B" }),
            [pair("A", "B", 2), pair("C", "B", 1)],
        );
}

#[test]
fn names_that_join_to_the_same_text_are_different_paths() {
    given_recorded::<Flow>([
        task("1", "ab"),
        task("1", "c"),
        task("2", "a"),
        task("2", "bc"),
    ])
    .then_count::<Path>(2);
}

#[test]
fn the_laws_of_projections_hold() {
    projection_laws::<Flow>();
}
