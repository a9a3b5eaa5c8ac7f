//! Streams, states in the past, documents and queries.

use serde_json::{Value, json};

use crate::support::{Client, TestHost, eventually};

async fn with_posts(count: usize) -> (TestHost, u64) {
    let host = TestHost::start(&["post", "posts"]).await;
    let mut position = 0;
    for number in 0..count {
        let author = if number % 2 == 0 { "ada" } else { "bob" };
        let create = json!({"author": author, "message": format!("message {number}")});
        host.client
            .command("post", &number.to_string(), "create", create)
            .await
            .expect(200);
        for _ in 0..number {
            position = host
                .client
                .command("post", &number.to_string(), "like", json!({}))
                .await
                .expect(200)
                .position();
        }
    }
    (host, position)
}

fn ids(items: &Value) -> Vec<&str> {
    items
        .as_array()
        .unwrap()
        .iter()
        .map(|post| post["post_id"].as_str().unwrap())
        .collect()
}

async fn versions(client: &Client, path: &str) -> (Vec<u64>, Value) {
    let page = client.get(path).await.expect(200).body;
    let versions = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["version"].as_u64().unwrap())
        .collect();
    (versions, page["next"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_read_in_pages() {
    let (host, _) = with_posts(5).await;
    let (first, next) = versions(&host.client, "/v1/streams/post/4?limit=2").await;
    assert_eq!(first, [1, 2]);
    let next = format!(
        "/v1/streams/post/4?limit=3&cursor={}",
        next.as_str().unwrap()
    );
    assert_eq!(
        versions(&host.client, &next).await,
        (vec![3, 4, 5], Value::Null)
    );
    assert_eq!(
        versions(&host.client, "/v1/streams/post/4?after=4").await,
        (vec![5], Value::Null)
    );
    assert_eq!(
        versions(&host.client, "/v1/streams/post/4?after=5").await,
        (vec![], Value::Null)
    );
    let other = next.replace("post/4", "post/3");
    assert_eq!(
        host.client.get(&other).await.expect(400).code(),
        "invalid-cursor"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_shown_as_it_is_and_as_it_was() {
    let (host, _) = with_posts(3).await;
    let now = host.client.get("/v1/aggregates/post/2").await.expect(200);
    assert_eq!(now.headers["etag"], "\"3\"");
    assert_eq!(
        (&now.body["stream"], &now.body["version"]),
        (&json!("post-2"), &json!(3))
    );
    assert_eq!(now.body["state"]["likes"], 2);
    let then = host
        .client
        .get("/v1/aggregates/post/2?version=2")
        .await
        .expect(200);
    assert_eq!(
        (&then.body["version"], &then.body["state"]["likes"]),
        (&json!(2), &json!(1))
    );
    let time = host.client.all("/v1/streams/post/2").await[2]["time"]
        .as_str()
        .unwrap()
        .to_owned();
    let then = host
        .client
        .get(&format!("/v1/aggregates/post/2?at={time}"))
        .await
        .expect(200);
    assert_eq!(then.body["version"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_found_sorted_and_walked() {
    let (host, position) = with_posts(5).await;
    let document = host
        .client
        .get(&format!("/v1/collections/posts/3?wait_for={position}"))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&document["post_id"], &document["likes"]),
        (&json!("3"), &json!(3))
    );
    let found = host
        .client
        .get("/v1/collections/posts?sort=-likes&filter={\"likes\":{\"gte\":2}}")
        .await
        .expect(200)
        .body;
    assert_eq!(ids(&found["items"]), ["4", "3", "2"]);
    assert_eq!(found["next"], Value::Null);
    let page = host
        .client
        .get("/v1/collections/posts?sort=author,-likes&limit=2")
        .await
        .expect(200)
        .body;
    assert_eq!(ids(&page["items"]), ["4", "2"]);
    let next = page["next"].as_str().unwrap();
    let page = host
        .client
        .get(&format!(
            "/v1/collections/posts?sort=author,-likes&limit=3&cursor={next}"
        ))
        .await;
    assert_eq!(ids(&page.expect(200).body["items"]), ["0", "3", "1"]);
    let other = host
        .client
        .get(&format!("/v1/collections/posts?sort=author&cursor={next}"))
        .await;
    assert_eq!(other.expect(400).code(), "invalid-cursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_query_takes_its_parameters_and_gives_a_list() {
    let (host, position) = with_posts(4).await;
    let by = format!("/v1/queries/find-posts-by-author?author=+ADA+&wait_for={position}");
    assert_eq!(
        ids(&host.client.get(&by).await.expect(200).body["items"]),
        ["2", "0"]
    );
    let liked = host
        .client
        .get("/v1/queries/find-posts-with-likes?likes=2")
        .await
        .expect(200)
        .body;
    assert_eq!(ids(&liked["items"]), ["3", "2"]);
    let none = host
        .client
        .get("/v1/queries/find-post-by-id?id=nothing")
        .await
        .expect(200)
        .body;
    assert_eq!(none, json!({"items": [], "next": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_not_reached_in_time_is_told_with_the_present_one() {
    let (host, position) = with_posts(2).await;
    let reached = format!("/v1/collections/posts?wait_for={position}&timeout=30000");
    host.client.get(&reached).await.expect(200);
    let wanted = position + 1;
    for path in [
        "collections/posts?",
        "collections/posts/1?",
        "queries/find-all-posts?",
    ] {
        let late = host
            .client
            .get(&format!("/v1/{path}wait_for={wanted}&timeout=50"))
            .await
            .expect(504);
        assert_eq!((late.code(), late.position()), ("not-reached", position));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_event_is_listed_and_marks_the_answers_that_miss_it() {
    let host = TestHost::start(&["saboteur"]).await;
    host.client
        .command("saboteur", "1", "behave", json!({}))
        .await
        .expect(200);
    let parked = host
        .client
        .command("saboteur", "1", "poison", json!({"how": "panic"}))
        .await
        .expect(200)
        .position();
    let behind = host
        .client
        .command("saboteur", "1", "behave", json!({}))
        .await
        .expect(200)
        .position();
    let healthy = host
        .client
        .command("saboteur", "2", "behave", json!({}))
        .await
        .expect(200)
        .position();
    let path =
        |wait_for: u64| format!("/v1/collections/saboteur?wait_for={wait_for}&timeout=30000");
    let answer = host.client.get(&path(behind)).await.expect(200);
    assert_eq!(
        answer.headers["foldhost-parked"],
        behind.to_string().as_str()
    );
    let answer = host.client.get(&path(healthy)).await.expect(200);
    assert!(!answer.headers.contains_key("foldhost-parked"));
    let page = host
        .client
        .get("/v1/projections/saboteur/parked?limit=1")
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&page["items"][0]["position"], &page["items"][0]["type"]),
        (&json!(parked), &json!("saboteur.Sabotage"))
    );
    assert!(
        page["items"][0]["error"]
            .as_str()
            .unwrap()
            .contains("saboteur")
    );
    let all = host.client.all("/v1/projections/saboteur/parked").await;
    let positions: Vec<_> = all
        .iter()
        .map(|event| event["position"].as_u64().unwrap())
        .collect();
    assert_eq!(positions, [parked, behind]);
}

#[tokio::test(flavor = "multi_thread")]
async fn projections_are_listed_with_where_they_stand() {
    let (host, position) = with_posts(2).await;
    let caught_up = eventually("the projection catches up", async || {
        let listed = host.client.get("/v1/projections").await.expect(200).body;
        if listed["items"][0]["lag"] == 0 {
            Ok(listed)
        } else {
            Err(listed)
        }
    });
    let listed = caught_up.await;
    let item = &listed["items"][0];
    let digest = item["digest"].clone();
    let expected = json!({
        "name": "posts", "plugin": "posts", "digest": digest, "generation": 1, "state": "live", "reason": null,
        "position": position, "lag": 0, "parked": 0, "deviates": false, "rebuild": null,
    });
    assert_eq!(*item, expected);
    assert_eq!(listed["next"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_told_in_prometheus_form() {
    let (host, position) = with_posts(3).await;
    host.client
        .get(&format!("/v1/collections/posts?wait_for={position}"))
        .await
        .expect(200);
    let answer = host.client.get("/metrics").await.expect(200);
    assert!(
        answer.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    let text = answer.body.as_str().unwrap();
    for line in [
        "# TYPE foldhost_head_position gauge".to_owned(),
        format!("foldhost_head_position {position}"),
        format!("foldhost_projection_position{{projection=\"posts\"}} {position}"),
        "foldhost_projection_lag_events{projection=\"posts\"} 0".to_owned(),
        "foldhost_ready 1".to_owned(),
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in {text}");
    }
}
