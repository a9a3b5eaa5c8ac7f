//! Delivering one command: the same command id again and again until there is an answer, or no more patience.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue, IF_MATCH, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};

use crate::cli::failure::Usage;
use crate::cli::remote::{self, Client, Problem};

/// The pause before the second attempt. It doubles, so that a host that is away for long is not flooded.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause: a host that is back is found within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A command on its way to the host.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) aggregate: String,
    pub(super) id: String,
    pub(super) command: String,
    pub(super) payload: Option<Box<RawValue>>,
    pub(super) command_id: String,
    /// The version the stream must stand at; 0 for none.
    pub(super) expect: Option<u64>,
}

/// How a command ended.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is recorded; the receipt as it came.
    Accepted { status: u16, body: Bytes },
    /// The aggregate or a precondition says no: 422, 409 or 412.
    Refused(Problem),
    /// The host says no for another reason; asking again would not help.
    Failed(Problem),
    /// There was no answer in time, or the host was overloaded all along.
    Unanswered(String),
}

/// Delivers commands to one host. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    client: Client,
    patience: Duration,
}

/// What one attempt came to.
enum Attempt {
    Answered(Answer),
    /// Worth another one, after this long if the host said so.
    Again(String, Option<Duration>),
}

impl Delivery {
    /// Gives a command up when it is not answered within `patience`.
    pub(super) fn new(client: Client, patience: Duration) -> Self {
        Self { client, patience }
    }

    /// Returns the client that commands are delivered by.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a command until it is answered. The error is for a command that cannot even be written down as a request.
    pub(super) async fn deliver(&self, command: &Outgoing) -> Result<Answer, Usage> {
        let until = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let (reason, wanted) = match attempt(self.request(command)?).await {
                Attempt::Answered(answer) => return Ok(answer),
                Attempt::Again(reason, wanted) => (reason, wanted),
            };
            let wait = wanted.unwrap_or(pause).min(LONGEST_PAUSE).max(pause);
            if Instant::now() + wait > until {
                let patience = self.patience.as_secs();
                return Ok(Answer::Unanswered(format!(
                    "given up after {patience} s: {reason}"
                )));
            }
            tracing::debug!(command_id = command.command_id, reason, "sent again");
            sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn request(&self, command: &Outgoing) -> Result<RequestBuilder, Usage> {
        let url = self.client.url(&[
            "v1",
            "commands",
            &command.aggregate,
            &command.id,
            &command.command,
        ])?;
        let key = HeaderValue::from_bytes(command.command_id.as_bytes()).map_err(|_| {
            Usage(format!(
                "the command id {:?} cannot be sent as a header",
                command.command_id
            ))
        })?;
        let mut request = self.client.post(url).header("idempotency-key", key);
        request = match command.expect {
            None => request,
            Some(0) => request.header(IF_NONE_MATCH, "*"),
            Some(version) => request.header(IF_MATCH, format!("\"{version}\"")),
        };
        let payload = command
            .payload
            .as_ref()
            .map_or("{}", |payload| payload.get());
        Ok(request
            .header(CONTENT_TYPE, "application/json")
            .body(payload.to_owned()))
    }
}

async fn attempt(request: RequestBuilder) -> Attempt {
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return Attempt::Again(remote::cause(&error), None),
    };
    let status = answer.status().as_u16();
    let retry_after = retry_after(&answer);
    // An answer that breaks off is none: only the command id tells whether the command was recorded.
    let body = match answer.bytes().await {
        Ok(body) => body,
        Err(error) => return Attempt::Again(remote::cause(&error), None),
    };
    match status {
        200..300 => Attempt::Answered(Answer::Accepted { status, body }),
        409 | 412 | 422 => Attempt::Answered(Answer::Refused(Problem::read(status, &body))),
        429 | 503 => Attempt::Again(Problem::read(status, &body).to_string(), retry_after),
        _ => Attempt::Answered(Answer::Failed(Problem::read(status, &body))),
    }
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}
