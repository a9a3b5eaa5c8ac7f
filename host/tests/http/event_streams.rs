//! Server-Sent Events: catching up, living on, coming back, and being refused.

use std::time::Duration;

use serde_json::{Value, json};

use crate::events_reader::{Events, request};
use crate::support::{TestHost, eventually};

async fn with_likes(count: usize) -> TestHost {
    let host = TestHost::start(&["post", "saboteur"]).await;
    host.client
        .command(
            "post",
            "1",
            "create",
            json!({"author": "ada", "message": "line\nbreak"}),
        )
        .await
        .expect(200);
    like(&host, count).await;
    host
}

async fn like(host: &TestHost, count: usize) {
    for _ in 0..count {
        host.client
            .command("post", "1", "like", json!({}))
            .await
            .expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_what_is_there_and_then_what_comes() {
    let host = with_likes(2).await;
    let mut events = Events::open(&host, "").await;
    let first = events.next().await.unwrap();
    assert_eq!((first.id, first.event.as_str()), (1, "post.PostCreated"));
    assert_eq!(first.data, host.client.all("/v1/streams/post/1").await[0]);
    assert_eq!(events.ids(2).await, [2, 3]);
    like(&host, 2).await;
    assert_eq!(events.ids(2).await, [4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_goes_on_where_it_was() {
    let host = with_likes(5).await;
    assert_eq!(Events::open(&host, "?after=4").await.ids(2).await, [5, 6]);
    assert_eq!(Events::resume(&host, "", 5).await.ids(1).await, [6]);
    // An EventSource comes back with the URL it began with.
    assert_eq!(Events::resume(&host, "?after=0", 5).await.ids(1).await, [6]);
    let mut at_the_head = Events::open(&host, "?after=6").await;
    like(&host, 1).await;
    assert_eq!(at_the_head.ids(1).await, [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_the_aggregates_and_types_it_wants() {
    let host = with_likes(1).await;
    host.client
        .command("saboteur", "1", "behave", json!({}))
        .await
        .expect(200);
    like(&host, 1).await;
    let wanted = async |query: &str, count| Events::open(&host, query).await.ids(count).await;
    assert_eq!(wanted("?aggregate=saboteur", 1).await, [3]);
    assert_eq!(wanted("?aggregate=post,saboteur", 4).await, [1, 2, 3, 4]);
    assert_eq!(wanted("?type=PostLiked", 2).await, [2, 4]);
    assert_eq!(
        wanted("?type=post.PostLiked&type=Behaved", 3).await,
        [2, 3, 4]
    );
    assert_eq!(
        wanted("?type=PostCreated,saboteur.Behaved", 2).await,
        [1, 3]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_events_come_in_order_whole_and_once() {
    let host = with_likes(0).await;
    let mut events = Events::open(&host, "").await;
    let writers = (0..8).map(|_| async {
        for _ in 0..50 {
            host.client
                .command("post", "1", "like", json!({}))
                .await
                .expect(200);
        }
    });
    let (ids, _) = tokio::join!(events.ids(401), futures_util::future::join_all(writers));
    assert_eq!(ids, (1..=401).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_beyond_the_head_is_gone_and_one_that_is_none_is_malformed() {
    let host = with_likes(1).await;
    for (query, last) in [("?after=3", None), ("", Some(3))] {
        let answer = request(&host, query, last).await;
        assert_eq!(answer.status(), 410);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(
            (&problem["code"], &problem["head"]),
            (&json!("beyond-head"), &json!(2))
        );
    }
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v1/events", host.client.base());
    let answer = http
        .get(&url)
        .header("last-event-id", "three")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_are_bounded_and_a_place_is_free_again_when_one_leaves() {
    let host = TestHost::start_with(&["post"], |config| config.max_subscribers = 2).await;
    let first = Events::open(&host, "").await;
    let _second = Events::open(&host, "").await;
    let refused = request(&host, "", None).await;
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.headers()["retry-after"].to_str().unwrap()
        ),
        (503, "1")
    );
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "too-many-subscribers");
    drop(first);
    let open = async || {
        // The host learns that a client has left when it next writes to it.
        let answer = request(&host, "", None).await;
        if answer.status() == 200 {
            Ok(())
        } else {
            Err(answer.status())
        }
    };
    eventually("a place becomes free", open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_the_host_stops() {
    let host = with_likes(0).await;
    let mut events = Events::open(&host, "").await;
    assert_eq!(events.ids(1).await, [1]);
    let inner = host.host.clone();
    let stopping = tokio::spawn(async move { inner.shutdown().await });
    assert!(events.next().await.is_none());
    tokio::time::timeout(Duration::from_secs(30), stopping)
        .await
        .unwrap()
        .unwrap();
}
