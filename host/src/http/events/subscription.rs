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
    /// After how long without events the subscriber gets a sign of life.
    patience: Duration,
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
            patience: KEEP_ALIVE,
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
        let quiet_at = Instant::now() + self.patience;
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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::message::{Digest, Json, StreamId, Time, Version};

    /// Gives some events, then waits for ever.
    struct Recorded(Vec<Arc<RecordedEvent>>);

    #[async_trait]
    impl EventLog for Recorded {
        async fn next(
            &self,
            after: Position,
            limit: usize,
        ) -> Result<Vec<Arc<RecordedEvent>>, event_store::Error> {
            let behind = self.0.iter().filter(|event| event.position > after);
            let events: Vec<_> = behind.take(limit).map(Arc::clone).collect();
            if events.is_empty() {
                std::future::pending::<()>().await;
            }
            Ok(events)
        }
    }

    fn event(position: u64, stream: &str) -> Arc<RecordedEvent> {
        Arc::new(RecordedEvent {
            event_id: uuid::Uuid::nil(),
            stream: StreamId::from_store(stream),
            version: Version(1),
            position: Position(position),
            event_type: "Happened".into(),
            schema_version: 1,
            time: Time::default(),
            correlation_id: "".into(),
            causation_id: "".into(),
            actor: "".into(),
            plugin: Digest([0; 32]),
            metadata: Json::from_store("{}"),
            data: Json::from_store("{}"),
        })
    }

    fn subscription(aggregate: &str, closing: watch::Receiver<bool>) -> Subscription {
        let events = [(1, "post-1"), (2, "$plugins-post"), (3, "author-1")];
        Subscription {
            log: Arc::new(Recorded(
                events
                    .map(|(position, stream)| event(position, stream))
                    .into(),
            )),
            closing,
            wanted: Wanted {
                aggregates: vec![aggregate.to_owned()],
                types: Vec::new(),
            },
            seen: Position::START,
            told: Position::START,
            waiting: VecDeque::new(),
            greeted: true,
            patience: Duration::from_millis(10),
            _place: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        }
    }

    #[tokio::test]
    async fn a_quiet_subscriber_is_told_once_how_far_it_has_come() {
        let (_close, closing) = watch::channel(false);
        let mut subscription = subscription("post", closing);
        assert!(
            subscription
                .next()
                .await
                .unwrap()
                .starts_with("id: 1\nevent: post.Happened\ndata: {")
        );
        assert_eq!(subscription.next().await.as_deref(), Some(":\nid: 3\n\n"));
        assert_eq!(subscription.next().await.as_deref(), Some(":\n\n"));
    }

    #[tokio::test]
    async fn events_of_the_host_itself_are_not_given_away() {
        let (close, closing) = watch::channel(false);
        let mut subscription = subscription("$plugins", closing);
        assert_eq!(subscription.next().await.as_deref(), Some(":\nid: 3\n\n"));
        close.send_replace(true);
        assert_eq!(subscription.next().await, None);
    }
}
