//! The pump of a session: reads, sends, takes acknowledgements in, saves the cursor.
//!
//! What is on its way is bounded, and what has no room waits in the store. At most one page of events is in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Progress;
use super::in_flight::InFlight;
use super::producer::{Delivery, Producer, Refused};
use super::session::{Ended, Session};
use super::topic;
use crate::crash_point;
use crate::event_store::Cursor;
use crate::message::{Position, RecordedEvent};

/// The most events that are read at a time, and that wait for room.
const PAGE: usize = 256;
/// How many reports are taken at a time.
const REPORTS: usize = 1_024;
/// How often the cursor is saved. What a crash sends again is at most what was sent in this time.
const SAVE: Duration = Duration::from_millis(250);
/// How long no acknowledgement may come before the relay says that it waits, and looks whether the topic is still there.
/// The client itself believes for half a minute that a topic that is gone is about to appear.
const STALLED: Duration = Duration::from_secs(2);
/// How long a stopping relay waits for what is on its way.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// What is going on within a session.
pub(super) struct Pump<'a> {
    /// The store's epoch in which the position was verified.
    epoch: u64,
    session: &'a mut Session,
    progress: &'a Progress,
    producer: Producer,
    in_flight: InFlight,
    page: VecDeque<Arc<RecordedEvent>>,
    /// The last position that was read from the store.
    read: Position,
    /// The acknowledged prefix, while it is not saved.
    unsaved: Option<Cursor>,
    save_at: Instant,
    quiet_since: Instant,
}

