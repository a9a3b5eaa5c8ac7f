//! Walking a collection by its cursor while others write.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use support::{Client, TestHost};

/// Posts that are there throughout.
const KEPT: usize = 150;

#[tokio::test(flavor = "multi_thread")]
async fn no_document_comes_twice_and_none_is_missed_that_was_there_throughout() {
    let host = TestHost::start(&["post", "posts"]).await;
    let mut head = 0;
    for post in 0..KEPT {
        let payload = json!({"author": format!("author {}", post % 7), "message": "kept"});
        head = host
            .client
            .command("post", &format!("kept-{post}"), "create", payload)
            .await
            .expect(200)
            .position();
    }
    host.client
        .get(&format!("/v1/collections/posts?wait_for={head}"))
        .await
        .expect(200);
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| tokio::spawn(write(host.client.clone(), Arc::clone(&done), writer)))
        .collect();
    for path in [
        "/v1/collections/posts?limit=7",
        "/v1/collections/posts?limit=7&sort=posted_at",
        "/v1/collections/posts?limit=7&sort=-posted_at",
        "/v1/collections/posts?limit=7&sort=author_key,-post_id",
        "/v1/queries/find-all-posts?limit=7",
    ] {
        walk(&host.client, path).await;
    }
    done.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Creates, likes and deletes posts around the kept ones, and likes those.
async fn write(client: Client, done: Arc<AtomicBool>, writer: usize) {
    let mut number = 0;
    while !done.load(Ordering::Relaxed) {
        number += 1;
        let id = format!("passing-{writer}-{number}");
        let payload = json!({"author": format!("author {}", number % 9), "message": "passing"});
        client
            .command("post", &id, "create", payload)
            .await
            .expect(200);
        client
            .command(
                "post",
                &format!("kept-{}", number % KEPT),
                "like",
                json!({}),
            )
            .await
            .expect(200);
        if number % 2 == 0 {
            let username = format!("author {}", number % 9);
            client
                .command("post", &id, "delete", json!({"username": username}))
                .await
                .expect(200);
        }
    }
}

async fn walk(client: &Client, path: &str) {
    let mut seen = HashSet::new();
    let mut cursor = String::new();
    loop {
        let page = client
            .get(&format!("{path}{cursor}"))
            .await
            .expect(200)
            .body;
        for document in page["items"].as_array().unwrap() {
            let id = document["post_id"].as_str().unwrap().to_owned();
            assert!(seen.insert(id.clone()), "{path}: {id} came twice");
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let missed: Vec<_> = (0..KEPT)
        .map(|post| format!("kept-{post}"))
        .filter(|id| !seen.contains(id))
        .collect();
    assert!(missed.is_empty(), "{path}: missed {missed:?}");
}
