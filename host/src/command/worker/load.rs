//! Bringing a stream's state into a guest.

use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::{Task, Worker};
use crate::command::Error;
use crate::command::rehydrate::{Page, Reader};
use crate::command::stream::{Cached, Phase, Stream};
use crate::event_store::{self, EventStore};
use crate::message::{Digest, StreamId};
use crate::plugin::Fault;

impl Worker {
    /// Begins to read a stream; its pages come back as tasks.
    pub(super) fn load(&mut self, id: &StreamId, stream: &mut Stream, with_snapshot: bool) {
        let Some(plugin) = self.guests.plugin(id.category()) else {
            let aggregate = id.category().to_owned();
            let known = self.guests.names();
            let error = Error::UnknownAggregate { aggregate, known };
            return stream
                .take_waiting()
                .into_iter()
                .for_each(|job| (job.reply)(Err(error.clone())));
        };
        let snapshot_of = with_snapshot.then_some(plugin.digest);
        let load = self.next_number();
        stream.phase = Phase::Loading { load, state: None };
        stream.weight = 0;
        let (store, tasks, id) = (
            Arc::clone(&self.shared.store),
            self.tasks.clone(),
            id.clone(),
        );
        self.shared
            .runtime
            .spawn(read_pages(store, id, snapshot_of, load, tasks));
    }

    pub(super) fn fold(
        &mut self,
        id: StreamId,
        load: u64,
        page: Result<Page, event_store::Error>,
        next: oneshot::Sender<()>,
    ) {
        let mut stream = self.take(&id);
        match stream.phase {
            Phase::Loading {
                load: current,
                state,
            } if current == load => {
                match page {
                    Ok(page) => self.fold_page(&id, &mut stream, state, page, next),
                    Err(error) => {
                        self.guests.close(id.category(), stream.invalidate());
                        for job in stream.take_waiting() {
                            let error = Error::from_store(&error, "", &job.id);
                            (job.reply)(Err(error));
                        }
                    }
                }
                self.pump(&id, &mut stream);
            }
            _ => {}
        }
        self.keep(id, stream);
    }

    pub(super) fn fold_page(
        &mut self,
        id: &StreamId,
        stream: &mut Stream,
        state: Option<Cached>,
        page: Page,
        next: oneshot::Sender<()>,
    ) {
        if state.is_some_and(|state| !self.guests.is_current(id.category(), state)) {
            stream.invalidate();
            return;
        }
        let snapshot_given = page.snapshot.is_some();
        stream.weight += page.events.len() + page.snapshot.as_ref().map_or(0, Vec::len);
        match self.guests.fold(id, state, &page) {
            Ok(cached) => {
                stream.head = page.head;
                if page.last {
                    stream.phase = Phase::Warm(cached);
                } else if let Phase::Loading { state, .. } = &mut stream.phase {
                    *state = Some(cached);
                    // The reader goes on; it is gone only when the host stops.
                    let _ = next.send(());
                }
            }
            Err(fault)
                if snapshot_given
                    && matches!(
                        fault,
                        Fault::ContractBroken {
                            call: "restore",
                            ..
                        }
                    ) =>
            {
                tracing::warn!(stream = %id, %fault, "a snapshot was not restored; the stream is read from its start");
                self.load(id, stream, false);
            }
            Err(fault) => {
                tracing::warn!(stream = %id, %fault, "a stream could not be rehydrated");
                self.shared.quarantine.record(id, fault.is_deadline());
                stream.invalidate();
                stream
                    .take_waiting()
                    .into_iter()
                    .for_each(|job| (job.reply)(Err(fault.clone().into())));
            }
        }
    }
}

/// Reads a stream and sends its pages to a worker, each when the one before was folded.
async fn read_pages(
    store: Arc<dyn EventStore>,
    stream: StreamId,
    snapshot_of: Option<Digest>,
    load: u64,
    tasks: mpsc::Sender<Task>,
) {
    let reader = match snapshot_of {
        Some(plugin) => Reader::from_snapshot(store, stream.clone(), plugin).await,
        None => Ok(Reader::from_start(store, stream.clone(), None)),
    };
    let send = |page| {
        let (next, go_on) = oneshot::channel();
        let sent = tasks.send(Task::Fold {
            stream: stream.clone(),
            load,
            page,
            next,
        });
        sent.is_ok().then_some(go_on)
    };
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(error) => {
            send(Err(error));
            return;
        }
    };
    while let Some(page) = reader.next().await.transpose() {
        let go_on = send(page);
        let Some(go_on) = go_on else { return };
        if go_on.await.is_err() {
            return;
        }
    }
}
