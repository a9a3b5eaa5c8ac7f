//! What is counted for each day.

use activity::{Activity, DayOfActivity, PostEvent};
use foldhost_plugin_sdk::testing::{Recorded, given_recorded, on, projection_laws};
use serde_json::{Value, json};

fn event(event: PostEvent, time: &str) -> Recorded {
    on("post-1", event).at(time)
}

fn day(day: &str, [posts, likes, comments, deletions]: [u64; 4]) -> Value {
    json!({ "day": day, "posts": posts, "likes": likes, "comments": comments, "deletions": deletions })
}

#[test]
fn what_happens_on_one_day_is_counted_together() {
    given_recorded::<Activity>([
        event(PostEvent::PostCreated, "2026-11-23T00:00:00Z"),
        event(PostEvent::PostLiked, "2026-11-23T12:00:00Z"),
        event(PostEvent::PostLiked, "2026-11-23T12:00:00Z"),
        event(PostEvent::CommentAdded, "2026-11-23T23:59:59.999999Z"),
    ])
    .then_document::<DayOfActivity>("2026-11-23", day("2026-11-23", [1, 2, 1, 0]))
    .then_count::<DayOfActivity>(1);
}

#[test]
fn a_new_day_begins_at_midnight_utc() {
    given_recorded::<Activity>([
        event(PostEvent::PostCreated, "2026-11-23T23:59:59.999999Z"),
        event(PostEvent::PostLiked, "2026-11-24T00:00:00Z"),
    ])
    .then_document::<DayOfActivity>("2026-11-23", day("2026-11-23", [1, 0, 0, 0]))
    .then_document::<DayOfActivity>("2026-11-24", day("2026-11-24", [0, 1, 0, 0]));
}

#[test]
fn a_deletion_is_counted_and_takes_nothing_back() {
    given_recorded::<Activity>([
        event(PostEvent::PostCreated, "2026-11-23T09:00:00Z"),
        event(PostEvent::PostLiked, "2026-11-23T09:01:00Z"),
        event(PostEvent::PostDeleted, "2026-11-23T09:02:00Z"),
    ])
    .then_document::<DayOfActivity>("2026-11-23", day("2026-11-23", [1, 1, 0, 1]));
}

#[test]
fn the_days_between_two_days_include_both() {
    let days = ["2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25"];
    let posts = days.map(|day| event(PostEvent::PostCreated, &format!("{day}T09:00:00Z")));
    given_recorded::<Activity>(posts).then_query(
        "activity-between",
        json!({ "from": "2026-11-23", "to": "2026-11-24" }),
        [
            day("2026-11-23", [1, 0, 0, 0]),
            day("2026-11-24", [1, 0, 0, 0]),
        ],
    );
}

#[test]
fn between_a_later_and_an_earlier_day_there_is_nothing() {
    given_recorded::<Activity>([event(PostEvent::PostCreated, "2026-11-23T09:00:00Z")]).then_query(
        "activity-between",
        json!({ "from": "2026-11-24", "to": "2026-11-22" }),
        [],
    );
}

#[test]
fn what_is_no_day_is_refused() {
    for from in ["2026-02-30", "yesterday", "2026-11-23T00:00:00Z"] {
        given_recorded::<Activity>([]).then_query_rejected(
            "activity-between",
            json!({ "from": from, "to": "2026-11-24" }),
            "invalid-parameter",
        );
    }
}

#[test]
fn activity_keeps_the_laws() {
    projection_laws::<Activity>();
}
