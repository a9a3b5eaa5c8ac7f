//! What an accepted command answers and leaves behind.

use serde_json::json;

use crate::support::TestHost;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_command_answers_its_receipt_and_the_version_as_a_tag() {
    let host = TestHost::start(&["post"]).await;
    let create = json!({"author": "ada", "message": "hello"});
    let headers = [("idempotency-key", "\"create 1\""), ("if-none-match", "*")];
    let answer = host
        .client
        .command_with("post", "a b/ä", "create", create, &headers)
        .await;
    assert_eq!(
        answer.status, 404,
        "a slash in a path ends a segment: {answer:?}"
    );
    let create = json!({"author": "ada", "message": "hello"});
    let answer = host
        .client
        .command_with("post", "a%20b%2F%C3%A4", "create", create, &headers)
        .await
        .expect(200);
    assert_eq!(answer.headers["etag"], "\"1\"");
    assert_eq!(answer.headers["content-type"], "application/json");
    let event_id = answer.body["events"][0]["event_id"].clone();
    let events =
        json!([{"event_id": event_id, "type": "PostCreated", "version": 1, "position": 1}]);
    let expected = json!({
        "stream": "post-a b/ä", "version": 1, "position": 1, "command_id": "create 1", "events": events,
    });
    assert_eq!(answer.body, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_brings_along_is_recorded_with_its_events() {
    let host = TestHost::start(&["post"]).await;
    let headers = [
        ("idempotency-key", "c1"),
        ("x-correlation-id", "order-7"),
        ("traceparent", TRACE),
    ];
    let create = json!({"author": "ada \"quoted\"\n", "message": "ünïcödé 😀"});
    host.client
        .command_with("post", "1", "create", create.clone(), &headers)
        .await
        .expect(200);
    host.client
        .command_with(
            "post",
            "1",
            "like",
            json!({}),
            &[("traceparent", "garbage")],
        )
        .await
        .expect(200);
    let events = host.client.all("/v1/streams/post/1").await;
    let digest = host.client.get("/v1/plugins").await.body["items"][0]["digest"].clone();
    let expected = json!({
        "event_id": events[0]["event_id"], "stream": "post-1", "version": 1, "position": 1, "type": "PostCreated",
        "schema_version": 1, "time": events[0]["time"], "correlation_id": "order-7", "causation_id": "c1",
        "actor": "anonymous", "plugin": digest, "metadata": {"traceparent": TRACE}, "data": create,
    });
    assert_eq!(events[0], expected);
    let time = events[0]["time"].as_str().unwrap();
    assert!(
        time.len() == 24 && time.ends_with('Z'),
        "milliseconds in UTC: {time}"
    );
    assert_eq!(events[1]["metadata"], json!({}));
    assert_eq!(events[1]["correlation_id"], events[1]["causation_id"]);
}
