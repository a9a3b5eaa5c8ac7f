//! `events`: reading what a running host records.

mod sse;

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use clap::{ArgAction, Args, Subcommand};
use futures_util::StreamExt as _;
use reqwest::Response;
use serde::Deserialize;
use tokio::time::sleep;

use super::output::{self, Output};
use super::remote::{self, Client, Problem, Remote};
use sse::{Message, Parser};

/// Between two attempts to reach a host that was there before.
const RECONNECT: Duration = Duration::from_secs(1);
/// The host gives a sign of life every fifteen seconds; after this long without one it is gone.
const SILENCE: Duration = Duration::from_secs(45);

/// The commands of `events`.
#[derive(Subcommand)]
pub(super) enum EventsCommand {
    /// Print recorded events, those that are there and then those that come.
    ///
    /// One line an event: position, time, stream, version, type, data. With --json the whole event as the host gives it.
    /// When the connection is lost it goes on where it was.
    Tail(Options),
}

/// Options of `events tail`.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    remote: Remote,
    /// Only events behind this position.
    #[arg(long, default_value_t = 0, value_name = "POSITION")]
    after: u64,
    /// Only events of this aggregate; may be repeated.
    #[arg(long, value_name = "AGGREGATE", value_delimiter = ',')]
    aggregate: Vec<String>,
    /// Only events of this type, Type or aggregate.Type; may be repeated.
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Go on with the events that come. The default.
    #[arg(long, overrides_with = "no_follow")]
    follow: bool,
    /// End behind the last event that is there now.
    #[arg(long, action = ArgAction::SetTrue)]
    no_follow: bool,
}

/// Runs one of them.
pub(super) async fn run(command: EventsCommand, output: Output) -> Result<()> {
    let EventsCommand::Tail(options) = command;
    let client = options.remote.client()?;
    let until = if options.no_follow && !options.follow {
        Some(head(&client).await?)
    } else {
        None
    };
    let mut tail = Tail {
        client,
        options,
        output,
        after: 0,
        until,
        reached: false,
    };
    tail.after = tail.options.after;
    tail.run().await
}

/// Asks a host for the position of its last event.
///
/// A subscription beyond the head is refused with the head, which needs no way of its own to ask for it.
pub(super) async fn head(client: &Client) -> Result<u64> {
    #[derive(Deserialize)]
    struct Beyond {
        head: u64,
    }
    let mut url = client.url(&["v1", "events"])?;
    url.query_pairs_mut()
        .append_pair("after", &i64::MAX.to_string());
    let answer = client
        .get(url)
        .send()
        .await
        .map_err(|error| client.away(&error))?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.map_err(|error| client.away(&error))?;
    match status {
        410 => Ok(serde_json::from_slice::<Beyond>(&body)
            .context("the host does not tell its head")?
            .head),
        _ => Err(Problem::read(status, &body).into()),
    }
}

struct Tail {
    client: Client,
    options: Options,
    output: Output,
    /// The last position that was seen.
    after: u64,
    /// Where to end.
    until: Option<u64>,
    /// Whether the host has answered at all.
    reached: bool,
}

/// What is printed of an event.
#[derive(Deserialize)]
struct Shown<'a> {
    position: u64,
    time: &'a str,
    stream: String,
    version: u64,
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(borrow)]
    data: &'a serde_json::value::RawValue,
}

impl Tail {
    async fn run(&mut self) -> Result<()> {
        while !self.is_done() {
            match self.subscribe().await {
                Ok(answer) => self.read(answer).await?,
                // A host that was never there, or that says no, is told at once.
                Err(error) if !self.reached || error.is::<Problem>() => return Err(error),
                Err(error) => tracing::warn!("{error:#}; trying again"),
            }
            if !self.is_done() {
                sleep(RECONNECT).await;
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.until.is_some_and(|until| self.after >= until)
    }

    async fn subscribe(&mut self) -> Result<Response> {
        let mut url = self.client.url(&["v1", "events"])?;
        let mut query = url.query_pairs_mut();
        query.append_pair("after", &self.after.to_string());
        // Whoever ends at the head must see it come, wanted or not.
        if self.until.is_none() {
            let Options {
                aggregate, types, ..
            } = &self.options;
            query.extend_pairs(aggregate.iter().map(|aggregate| ("aggregate", aggregate)));
            query.extend_pairs(types.iter().map(|event_type| ("type", event_type)));
        }
        drop(query);
        let mut request = self.client.stream(url);
        if self.reached {
            request = request.header("last-event-id", self.after.to_string());
        }
        let answer = request
            .send()
            .await
            .map_err(|error| self.client.away(&error))?;
        let status = answer.status().as_u16();
        if status == 200 {
            self.reached = true;
            return Ok(answer);
        }
        let body = answer
            .bytes()
            .await
            .map_err(|error| self.client.away(&error))?;
        let problem = Problem::read(status, &body);
        // Busy or just starting: as good as away.
        Err(if status == 503 && self.reached {
            anyhow!("{problem}")
        } else {
            problem.into()
        })
    }

    /// Reads until the connection ends, which is no error.
    async fn read(&mut self, answer: Response) -> Result<()> {
        let mut body = answer.bytes_stream();
        let mut parser = Parser::default();
        loop {
            match tokio::time::timeout(SILENCE, body.next()).await {
                Ok(Some(Ok(bytes))) => parser.feed(&bytes),
                Ok(Some(Err(error))) => {
                    let (host, cause) = (self.client.base(), remote::cause(&error));
                    tracing::warn!("the connection to {host} was lost: {cause}; trying again");
                    return Ok(());
                }
                Ok(None) | Err(_) => return Ok(()),
            }
            while let Some(message) = parser.next() {
                self.take(&message)?;
                if self.is_done() {
                    return Ok(());
                }
            }
        }
    }

    fn take(&mut self, message: &Message) -> Result<()> {
        let position = message.id.as_deref().and_then(|id| id.parse::<u64>().ok());
        // Ending where the head was asked for must not print what came since.
        let beyond = self
            .until
            .zip(position)
            .is_some_and(|(until, position)| position > until);
        if !beyond && !message.data.is_empty() {
            let event = serde_json::from_str(&message.data)
                .context("the host's event is not understood")?;
            if self.wants(&event) {
                self.print(&message.data, &event)?;
            }
        }
        self.after = position.unwrap_or(self.after).max(self.after);
        Ok(())
    }

    /// Tells what the host would tell apart if it was asked to.
    fn wants(&self, event: &Shown<'_>) -> bool {
        let Options {
            aggregate, types, ..
        } = &self.options;
        let category = event.stream.split('-').next().unwrap_or_default();
        let is_type = |wanted: &String| match wanted.split_once('.') {
            Some((of, name)) => of == category && name == event.event_type,
            None => *wanted == event.event_type,
        };
        (aggregate.is_empty() || aggregate.iter().any(|wanted| wanted == category))
            && (types.is_empty() || types.iter().any(is_type))
    }

    fn print(&self, raw: &str, event: &Shown<'_>) -> Result<()> {
        if self.output.json {
            return Ok(output::line(raw)?);
        }
        let Shown {
            position,
            time,
            stream,
            version,
            event_type,
            data,
        } = event;
        Ok(output::line(format!(
            "{position} {time} {stream} {version} {event_type} {data}"
        ))?)
    }
}
