//! Plugins swapped under load: every swap takes effect, no request fails, no event is lost or doubled.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![allow(clippy::print_stdout, reason = "how many requests there were")]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use foldhost::event_store::{Decision, Entry, EntryCommand};
use foldhost::message::{CommandId, Digest, Json, NewEvent, StreamHead, StreamId, Time};
use serde_json::json;
use support::{Client, TestHost, component, eventually};

const POSTS: u64 = 40;
const SENDERS: u64 = 16;
const SWAPS: usize = 20;

/// What the senders saw.
#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    /// Likes per answer: one from one version, two from the other.
    single: AtomicU64,
    double: AtomicU64,
    marked: AtomicU64,
    unmarked: AtomicU64,
    done: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_swaps_of_each_kind_under_load_fail_no_request_and_lose_no_event() {
    let host = TestHost::start(&["post", "posts"]).await;
    for post in 0..POSTS {
        let payload = json!({"author": "ada", "message": "hello"});
        host.client
            .command("post", &post.to_string(), "create", payload)
            .await
            .expect(200);
    }
    let seen = Arc::new(Seen::default());
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| tokio::spawn(send(host.client.clone(), Arc::clone(&seen), sender)))
        .collect();
    let (mut posts, mut post) = (
        ["posts-variant", "posts"].iter().cycle(),
        ["post-variant", "post"].iter().cycle(),
    );
    for _ in 0..SWAPS {
        let (aggregate, projection) = (*post.next().unwrap(), *posts.next().unwrap());
        host.take_up_bytes(aggregate, component(aggregate)).await;
        the_aggregate_is(&host.client, aggregate).await;
        host.take_up_bytes(projection, component(projection)).await;
        the_projection_is(&host.client, projection).await;
    }
    seen.done.store(true, Ordering::Relaxed);
    let mut likes = HashMap::<u64, u64>::new();
    for sender in senders {
        for (post, count) in sender.await.unwrap() {
            *likes.entry(post).or_default() += count;
        }
    }
    check(&host.client, &likes).await;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{} requests during {} swaps",
        count(&seen.requests),
        2 * SWAPS
    );
    for (what, counter) in [
        ("answers of one version of the aggregate", &seen.single),
        ("answers of the other", &seen.double),
        ("documents of one version of the projection", &seen.unmarked),
        ("documents of the other", &seen.marked),
    ] {
        assert!(count(counter) > 0, "no {what}");
    }
}

/// Likes posts and reads its own likes, until it is told to end; gives how many likes were acknowledged per post.
async fn send(client: Client, seen: Arc<Seen>, sender: u64) -> HashMap<u64, u64> {
    let mut likes = HashMap::new();
    let mut number = sender;
    while !seen.done.load(Ordering::Relaxed) {
        number += SENDERS + 1;
        let post = number % POSTS;
        let answer = client
            .command("post", &post.to_string(), "like", json!({}))
            .await
            .expect(200);
        let events = answer.body["events"].as_array().unwrap().len() as u64;
        let counter = if events == 1 {
            &seen.single
        } else {
            &seen.double
        };
        counter.fetch_add(1, Ordering::Relaxed);
        *likes.entry(post).or_default() += events;
        let path = format!(
            "/v1/collections/posts/{post}?wait_for={}&timeout=30000",
            answer.position()
        );
        let document = client.get(&path).await.expect(200).body;
        let mine = likes[&post];
        assert!(
            document["likes"].as_u64().unwrap() >= mine,
            "{mine} likes of this sender alone, shown: {document}"
        );
        let counter = if document["variant"] == "b" {
            &seen.marked
        } else {
            &seen.unmarked
        };
        counter.fetch_add(1, Ordering::Relaxed);
        seen.requests.fetch_add(2, Ordering::Relaxed);
    }
    likes
}

