//! A client of an event stream, as small as can be.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use crate::support::TestHost;

/// One event of a stream.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) id: u64,
    pub(crate) event: String,
    pub(crate) data: Value,
}

/// An open event stream.
pub(crate) struct Events {
    response: Response,
    buffer: String,
}

impl Events {
    /// Opens a stream that must be accepted.
    pub(crate) async fn open(host: &TestHost, query: &str) -> Self {
        Self::from(request(host, query, None).await)
    }

    /// Comes back behind an event.
    pub(crate) async fn resume(host: &TestHost, query: &str, last: u64) -> Self {
        Self::from(request(host, query, Some(last)).await)
    }

    fn from(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            buffer: String::new(),
        }
    }

    /// Returns the next event; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Received> {
        loop {
            while let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let received = parsed(block);
                self.buffer = rest.to_owned();
                if received.is_some() {
                    return received;
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.response.chunk()).await;
            let chunk = chunk
                .expect("something comes within 30 s")
                .expect("the connection holds")?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Returns the ids of the next events.
    pub(crate) async fn ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.next().await.expect("the stream goes on").id);
        }
        ids
    }
}

/// Asks for a stream, whatever the answer.
pub(crate) async fn request(host: &TestHost, query: &str, last: Option<u64>) -> Response {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.get(format!("{}/v1/events{query}", host.client.base()));
    let request = last.into_iter().fold(request, |request, last| {
        request.header("last-event-id", last)
    });
    request.send().await.unwrap()
}

fn parsed(block: &str) -> Option<Received> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    let data = field("data: ")?;
    Some(Received {
        id: field("id: ")?.parse().unwrap(),
        event: field("event: ")?.to_owned(),
        data: serde_json::from_str(data).unwrap(),
    })
}
