//! The relay: carries recorded events from the store to the topic, at least once, in order.
//!
//! One host at a time is the relay of a topic. It reads the store by position, produces idempotently with `acks=all`, and
//! keeps a cursor in the store: the contiguous prefix that the brokers have acknowledged. Whatever goes wrong, it begins
//! anew behind that prefix, so that a tail may be sent twice and nothing is left out; followers drop what they have seen.
//!
//! Nothing waits for it: with Kafka away, commands go on and the relay resumes by itself. It stops where going on would
//! spoil the topic: when the cursor or the topic's newest records are not of this store's history.

mod identity;
mod in_flight;
mod producer;
mod pump;
mod session;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use self::session::{Ended, Session};
use crate::event_log::kafka::KafkaOptions;
use crate::event_store::{Error, EventStore, Ownership};
use crate::message::Position;

/// How often a host that is not the relay asks to be it. Short, for this is how long a topic stands still when the relay's
/// host is gone.
const STANDBY: Duration = Duration::from_secs(1);
/// How often a relay that has stopped looks whether it still has to. Whoever repairs a topic by hand need not restart it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The pause before the second attempt; it doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Tells how the relay is doing. Cheap to clone.
#[derive(Clone)]
pub struct Relay {
    status: watch::Receiver<RelayStatus>,
    head: watch::Receiver<Position>,
}

/// How the relay is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayStatus {
    /// What it does.
    pub state: RelayState,
    /// The last position that the brokers have acknowledged with everything before it. Known to the host that is the relay.
    pub position: Position,
    /// How many events are still to be acknowledged.
    pub lag: u64,
    /// Why it does not go on, or what happened last.
    pub last_error: Option<String>,
}

/// What a relay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayState {
    /// It has not done anything yet.
    Starting,
    /// Another host is the relay.
    Standby,
    /// It carries events, or waits for new ones.
    Live,
    /// The store or the brokers are away, or the topic is missing; it goes on by itself.
    Waiting,
    /// History was rewritten, or the topic belongs to another store: an operator has to act.
    Faulted,
    /// It was told to stop.
    Stopped,
}

impl Relay {
    /// Makes the relay of a store and its task, which ends when `stop` turns true or its sender is gone.
    pub fn new(
        options: KafkaOptions,
        store: Arc<dyn EventStore>,
        stop: watch::Receiver<bool>,
    ) -> Result<(Self, impl Future<Output = ()> + Send), Error> {
        options.verify()?;
        let progress = Progress::new(store.head());
        let relay = Self {
            status: progress.status.subscribe(),
            head: store.head(),
        };
        let task = Task {
            work: format!("relay/{}", options.topic),
            options,
            store,
            stop,
            progress,
        };
        Ok((relay, task.run()))
    }

    /// Tells how it is doing.
    pub fn status(&self) -> RelayStatus {
        let status = self.status.borrow().clone();
        let lag = self.head.borrow().0.saturating_sub(status.position.0);
        RelayStatus { lag, ..status }
    }

    /// Returns a receiver that moves whenever the relay has something to say.
    pub fn watch(&self) -> watch::Receiver<RelayStatus> {
        self.status.clone()
    }
}

struct Task {
    /// What is owned, and the name of the cursor.
    work: String,
    options: KafkaOptions,
    store: Arc<dyn EventStore>,
    stop: watch::Receiver<bool>,
    progress: Progress,
}

impl Task {
    async fn run(mut self) {
        let mut stop = self.stop.clone();
        let mut pause = PAUSE;
        while !is_stopped(&stop) {
            let wait = match self.store.own(&self.work).await {
                Ok(Some(ownership)) => {
                    self.serve(ownership).await;
                    pause = PAUSE;
                    continue;
                }
                Ok(None) => {
                    self.progress.standby();
                    STANDBY
                }
                Err(error) => {
                    self.progress.waiting(&error.to_string());
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    pause
                }
            };
            rest(wait, &mut stop).await;
        }
        self.progress.stopped();
    }

    /// Is the relay until another host may be it, or until it is told to stop.
    async fn serve(&mut self, mut ownership: Ownership) {
        tokio::select! {
            // Dropping the work drops its producer, and with it what is on its way.
            () = ownership.lost() => self.progress.waiting("another host may be the relay now"),
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        let mut stop = self.stop.clone();
        let mut pause = PAUSE;
        let mut session = Session::new(&self.options, &self.store, &self.work, stop.clone());
        while !is_stopped(&stop) {
            let before = self.progress.position();
            match session.run(&self.progress).await {
                Ended::Stopped => return,
                Ended::Epoch => continue,
                Ended::Faulted { reason } => {
                    self.progress.faulted(&reason);
                    let mut epoch = self.store.epoch();
                    epoch.mark_unchanged();
                    tokio::select! {
                        Ok(()) = epoch.changed() => {}
                        () = rest(LOOK_AGAIN, &mut stop) => {}
                    }
                }
                Ended::Failed { reason } => {
                    self.progress.waiting(&reason);
                    if self.progress.position() != before {
                        pause = PAUSE;
                    }
                    rest(pause, &mut stop).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

fn is_stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

/// Waits for half to all of a pause, so that hosts that fail together do not come back together; ends early for a stop.
async fn rest(pause: Duration, stop: &mut watch::Receiver<bool>) {
    let random = uuid::Uuid::now_v7().as_bytes()[15];
    let pause = pause.mul_f64(0.5 + f64::from(random) / 510.0);
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Publishes the status, and writes one line to the log per change and not per attempt.
struct Progress {
    status: watch::Sender<RelayStatus>,
    head: watch::Receiver<Position>,
}

impl Progress {
    fn new(head: watch::Receiver<Position>) -> Self {
        let status = RelayStatus {
            state: RelayState::Starting,
            position: Position::START,
            lag: 0,
            last_error: None,
        };
        Self {
            status: watch::Sender::new(status),
            head,
        }
    }

    fn position(&self) -> Position {
        self.status.borrow().position
    }

    /// Says how far it has come, which only happens when all is well.
    fn live(&self, position: Position) {
        let before = self.change(RelayState::Live, Some(position), None);
        if before == RelayState::Waiting || before == RelayState::Faulted {
            tracing::info!(%position, "the relay goes on");
        }
    }

    fn standby(&self) {
        if self.change(RelayState::Standby, None, None) != RelayState::Standby {
            tracing::info!("another host is the relay");
        }
    }

    fn waiting(&self, reason: &str) {
        if self.change(RelayState::Waiting, None, Some(reason)) != RelayState::Waiting {
            tracing::warn!(reason, "the relay waits");
        }
    }

    fn faulted(&self, reason: &str) {
        if self.change(RelayState::Faulted, None, Some(reason)) != RelayState::Faulted {
            tracing::error!(reason, "the relay has stopped");
        }
    }

    fn stopped(&self) {
        self.change(RelayState::Stopped, None, None);
    }

    fn change(
        &self,
        state: RelayState,
        position: Option<Position>,
        error: Option<&str>,
    ) -> RelayState {
        let head = *self.head.borrow();
        let mut before = state;
        self.status.send_modify(|status| {
            before = std::mem::replace(&mut status.state, state);
            status.position = position.unwrap_or(status.position);
            status.lag = head.0.saturating_sub(status.position.0);
            status.last_error = error.map(str::to_owned);
        });
        before
    }
}
