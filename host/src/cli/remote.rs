//! A running host, as its HTTP clients see it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::failure::Usage;

/// A request that nobody answers is given up after this; every answer comes within the deadlines of guests.
const ANSWERED: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECTED: Duration = Duration::from_secs(5);

/// Where a host listens that was told nothing else.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// Which host to speak to.
#[derive(Args, Clone, Debug)]
pub(super) struct Remote {
    /// Where the host listens.
    #[arg(long, env = "FOLDHOST_URL", default_value = DEFAULT_URL)]
    pub(super) url: String,
    /// Who we are, sent as a bearer token.
    #[arg(long, env = "FOLDHOST_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Speaks to one host. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

/// An answer that is no success: what its problem+json says.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail} ({code})")]
pub(super) struct Problem {
    /// The HTTP status.
    pub(super) status: u16,
    /// For programs.
    pub(super) code: String,
    /// For people.
    pub(super) detail: String,
}

impl Remote {
    /// Makes a client; nothing is sent yet.
    pub(super) fn client(&self) -> Result<Client> {
        let wrong = |reason: String| Usage(format!("--url {}: {reason}", self.url));
        let base = Url::parse(&self.url).map_err(|error| wrong(error.to_string()))?;
        if base.scheme() != "http" {
            return Err(wrong("only http:// is spoken here".to_owned()).into());
        }
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECTED);
        if base.host_str().is_some_and(is_loopback) {
            builder = builder.no_proxy();
        }
        let http = builder.build().context("cannot make an HTTP client")?;
        Ok(Client {
            http,
            base,
            token: self.token.clone(),
        })
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Client {
    /// Builds the URL of a path below the host's; each segment is encoded as it has to be.
    pub(super) fn url(&self, segments: &[&str]) -> Result<Url, Usage> {
        let dots = segments
            .iter()
            .find(|segment| matches!(**segment, "" | "." | ".."));
        if let Some(dots) = dots {
            return Err(Usage(format!("{dots:?} cannot be a part of a URL's path")));
        }
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        Ok(url)
    }

    /// Begins a request that is to be answered within seconds.
    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.authorized(self.http.post(url)).timeout(ANSWERED)
    }

    /// Begins a request that is to be answered within seconds.
    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.authorized(self.http.get(url)).timeout(ANSWERED)
    }

    /// Begins a request whose answer goes on for ever.
    pub(super) fn stream(&self, url: Url) -> RequestBuilder {
        self.authorized(self.http.get(url))
    }

    /// Returns where the host is, for messages.
    pub(super) fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request once and reads the answer's JSON, or its problem.
    pub(super) async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let answer = request.send().await.map_err(|error| self.away(&error))?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|error| self.away(&error))?;
        if !(200..300).contains(&status) {
            return Err(Problem::read(status, &body).into());
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{} answered something unknown", self.base()))
    }

    /// Tells in one line why there is no answer.
    pub(super) fn away(&self, error: &reqwest::Error) -> anyhow::Error {
        anyhow::anyhow!("no answer from {}: {}", self.base(), cause(error))
    }
}

/// Returns the innermost cause, which is the one that says something.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl Problem {
    /// Reads a problem+json body; any other body becomes its own detail.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body {
            detail: Option<String>,
            title: Option<String>,
            code: Option<String>,
        }
        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            let text = String::from_utf8_lossy(body)
                .trim()
                .chars()
                .take(200)
                .collect::<String>();
            let detail = if text.is_empty() {
                format!("the host answered {status}")
            } else {
                text
            };
            return Self {
                status,
                code: status.to_string(),
                detail,
            };
        };
        let detail = body
            .detail
            .or(body.title)
            .unwrap_or_else(|| format!("the host answered {status}"));
        Self {
            status,
            code: body.code.unwrap_or_else(|| status.to_string()),
            detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Client {
        Remote {
            url: url.to_owned(),
            token: None,
        }
        .client()
        .unwrap()
    }

    #[test]
    fn an_id_with_any_characters_is_one_segment_of_the_path() {
        let url = client("http://localhost:1/below/")
            .url(&["v1", "ä/b?c#d e"])
            .unwrap();
        assert_eq!(
            url.as_str(),
            "http://localhost:1/below/v1/%C3%A4%2Fb%3Fc%23d%20e"
        );
        assert!(client("http://localhost:1").url(&["v1", ".."]).is_err());
    }

    #[test]
    fn a_problem_is_told_in_one_line_with_its_code() {
        let problem = Problem::read(
            422,
            br#"{"title": "Rejected", "detail": "there is no post", "code": "no-such-post"}"#,
        );
        assert_eq!(problem.to_string(), "there is no post (no-such-post)");
        assert_eq!(
            Problem::read(502, b"bad gateway").to_string(),
            "bad gateway (502)"
        );
        assert_eq!(
            Problem::read(500, b"").to_string(),
            "the host answered 500 (500)"
        );
    }
}