/// An activation is answered when commands are decided by the new version. Post 0 is not counted by the check.
async fn the_aggregate_is(client: &Client, version: &str) {
    let answer = client
        .command("post", "0", "like", json!({}))
        .await
        .expect(200);
    let expected = if version == "post" { 1 } else { 2 };
    assert_eq!(
        answer.body["events"].as_array().unwrap().len(),
        expected,
        "{version}: {answer:?}"
    );
}

/// A rebuilt projection is switched to when it has caught up.
async fn the_projection_is(client: &Client, version: &str) {
    eventually("the switch", async || {
        let document = client.get("/v1/collections/posts/1").await.expect(200).body;
        let marked = document["variant"] == "b";
        if marked == (version == "posts-variant") {
            Ok(())
        } else {
            Err(document)
        }
    })
    .await;
}

/// Streams and documents hold exactly the likes that were acknowledged.
async fn check(client: &Client, likes: &HashMap<u64, u64>) {
    let head = client
        .command(
            "post",
            "last",
            "create",
            json!({"author": "z", "message": "z"}),
        )
        .await
        .position();
    for post in 1..POSTS {
        let acknowledged = likes.get(&post).copied().unwrap_or(0);
        let events = client.all(&format!("/v1/streams/post/{post}")).await;
        assert_eq!(
            events.len() as u64,
            acknowledged + 1,
            "events of post {post}"
        );
        let path = format!("/v1/collections/posts/{post}?wait_for={head}&timeout=30000");
        let document = client.get(&path).await.expect(200).body;
        assert_eq!(
            document["likes"].as_u64(),
            Some(acknowledged),
            "post {post}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_appears_in_the_watched_folder_is_taken_up_and_a_changed_one_swapped() {
    let host = TestHost::start_with(&[], |config| config.activate_from_folder = true).await;
    let file = host.folder.path().join("plugins").join("post.wasm");
    std::fs::write(&file, component("post")).unwrap();
    created_with_likes(&host.client, "1", 1).await;
    std::fs::write(&file, component("post-variant")).unwrap();
    created_with_likes(&host.client, "2", 2).await;
}

/// Waits until a like of a fresh post has so many events.
async fn created_with_likes(client: &Client, post: &str, events: usize) {
    eventually("the plugin in the folder is taken up", async || {
        let key = [("idempotency-key", post)];
        let payload = json!({"author": "ada", "message": "hello"});
        let created = client
            .command_with("post", post, "create", payload, &key)
            .await;
        if created.status != 200 {
            return Err(created);
        }
        let liked = client.command("post", post, "like", json!({})).await;
        if liked.body["events"]
            .as_array()
            .is_some_and(|liked| liked.len() == events)
        {
            Ok(())
        } else {
            Err(liked)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_components_in_the_watched_folder_are_refused_with_their_reasons_and_the_old_one_serves_on()
 {
    let host = TestHost::start_with(&["post"], |config| config.activate_from_folder = true).await;
    host.client
        .command(
            "post",
            "1",
            "create",
            json!({"author": "ada", "message": "hello"}),
        )
        .await
        .expect(200);
    let good = component("post");
    let folder = host.folder.path().join("plugins");
    let random: Vec<u8> = (0..5_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let bad: [(&str, Vec<u8>, &str); 6] = [
        (
            "half-written",
            good[..good.len() / 2].to_vec(),
            "not a WebAssembly component",
        ),
        (
            "truncated",
            good[..good.len() - 10].to_vec(),
            "not a WebAssembly component",
        ),
        ("random", random, "it does not begin as one"),
        ("empty", Vec::new(), "it does not begin as one"),
        (
            "core-module",
            b"\0asm\x01\0\0\0".to_vec(),
            "it is a core module",
        ),
        (
            "other-contract",
            b"\0asm\x0d\0\x01\0".to_vec(),
            "it does not export foldhost:plugin/plugin@0.1.0",
        ),
    ];
    for (name, bytes, _) in &bad {
        std::fs::write(folder.join(format!("{name}.wasm")), bytes).unwrap();
    }
    for (name, _, words) in &bad {
        let reason = eventually("the refusal is shown", async || {
            let plugins = host.client.get("/v1/plugins").await.expect(200).body;
            let text = plugins.to_string();
            if text.contains(&format!("{name}.wasm")) {
                Ok(text)
            } else {
                Err(text)
            }
        })
        .await;
        assert!(reason.contains(words), "{name}: {reason}");
        host.client
            .command("post", "1", "like", json!({}))
            .await
            .expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_read_recorded_events_is_refused_and_names_them() {
    let host = TestHost::start(&["post"]).await;
    let from_the_future = Entry {
        stream: StreamId::parse("post-1").unwrap(),
        expected: StreamHead::default(),
        plugin: host.host.catalog().aggregate("post").unwrap().digest,
        command: EntryCommand {
            id: CommandId::random(),
            actor: "test".into(),
            name: "create".into(),
            payload: Json::from(&json!({})),
            hash: Digest::of(b"any"),
            correlation_id: "any".into(),
            metadata: Json::from(&json!({})),
        },
        time: Time::now(),
        decision: Decision::Accepted(vec![NewEvent {
            event_id: uuid::Uuid::now_v7(),
            event_type: "PostCreated".into(),
            schema_version: 2,
            data: Json::from(&json!({"author": "ada", "message": "hello"})),
        }]),
    };
    host.host
        .store()
        .append([from_the_future].into())
        .await
        .unwrap();
    for (plugin, name) in [("posts", "posts"), ("post-variant", "post")] {
        let refused = host
            .client
            .put(&format!("/v1/plugins/{name}"), component(plugin))
            .await
            .expect(422);
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(
            detail.contains("post.PostCreated in schema version 2"),
            "{detail}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_serves_what_was_active_after_a_restart_though_the_folder_is_empty() {
    let host = TestHost::start(&["post", "posts"]).await;
    let created = host
        .client
        .command(
            "post",
            "1",
            "create",
            json!({"author": "ada", "message": "hello"}),
        )
        .await;
    let position = created.expect(200).position();
    let folder = host.stop().await;
    let host = TestHost::start_in(folder, |_| {}).await;
    host.client
        .command("post", "1", "like", json!({}))
        .await
        .expect(200);
    let path = format!("/v1/collections/posts/1?wait_for={}", position + 1);
    assert_eq!(host.client.get(&path).await.expect(200).body["likes"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_a_read_model_that_was_replaced_is_gone() {
    let host = TestHost::start(&["post", "posts"]).await;
    for post in 0..3 {
        let payload = json!({"author": "ada", "message": "hello"});
        host.client
            .command("post", &post.to_string(), "create", payload)
            .await
            .expect(200);
    }
    let page = host
        .client
        .get("/v1/collections/posts?limit=1&wait_for=3")
        .await
        .expect(200);
    let next = page.body["next"].as_str().unwrap().to_owned();
    host.take_up_bytes("posts-variant", component("posts-variant"))
        .await;
    the_projection_is(&host.client, "posts-variant").await;
    let gone = host
        .client
        .get(&format!("/v1/collections/posts?limit=1&cursor={next}"))
        .await
        .expect(410);
    assert_eq!(gone.code(), "cursor-gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_read_model_is_dropped_after_its_retention() {
    let host = TestHost::start_with(&["post", "posts"], |config| {
        config.projections.retention_seconds = 0;
    })
    .await;
    host.client
        .command(
            "post",
            "1",
            "create",
            json!({"author": "ada", "message": "hello"}),
        )
        .await
        .expect(200);
    host.client
        .get("/v1/collections/posts/1?wait_for=1")
        .await
        .expect(200);
    host.take_up_bytes("posts-variant", component("posts-variant"))
        .await;
    the_projection_is(&host.client, "posts-variant").await;
    eventually("the former generation is dropped", async || {
        let left = host.host.generations("posts").await.unwrap().len();
        if left == 1 { Ok(()) } else { Err(left) }
    })
    .await;
}
