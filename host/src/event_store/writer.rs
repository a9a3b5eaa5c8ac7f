//! The writer: one task per process through which all appends go.
//!
//! Entries that wait while a batch is on its way to disk form the next batch (group commit without a timer).
//! A batch that the store refuses is halved until the guilty entry stands alone, so that one command never fails another.
//! When the store is away, the batch is repeated with the same ids for a while: repeating is safe, and its fate is known
//! at the end or the caller is told that it is not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Entry, Error, EventStore, Outcome};
use crate::crash_point;

/// The most entries of one batch. Measured: larger ones gain nothing, and hold the store's lock longer.
const MAX_BATCH: usize = 512;
/// How many entries may wait for the writer; workers bound the number in flight before this is reached.
const QUEUE: usize = 16 * 1024;
/// How long an append is repeated while the store is away, before its callers are told that its fate is unknown.
const PATIENCE: Duration = Duration::from_secs(3);
/// The first pause between repetitions; it doubles up to half a second.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Called once with what became of an entry.
pub type Reply = Box<dyn FnOnce(Result<Outcome, Error>) + Send>;

/// Hands entries to the writer's task. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<(Entry, Reply)>,
}

impl Writer {
    /// Makes a writer and its task, which ends when every handle is dropped.
    pub fn new(store: Arc<dyn EventStore>) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, entries) = mpsc::channel(QUEUE);
        (Self { queue }, run(store, entries))
    }

    /// Hands over an entry. Entries of one stream are appended in the order in which they were handed over.
    pub fn submit(&self, entry: Entry, reply: Reply) {
        if let Err(refused) = self.queue.try_send((entry, reply)) {
            let (_, reply) = refused.into_inner();
            reply(Err(Error::Unavailable {
                reason: "the writer's queue is full, or the host is stopping".to_owned(),
            }));
        }
    }
}

async fn run(store: Arc<dyn EventStore>, mut entries: mpsc::Receiver<(Entry, Reply)>) {
    let mut received = Vec::with_capacity(MAX_BATCH);
    while entries.recv_many(&mut received, MAX_BATCH).await > 0 {
        let (batch, replies): (Vec<Entry>, Vec<Reply>) = received.drain(..).unzip();
        crash_point::reached("append/collected");
        let outcomes = append(store.as_ref(), batch).await;
        crash_point::reached("append/committed");
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            reply(outcome);
        }
    }
}

/// Appends a batch and gives one result per entry.
async fn append(store: &dyn EventStore, batch: Vec<Entry>) -> Vec<Result<Outcome, Error>> {
    let mut results = Vec::with_capacity(batch.len());
    // Parts are taken from the end, so the first half of a refused part is pushed last.
    let mut parts: Vec<Arc<[Entry]>> = vec![batch.into()];
    while let Some(part) = parts.pop() {
        match append_patiently(store, &part).await {
            Ok(outcomes) => results.extend(outcomes.into_iter().map(Ok)),
            Err(Error::Refused { .. }) if part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.push(second.into());
                parts.push(first.into());
            }
            Err(error) => results.extend(part.iter().map(|_| Err(copy(&error)))),
        }
    }
    results
}

async fn append_patiently(
    store: &dyn EventStore,
    part: &Arc<[Entry]>,
) -> Result<Vec<Outcome>, Error> {
    let give_up = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        match store.append(Arc::clone(part)).await {
            Err(Error::Unavailable { reason }) if Instant::now() < give_up => {
                tracing::warn!(reason, "an append is repeated");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(500));
            }
            result => return result,
        }
    }
}

/// The same error for each entry of a part.
fn copy(error: &Error) -> Error {
    match error {
        Error::Full => Error::Full,
        Error::Refused { reason } => Error::Refused {
            reason: reason.clone(),
        },
        other => Error::Unavailable {
            reason: other.to_string(),
        },
    }
}
