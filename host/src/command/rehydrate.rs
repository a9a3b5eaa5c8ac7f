//! Rehydration: reads a stream for a worker, from its snapshot on, page by page.

use std::sync::Arc;

use crate::event_store::{Error, EventStore};
use crate::message::{Digest, StreamHead, StreamId, Version};
use crate::plugin::Packed;

/// How many events are folded by one guest call: well below a deadline even for a slow fold.
const PAGE: usize = 256;
/// How many bytes of events are folded by one guest call.
const PAGE_BYTES: usize = 1024 * 1024;

/// A part of a stream, ready to be folded.
#[derive(Debug)]
pub(crate) struct Page {
    /// Bytes to restore first; only ever in the first page.
    pub(crate) snapshot: Option<Vec<u8>>,
    /// The events behind it.
    pub(crate) events: Packed,
    /// The stream's head with this page folded.
    pub(crate) head: StreamHead,
    /// Whether the stream ends here.
    pub(crate) last: bool,
}

/// Reads a stream as its owner needs it.
pub(crate) struct Reader {
    store: Arc<dyn EventStore>,
    stream: StreamId,
    head: StreamHead,
    /// Where to stop; `None` for the stream's end.
    until: Option<Version>,
    snapshot: Option<Vec<u8>>,
    done: bool,
}

impl Reader {
    /// Begins at the newest snapshot that this plugin version wrote, or at the beginning.
    ///
    /// A snapshot counts only if the event that it stands on is still the stream's: after a restored backup it may not be.
    pub(crate) async fn from_snapshot(
        store: Arc<dyn EventStore>,
        stream: StreamId,
        plugin: Digest,
    ) -> Result<Self, Error> {
        let snapshot = store.load_snapshot(&stream, plugin).await?;
        let mut reader = Self::from_start(store, stream, None);
        if let Some(snapshot) = snapshot {
            let before = Version(snapshot.head.version.0.saturating_sub(1));
            let event = reader
                .store
                .read_stream(&reader.stream, before, 1)
                .await?
                .pop();
            if event.is_some_and(|event| event.event_id == snapshot.head.event_id) {
                reader.head = snapshot.head;
                reader.snapshot = Some(snapshot.bytes);
            }
        }
        Ok(reader)
    }

    /// Begins at the first event, and ends behind a version where one is given.
    pub(crate) fn from_start(
        store: Arc<dyn EventStore>,
        stream: StreamId,
        until: Option<Version>,
    ) -> Self {
        Self {
            store,
            stream,
            head: StreamHead::default(),
            until,
            snapshot: None,
            done: false,
        }
    }

    /// Reads the next page; `None` behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Page>, Error> {
        if self.done {
            return Ok(None);
        }
        let room = self.until.map_or(PAGE, |until| {
            usize::try_from(until.0.saturating_sub(self.head.version.0))
                .unwrap_or(PAGE)
                .min(PAGE)
        });
        let read = if room == 0 {
            Vec::new()
        } else {
            self.store
                .read_stream(&self.stream, self.head.version, room)
                .await?
        };
        let mut events = Packed::default();
        let mut taken = 0;
        for event in &read {
            if taken > 0 && events.len() >= PAGE_BYTES {
                break;
            }
            events.push(event);
            self.head = StreamHead {
                version: event.version,
                event_id: event.event_id,
                time: event.time,
                position: event.position,
            };
            taken += 1;
        }
        self.done = taken == read.len() && (read.len() < room || room < PAGE);
        Ok(Some(Page {
            snapshot: self.snapshot.take(),
            events,
            head: self.head,
            last: self.done,
        }))
    }
}
