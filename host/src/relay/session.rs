//! One session: from looking at the topic to the first thing that goes wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::Progress;
use super::identity::{self, Verdict};
use super::producer::Producer;
use super::pump::{FAREWELL, Pump};
use super::topic;
use crate::event_log::kafka::{KafkaOptions, source};
use crate::event_store::EventStore;
use crate::message::Position;

/// Why a session is over.
pub(super) enum Ended {
    /// The relay was told to stop.
    Stopped,
    /// The store may have become another one.
    Epoch,
    /// Going on would spoil the topic.
    Faulted {
        /// What was found, and what to do.
        reason: String,
    },
    /// Something is away or broke; a new session goes on behind the acknowledged prefix.
    Failed {
        /// What.
        reason: String,
    },
}

/// What outlives one session of an ownership.
pub(super) struct Session {
    pub(super) options: KafkaOptions,
    pub(super) store: Arc<dyn EventStore>,
    /// The name of the cursor.
    pub(super) follower: String,
    pub(super) stop: watch::Receiver<bool>,
    /// The positions whose records the brokers did not take.
    pub(super) too_large: BTreeSet<Position>,
    is_warned: bool,
}

impl Session {
    pub(super) fn new(
        options: &KafkaOptions,
        store: &Arc<dyn EventStore>,
        follower: &str,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            options: options.clone(),
            store: Arc::clone(store),
            follower: follower.to_owned(),
            stop,
            too_large: BTreeSet::new(),
            is_warned: false,
        }
    }

    /// Carries events until something goes wrong or the relay is told to stop.
    pub(super) async fn run(&mut self, progress: &Progress) -> Ended {
        let mut epoch = self.store.epoch();
        epoch.mark_unchanged();
        let mut stop = self.stop.clone();
        tokio::select! {
            ended = self.carry(progress) => ended,
            Ok(()) = epoch.changed() => Ended::Epoch,
            // The pump sees the stop first and has this long to come to an end.
            () = late(&mut stop) => Ended::Stopped,
        }
    }

    async fn carry(&mut self, progress: &Progress) -> Ended {
        let failed = |reason| Ended::Failed { reason };
        let topic = match self.topic().await {
            Ok(topic) => topic,
            Err(reason) => return failed(reason),
        };
        self.warn(&topic.warnings);
        let Some(id) = self.store.id() else {
            return failed("the event store was not reached yet".into());
        };
        let source = source(id);
        let epoch = *self.store.epoch().borrow();
        let verdict = match self.store.load_cursor(&self.follower).await {
            Ok(cursor) => identity::verify(&self.store, cursor, &source, &topic.newest).await,
            Err(error) => Err(error),
        };
        let position = match verdict {
            Ok(Verdict::Begin(position)) => position,
            Ok(Verdict::Fault(reason)) => return Ended::Faulted { reason },
            Err(error) => return failed(error.to_string()),
        };
        let (producer, reports) = match Producer::new(&self.options, source, topic.max_bytes) {
            Ok(made) => made,
            Err(error) => return failed(error.to_string()),
        };
        progress.live(position);
        let pump = Pump::new(self, progress, producer, (position, epoch));
        pump.run(reports).await
    }

    /// Finds or makes the topic, on a thread that may block.
    async fn topic(&self) -> Result<topic::Topic, String> {
        let options = self.options.clone();
        let runtime = tokio::runtime::Handle::current();
        let abandoned = Abandoned::default();
        let is_abandoned = Arc::clone(&abandoned.0);
        tokio::task::spawn_blocking(move || topic::prepare(&options, &runtime, &is_abandoned))
            .await
            .unwrap_or_else(|error| Err(error.to_string()))
    }

    fn warn(&mut self, warnings: &[String]) {
        if !std::mem::replace(&mut self.is_warned, true) {
            for warning in warnings {
                tracing::warn!(topic = self.options.topic, "{warning}");
            }
        }
    }
}

/// Tells a thread that nobody waits for it any longer, once it is dropped: a stopping host shall not wait for it either.
#[derive(Default)]
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for the stop, and then as long as a farewell may take.
async fn late(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
    tokio::time::sleep(FAREWELL * 2).await;
}
