//! The command pipeline, with real plugins, over HTTP.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::TestHost;

async fn with_post(id: &str) -> TestHost {
    let host = TestHost::start(&["post"]).await;
    host.client
        .command(
            "post",
            id,
            "create",
            json!({"author": "ada", "message": "hello"}),
        )
        .await
        .expect(200);
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_answered_with_what_it_set_down() {
    let host = TestHost::start(&["post"]).await;
    let answer = host
        .client
        .command(
            "post",
            "1",
            "create",
            json!({"author": "ada", "message": "hello"}),
        )
        .await;
    let answer = answer.expect(200);
    assert_eq!(answer.headers["etag"], "\"1\"");
    assert_eq!(answer.body["stream"], "post-1");
    assert_eq!(answer.body["version"], 1);
    assert_eq!(answer.body["position"], 1);
    assert_eq!(answer.body["events"][0]["type"], "PostCreated");
    assert_eq!(answer.body["events"][0]["position"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_writers_who_expect_the_same_version_one_wins_and_nineteen_are_told_the_actual_one()
 {
    let host = with_post("1").await;
    let writers = (0..20).map(|_| {
        let client = host.client.clone();
        tokio::spawn(async move {
            client
                .command_with("post", "1", "like", json!({}), &[("if-match", "\"1\"")])
                .await
        })
    });
    let mut statuses = BTreeMap::<u16, usize>::new();
    for writer in writers.collect::<Vec<_>>() {
        let answer = writer.await.unwrap();
        if answer.status == 412 {
            assert_eq!(answer.body["actual_version"], 2, "{answer:?}");
        }
        *statuses.entry(answer.status).or_default() += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(200, 1), (412, 19)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_writers_without_an_expectation_all_succeed_and_none_is_lost() {
    let host = with_post("1").await;
    let writers = (0..20).map(|_| {
        let client = host.client.clone();
        tokio::spawn(async move {
            client
                .command("post", "1", "like", json!({}))
                .await
                .expect(200)
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let state = host
        .client
        .get("/v1/aggregates/post/1")
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&state["version"], &state["state"]["likes"]),
        (&json!(21), &json!(20))
    );
    let events = host.client.all("/v1/streams/post/1").await;
    let versions: Vec<u64> = events
        .iter()
        .map(|event| event["version"].as_u64().unwrap())
        .collect();
    assert_eq!(versions, (1..=21).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_id_gives_the_first_outcome_again_and_stores_nothing() {
    let host = with_post("1").await;
    let key = [("idempotency-key", "like-1")];
    let first = host
        .client
        .command_with("post", "1", "like", json!({}), &key)
        .await
        .expect(200);
    host.client
        .command("post", "1", "like", json!({}))
        .await
        .expect(200);
    let again = host
        .client
        .command_with("post", "1", "like", json!({}), &key)
        .await
        .expect(200);
    assert_eq!(first.body, again.body);
    let state = host
        .client
        .get("/v1/aggregates/post/1")
        .await
        .expect(200)
        .body;
    assert_eq!(state["state"]["likes"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_id_sent_twenty_times_at_once_is_one_command() {
    let host = with_post("1").await;
    let senders = (0..20).map(|_| {
        let client = host.client.clone();
        let key = [("idempotency-key", "once")];
        tokio::spawn(async move {
            client
                .command_with("post", "1", "like", json!({}), &key)
                .await
                .expect(200)
                .body
        })
    });
    let mut bodies = Vec::new();
    for sender in senders.collect::<Vec<_>>() {
        bodies.push(sender.await.unwrap());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert_eq!(
        host.client.get("/v1/aggregates/post/1").await.body["state"]["likes"],
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_id_of_another_command_is_refused() {
    let host = with_post("1").await;
    let key = [("idempotency-key", "mine")];
    host.client
        .command_with("post", "1", "like", json!({}), &key)
        .await
        .expect(200);
    let other = host
        .client
        .command_with("post", "1", "edit-message", json!({"message": "x"}), &key)
        .await
        .expect(422);
    assert_eq!(other.code(), "idempotency-key-reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_outcome_is_found_before_a_precondition_fails() {
    let host = with_post("1").await;
    let headers = [("idempotency-key", "conditional"), ("if-match", "\"1\"")];
    let first = host
        .client
        .command_with("post", "1", "like", json!({}), &headers)
        .await
        .expect(200);
    let again = host
        .client
        .command_with("post", "1", "like", json!({}), &headers)
        .await
        .expect(200);
    assert_eq!(first.body, again.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_carries_the_plugins_code_and_stores_nothing() {
    let host = with_post("1").await;
    let refused = host
        .client
        .command(
            "post",
            "1",
            "create",
            json!({"author": "ada", "message": "hello"}),
        )
        .await;
    assert_eq!(refused.expect(422).code(), "already-exists");
    let unknown = host
        .client
        .command("post", "2", "like", json!({}))
        .await
        .expect(422);
    assert_eq!(unknown.code(), "no-such-post");
    assert_eq!(host.client.all("/v1/streams/post/1").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_cached_is_the_same_as_one_that_is_read_again_after_a_restart() {
    let host = TestHost::start(&["post"]).await;
    host.client
        .command(
            "post",
            "1",
            "create",
            json!({"author": "ada", "message": "hello"}),
        )
        .await
        .expect(200);
    for number in 0..450 {
        let comment =
            json!({"comment_id": format!("c{number}"), "comment": "text", "username": "bob"});
        host.client
            .command("post", "1", "add-comment", comment)
            .await
            .expect(200);
    }
    let before = host.client.get("/v1/aggregates/post/1").await.body;
    let folder = host.stop().await;
    let host = TestHost::start_in(folder, |_| {}).await;
    assert_eq!(host.client.get("/v1/aggregates/post/1").await.body, before);
    let taken = json!({"comment_id": "c7", "comment": "text", "username": "bob"});
    assert_eq!(
        host.client
            .command("post", "1", "add-comment", taken)
            .await
            .expect(422)
            .code(),
        "comment-exists"
    );
    host.client
        .command("post", "1", "like", Value::Null)
        .await
        .expect(200);
    let beginning = host
        .client
        .get("/v1/aggregates/post/1?version=1")
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&beginning["version"], &beginning["state"]["message"]),
        (&json!(1), &json!("hello"))
    );
}