/// Waits until the head is beyond a position; for ever when the store is closed.
async fn grown(head: &mut watch::Receiver<Position>, read: Position) {
    if head.wait_for(|head| *head > read).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        session: &'a mut Session,
        progress: &'a Progress,
        producer: Producer,
        (position, epoch): (Position, u64),
    ) -> Self {
        session.too_large = session.too_large.split_off(&position.next());
        Self {
            epoch,
            session,
            progress,
            producer,
            in_flight: InFlight::default(),
            page: VecDeque::new(),
            read: position,
            unsaved: None,
            save_at: Instant::now() + SAVE,
            quiet_since: Instant::now(),
        }
    }

    /// Runs until something goes wrong or the relay is told to stop; then saves how far it has come.
    pub(super) async fn run(mut self, mut reports: mpsc::UnboundedReceiver<Delivery>) -> Ended {
        let mut stop = self.session.stop.clone();
        let ended = tokio::select! {
            ended = self.pump(&mut reports) => ended,
            _ = stop.wait_for(|stop| *stop) => Ended::Stopped,
        };
        if matches!(ended, Ended::Stopped) {
            self.say_farewell(&mut reports).await;
        }
        self.save().await;
        self.producer.close().await;
        ended
    }

    /// Sends and settles until something goes wrong.
    async fn pump(&mut self, reports: &mut mpsc::UnboundedReceiver<Delivery>) -> Ended {
        let mut head = self.session.store.head();
        let mut settled = Vec::with_capacity(REPORTS);
        loop {
            if let Err(reason) = self.fill().await {
                return Ended::Failed { reason };
            }
            let has_room = self.in_flight.has_room() && self.page.is_empty();
            let read = self.read;
            tokio::select! {
                _ = reports.recv_many(&mut settled, REPORTS) => {
                    if let Err(reason) = self.settle(&mut settled) {
                        return Ended::Failed { reason };
                    }
                }
                () = grown(&mut head, read), if has_room => {}
                () = tokio::time::sleep_until(self.save_at), if self.unsaved.is_some() => self.save().await,
                () = tokio::time::sleep_until(self.quiet_since + STALLED), if self.is_waiting() => {
                    if let Err(reason) = self.complain().await {
                        return Ended::Failed { reason };
                    }
                }
            }
        }
    }

    fn is_waiting(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Hands over all that there is room for.
    async fn fill(&mut self) -> Result<(), String> {
        while self.in_flight.has_room() {
            if self.page.is_empty() {
                self.read_page().await?;
            }
            let Some(event) = self.page.pop_front() else {
                return Ok(());
            };
            if !self.send(&event)? {
                self.page.push_front(event);
                return Ok(());
            }
        }
        Ok(())
    }

    async fn read_page(&mut self) -> Result<(), String> {
        if *self.session.store.head().borrow() <= self.read {
            return Ok(());
        }
        let page = self.session.store.read_all(self.read, PAGE).await;
        let page = page.map_err(|error| error.to_string())?;
        if *self.session.store.epoch().borrow() != self.epoch {
            return Err("the event store may have another history".into());
        }
        for event in page {
            if event.position != self.read.next() {
                return Err(format!(
                    "the event at position {} is missing",
                    self.read.next()
                ));
            }
            self.read = event.position;
            self.page.push_back(event);
        }
        Ok(())
    }

    /// Hands one event over; false when there is no room for it now.
    fn send(&mut self, event: &RecordedEvent) -> Result<bool, String> {
        let is_stub = self.session.too_large.contains(&event.position);
        let sent = match self.producer.send(event, is_stub) {
            Err(Refused::TooLarge) => self.producer.send(event, true),
            other => other,
        };
        match sent {
            Ok(()) => {}
            Err(Refused::Full) => return Ok(false),
            Err(Refused::TooLarge) => return Err("an event's envelope is too large".into()),
            Err(Refused::Broken(reason)) => return Err(reason),
        }
        if self.in_flight.is_empty() {
            self.quiet_since = Instant::now();
        }
        let cursor = Cursor {
            position: event.position,
            event_id: event.event_id,
        };
        let bytes = event.data.as_str().len() + event.metadata.as_str().len();
        self.in_flight.push(cursor, bytes);
        crash_point::reached("relay/produced");
        Ok(true)
    }

    /// Takes reports in. What is too large is noted, so that the next session sends it as a stub.
    fn settle(&mut self, reports: &mut Vec<Delivery>) -> Result<(), String> {
        let mut failed = None;
        self.quiet_since = Instant::now();
        for report in reports.drain(..) {
            match report {
                Delivery::Acknowledged(position) => {
                    if let Some(prefix) = self.in_flight.acknowledge(position) {
                        self.unsaved = Some(prefix);
                        crash_point::reached("relay/acknowledged");
                    }
                }
                Delivery::TooLarge(position) => {
                    self.session.too_large.insert(position);
                    failed = Some(format!("the broker finds event {position} too large"));
                }
                Delivery::Failed(reason) => failed = failed.or(Some(reason)),
            }
        }
        if let Some(prefix) = self.unsaved {
            self.progress.live(prefix.position);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Nothing has been acknowledged for a while: says so, and gives the session up when the topic is gone.
    async fn complain(&mut self) -> Result<(), String> {
        let reason = self
            .producer
            .complaint()
            .unwrap_or_else(|| "the brokers acknowledge nothing".into());
        self.progress.waiting(&reason);
        let options = self.session.options.clone();
        let looked = tokio::task::spawn_blocking(move || topic::is_gone(&options)).await;
        self.quiet_since = Instant::now();
        if looked.unwrap_or(false) {
            return Err(format!("the topic {} is gone", self.session.options.topic));
        }
        Ok(())
    }

    async fn say_farewell(&mut self, reports: &mut mpsc::UnboundedReceiver<Delivery>) {
        let mut settled = Vec::with_capacity(REPORTS);
        let deadline = Instant::now() + FAREWELL;
        while self.is_waiting() {
            let more = reports.recv_many(&mut settled, REPORTS);
            if tokio::time::timeout_at(deadline, more).await.is_err() {
                return;
            }
            if self.settle(&mut settled).is_err() {
                return;
            }
        }
    }

    /// Saves the cursor. Where that fails it is tried again with the next one: an older cursor only sends more again.
    async fn save(&mut self) {
        self.save_at = Instant::now() + SAVE;
        let Some(cursor) = self.unsaved else { return };
        let saved = self
            .session
            .store
            .save_cursor(&self.session.follower, cursor)
            .await;
        match saved {
            Ok(()) => {
                self.unsaved = None;
                crash_point::reached("relay/saved");
            }
            Err(error) => tracing::debug!(%error, "the relay's cursor is not saved"),
        }
    }
}
