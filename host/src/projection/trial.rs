//! Folding recorded events into nothing, to see whether a version can.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::fold::Folder;
use crate::message::{Json, RecordedEvent, StreamId};
use crate::plugin::{Fetch, Plugin};

/// How many events are folded by one guest call.
const PART: usize = 256;

/// A projection over documents in memory. Its calls block: not for an async thread.
pub struct Trial {
    folder: Folder,
    documents: Documents,
}

type Documents = Arc<Mutex<HashMap<(String, String), Json>>>;

impl Trial {
    /// Begins with no documents.
    pub fn new(plugin: &Arc<Plugin>) -> Self {
        Self {
            folder: Folder::new(plugin),
            documents: Documents::default(),
        }
    }

    /// Folds events in order, but those of streams that may fail; tells which event failed first, and why.
    pub fn fold(
        &mut self,
        events: &[Arc<RecordedEvent>],
        may_fail: &HashSet<StreamId>,
    ) -> Result<(), String> {
        for part in events.chunks(PART) {
            if self.fold_part(part, may_fail).is_err() {
                // Nothing of the part has taken effect; one by one tells which event it was.
                for event in part {
                    let one = std::slice::from_ref(event);
                    self.fold_part(one, may_fail).map_err(|reason| {
                        format!(
                            "event {} ({} of {}): {reason}",
                            event.position, event.event_type, event.stream
                        )
                    })?;
                }
            }
        }
        Ok(())
    }

    fn fold_part(
        &mut self,
        part: &[Arc<RecordedEvent>],
        may_fail: &HashSet<StreamId>,
    ) -> Result<(), String> {
        let commit = self
            .folder
            .fold(part, may_fail, self.fetch())
            .map_err(|fault| fault.to_string())?;
        let mut documents = self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for write in commit.writes {
            match write.document {
                Some(document) => documents.insert((write.collection, write.id), document),
                None => documents.remove(&(write.collection, write.id)),
            };
        }
        Ok(())
    }

    fn fetch(&self) -> Fetch {
        let documents = Arc::clone(&self.documents);
        Box::new(move |collection, id| {
            let documents = documents.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(documents
                .get(&(collection.to_owned(), id.to_owned()))
                .cloned())
        })
    }
}
