//! One open event stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::super::{Api, json};
use crate::event_log::EventLog;
use crate::event_store;
use crate::message::{Position, RecordedEvent};

/// Events read at a time: they wait in memory while a slow subscriber takes them.
const PAGE: usize = 64;
/// About how much is handed to the connection at a time.
const CHUNK: usize = 64 * 1024;
/// Shorter than the idle time of any common proxy.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Before the event log is asked again when it did not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// The first lines: they bring the headers on their way, and tell how soon to come back.
const HELLO: &str = ": foldhost\nretry: 1000\n\n";

/// Which events a subscriber wants; of nothing, all.
pub(super) struct Wanted {
    pub(super) aggregates: Vec<String>,
    /// `Type` or `aggregate.Type`.
    pub(super) types: Vec<String>,
}

impl Wanted {
    /// Events of system streams are the host's own.
    fn admits(&self, event: &RecordedEvent) -> bool {
        let aggregate = event.stream.category();
        let is_type = |wanted: &String| match wanted.split_once('.') {
            Some((of, name)) => of == aggregate && *name == *event.event_type,
            None => **wanted == *event.event_type,
        };
        !aggregate.starts_with('$')
            && (self.aggregates.is_empty()
                || self.aggregates.iter().any(|wanted| wanted == aggregate))
            && (self.types.is_empty() || self.types.iter().any(is_type))
    }
}

/// Reads the log for one subscriber, as fast as that one takes it.
pub(super) struct Subscription {
    log: Arc<dyn EventLog>,
    closing: watch::Receiver<bool>,
    wanted: Wanted,
    /// The last position that was looked at.
    seen: Position,
    /// The last position that the subscriber knows of.
    told: Position,
    /// Wanted events that were not handed over yet.
    waiting: VecDeque<Arc<RecordedEvent>>,
    greeted: bool,
    _place: OwnedSemaphorePermit,
}

enum Step {
    Events(Vec<Arc<RecordedEvent>>),
    Quiet,
    Failed(event_store::Error),
    Closing,
}

impl Subscription {
    pub(super) fn new(
        api: &Api,
        after: Position,
        wanted: Wanted,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            log: Arc::clone(api.host.log()),
            closing: api.closing.clone(),
            wanted,
            seen: after,
            told: after,
            waiting: VecDeque::new(),
            greeted: false,
            _place: place,
        }
    }

    /// Ends when the host stops, or when the log has something that cannot be read.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, async |mut this| {
            let chunk = this.next().await?;
            Some((Ok(chunk.into()), this))
        })
    }

    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(HELLO.to_owned());
        }
        let quiet_at = Instant::now() + KEEP_ALIVE;
        while self.waiting.is_empty() {
            match self.step(quiet_at).await {
                Step::Events(events) => {
                    self.seen = events.last().map_or(self.seen, |event| event.position);
                    self.waiting
                        .extend(events.into_iter().filter(|event| self.wanted.admits(event)));
                    if self.waiting.is_empty() && Instant::now() >= quiet_at {
                        return Some(self.sign_of_life());
                    }
                }
                Step::Quiet => return Some(self.sign_of_life()),
                Step::Failed(error) if error.is_transient() => sleep(PAUSE).await,
                Step::Failed(error) => {
                    tracing::error!(%error, "an event stream ends: the log cannot be read");
                    return None;
                }
                Step::Closing => return None,
            }
        }
        Some(self.chunk())
    }

    async fn step(&mut self, quiet_at: Instant) -> Step {
        tokio::select! {
            biased;
            _ = self.closing.wait_for(|closing| *closing) => Step::Closing,
            events = timeout_at(quiet_at, self.log.next(self.seen, PAGE)) => match events {
                Ok(Ok(events)) => Step::Events(events),
                Ok(Err(error)) => Step::Failed(error),
                Err(_) => Step::Quiet,
            },
        }
    }

    fn chunk(&mut self) -> String {
        let mut out = String::with_capacity(4 * 1024);
        while out.len() < CHUNK
            && let Some(event) = self.waiting.pop_front()
        {
            // Writing to a string does not fail.
            let _ = write!(
                out,
                "id: {}\nevent: {}\ndata: ",
                event.position,
                event.full_type()
            );
            // Canonical JSON has no line breaks.
            json::event(&mut out, &event);
            out.push_str("\n\n");
            self.told = event.position;
        }
        out
    }

    /// A comment; or an id without an event, which moves the place where a subscriber comes back to.
    fn sign_of_life(&mut self) -> String {
        if self.told == self.seen {
            return ":\n\n".to_owned();
        }
        self.told = self.seen;
        format!(":\nid: {}\n\n", self.seen)
    }
}
