//! Requests that fail, each shown as one line.

use std::fmt::Write as _;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::support::TestHost;

/// Sends requests one after the other and notes what became of each.
pub(crate) struct Cases<'a> {
    host: &'a TestHost,
    http: reqwest::Client,
    lines: String,
}

impl<'a> Cases<'a> {
    pub(crate) fn new(host: &'a TestHost) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            host,
            http,
            lines: String::new(),
        }
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> &str {
        &self.lines
    }

    pub(crate) async fn get(&mut self, path: &str) {
        self.send(Method::GET, path, "", |request| request).await;
    }

    /// Sends a command with a body as it is.
    pub(crate) async fn post(&mut self, path: &str, body: &'static str) {
        let shown: String = body.chars().take(40).collect();
        self.send(Method::POST, path, &shown, |request| request.body(body))
            .await;
    }

    /// Sends a request that `change` completes; `note` says what is special about it.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        note: &str,
        change: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) {
        let request = self
            .http
            .request(method.clone(), format!("{}{path}", self.host.client.base()));
        let answer = change(request).send().await.unwrap();
        let note = if note.is_empty() {
            String::new()
        } else {
            format!(" {note}")
        };
        let path: String = path.chars().take(90).collect();
        let answer = shown(answer).await;
        writeln!(self.lines, "{method} {path}{note}\n    {answer}").unwrap();
    }
}

/// Shows an answer in one line, and holds every problem to what all problems have.
async fn shown(answer: reqwest::Response) -> String {
    let status = answer.status().as_u16();
    let headers = answer.headers().clone();
    let text = answer.text().await.unwrap();
    if status == 200 {
        return format!("200 {}", text.chars().take(60).collect::<String>());
    }
    assert_eq!(
        headers["content-type"], "application/problem+json",
        "{text}"
    );
    assert_eq!(headers.contains_key("retry-after"), status == 503, "{text}");
    let mut problem: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(problem.remove("status"), Some(status.into()));
    assert!(
        problem
            .remove("title")
            .unwrap()
            .as_str()
            .is_some_and(|title| !title.is_empty())
    );
    let (kind, code) = (
        problem.remove("type").unwrap(),
        problem.remove("code").unwrap(),
    );
    let (kind, code) = (
        kind.as_str().unwrap().to_owned(),
        code.as_str().unwrap().to_owned(),
    );
    assert!(
        kind == format!("/problems/{code}") || kind == "/problems/rejected",
        "{text}"
    );
    let detail = problem.remove("detail").unwrap();
    let allow = headers
        .get("allow")
        .map(|allow| format!(" [allow: {}]", allow.to_str().unwrap()))
        .unwrap_or_default();
    let members = if problem.is_empty() {
        String::new()
    } else {
        format!(" {}", Value::Object(problem))
    };
    format!(
        "{status} {code}: {}{members}{allow}",
        detail.as_str().unwrap()
    )
}
