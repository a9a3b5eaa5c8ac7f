//! What the events of one page have in common is kept once.

use std::sync::Arc;

use crate::message::{Json, StreamId};

/// The most texts that a page looks through before it makes a new one: event types and actors, mostly.
const MAX_SHARED: usize = 16;

/// The strings of the events decoded so far.
#[derive(Default)]
pub(super) struct Shared {
    stream: Option<StreamId>,
    texts: Vec<Arc<str>>,
    metadata: Option<Json>,
}

impl Shared {
    /// Begins a page, whose stream is known when it is read from one.
    pub(super) fn new(stream: Option<&StreamId>) -> Self {
        Self {
            stream: stream.cloned(),
            ..Self::default()
        }
    }

    /// Shares a text that few pages hold many of.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.iter().find(|known| &***known == text) {
            return Arc::clone(known);
        }
        let fresh: Arc<str> = text.into();
        if self.texts.len() < MAX_SHARED {
            self.texts.push(Arc::clone(&fresh));
        }
        fresh
    }

    /// Shares the stream of the event before.
    pub(super) fn stream(&mut self, text: &str) -> StreamId {
        match &self.stream {
            Some(known) if known.as_str() == text => known.clone(),
            _ => self.stream.insert(StreamId::from_store(text)).clone(),
        }
    }

    /// Shares the metadata of the event before.
    pub(super) fn metadata(&mut self, text: &str) -> Json {
        match &self.metadata {
            Some(known) if known.as_str() == text => known.clone(),
            _ => self.metadata.insert(Json::from_store(text)).clone(),
        }
    }
}
