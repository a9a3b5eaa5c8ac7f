//! How much is served at a time, and how serving ends.

use std::time::Duration;

use foldhost::http;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::events_reader::Events;
use crate::support::{Client, TestHost, eventually};

/// Begins a command and keeps its body back.
async fn half_sent(host: &TestHost) -> TcpStream {
    let address = host.client.base().strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/commands/post/1/like HTTP/1.1\r\nhost: {address}\r\ncontent-length: 2\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_bound_are_refused_at_once_and_health_is_told_all_the_same() {
    let host = TestHost::start_with(&["post"], |config| config.max_requests = 1).await;
    let mut slow = half_sent(&host).await;
    let full = eventually("the only place is taken", async || {
        let answer = host.client.get("/v1/plugins").await;
        if answer.status == 503 {
            Ok(answer)
        } else {
            Err(answer.status)
        }
    });
    let full = full.await;
    assert_eq!(
        (full.code(), full.headers["retry-after"].to_str().unwrap()),
        ("overloaded", "1")
    );
    host.client.get("/healthz").await.expect(200);
    host.client.get("/readyz").await.expect(200);
    slow.write_all(b"{}").await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 422");
    host.client.get("/v1/plugins").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_the_middle_gives_its_place_back() {
    let host = TestHost::start_with(&["post"], |config| config.max_requests = 1).await;
    drop(half_sent(&host).await);
    let free = async || {
        let answer = host.client.get("/v1/plugins").await;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.status)
        }
    };
    eventually("the place becomes free", free).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_ends_when_it_is_told_to_although_streams_are_open() {
    let mut host = TestHost::start(&["post"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    host.client = Client::new(listener.local_addr().unwrap());
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(http::serve(host.host.clone(), listener, async move {
        let _ = ended.await;
    }));
    host.client
        .command(
            "post",
            "1",
            "create",
            json!({"author": "ada", "message": "hello"}),
        )
        .await
        .expect(200);
    let mut events = Events::open(&host, "").await;
    assert_eq!(events.ids(1).await, [1]);
    end.send(()).unwrap();
    assert!(events.next().await.is_none());
    tokio::time::timeout(Duration::from_secs(5), serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_is_not_ready() {
    let host = TestHost::start(&["post"]).await;
    assert_eq!(
        host.client.get("/readyz").await.expect(200).body["status"],
        "ready"
    );
    host.host.shutdown().await;
    let answer = host.client.get("/readyz").await.expect(503);
    assert_eq!(
        (answer.code(), &answer.body["reasons"]),
        ("not-ready", &json!(["the host is stopping"]))
    );
    host.client.get("/healthz").await.expect(200);
}
