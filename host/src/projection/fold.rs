//! Folding one batch of events in a guest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::message::{RecordedEvent, StreamId, Time};
use crate::plugin::{Fault, Fetch, Packed, Plugin, ProjectionGuest, WorkingSet};
use crate::read_store::{Commit, ParkedEvent, Write};

/// Folds batches of one plugin version. Its calls block: not for an async thread.
pub(super) struct Folder {
    plugin: Arc<Plugin>,
    /// Which schema versions of which event types are folded.
    wanted: HashMap<String, Vec<u32>>,
    /// Absent before the first call and after a fault.
    guest: Option<ProjectionGuest>,
}

impl Folder {
    pub(super) fn new(plugin: &Arc<Plugin>) -> Self {
        let events = plugin
            .descriptor
            .projection
            .iter()
            .flat_map(|projection| &projection.events);
        let wanted = events
            .map(|event| (event.full_type.clone(), event.reads.clone()))
            .collect();
        Self {
            plugin: Arc::clone(plugin),
            wanted,
            guest: None,
        }
    }

    /// Folds a batch into a commit. Events of parked streams are parked behind the others.
    pub(super) fn fold(
        &mut self,
        batch: &[Arc<RecordedEvent>],
        parked: &HashSet<StreamId>,
        fetch: Fetch,
    ) -> Result<Commit, Fault> {
        let mut commit = Commit::default();
        let mut packed = Packed::default();
        for event in batch {
            commit.position = event.position;
            commit.event_id = event.event_id;
            let full_type = event.full_type();
            let Some(reads) = self.wanted.get(&full_type) else {
                continue;
            };
            if parked.contains(&event.stream) {
                commit.park.push(park(event, None));
            } else if reads.contains(&event.schema_version) {
                packed.push(event);
            } else {
                let version = event.schema_version;
                return Err(Fault::FoldFailed {
                    plugin: self.plugin.descriptor.name.clone(),
                    index: 0,
                    message: format!("it does not read schema version {version} of {full_type}"),
                });
            }
        }
        if !packed.is_empty() {
            commit.writes = self.project(&packed, fetch)?;
        }
        Ok(commit)
    }

    fn project(&mut self, packed: &Packed, fetch: Fetch) -> Result<Vec<Write>, Fault> {
        let mut guest = match self.guest.take() {
            Some(guest) => guest,
            None => ProjectionGuest::new(&self.plugin)?,
        };
        let collections = self
            .plugin
            .descriptor
            .projection
            .as_ref()
            .map(|it| Arc::clone(&it.collections));
        let documents = WorkingSet::new(
            collections.unwrap_or_default(),
            self.plugin.limits.document_bytes,
            fetch,
        );
        let (documents, result) = guest.project(packed, documents);
        if !guest.is_poisoned() {
            self.guest = Some(guest);
        }
        result?;
        let changes = documents.map(WorkingSet::into_changes).unwrap_or_default();
        Ok(changes
            .into_iter()
            .map(|(collection, id, document)| Write {
                collection,
                id,
                document,
            })
            .collect())
    }
}

/// Sets an event aside, for an error of its own or behind another one.
pub(super) fn park(event: &RecordedEvent, error: Option<String>) -> ParkedEvent {
    ParkedEvent {
        position: event.position,
        stream: event.stream.clone(),
        full_type: event.full_type(),
        error,
        parked_at: Time::now(),
    }
}
