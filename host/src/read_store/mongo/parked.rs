//! Events set aside.

use std::collections::BTreeSet;
use std::ops::Bound;

use mongodb::bson::{Bson, Document, doc};
use mongodb::{Collection, Database};

use super::super::{Error, GenerationId, ParkedEvent};
use super::document::OURS;
use super::names;
use crate::message::{Position, StreamId, Time};

/// The collection of all parked events.
#[derive(Clone)]
pub(super) struct Parked(Collection<Document>);

impl Parked {
    pub(super) fn new(database: &Database, prefix: &str) -> Self {
        Self(database.collection(&format!("{prefix}{}", names::PARKED)))
    }

    /// Lists a generation's parked events in order of position.
    pub(super) async fn list(
        &self,
        generation: &GenerationId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<ParkedEvent>, Error> {
        let Ok(limit @ 1..) = i64::try_from(limit) else {
            return Ok(Vec::new());
        };
        let behind = Bound::Excluded(names::parked(generation, after));
        let find = self.0.find(which(generation, behind));
        let mut found = find.sort(doc! {"_id": 1}).limit(limit).await?;
        let mut events = Vec::new();
        while found.advance().await? {
            events.extend(decode(&found.deserialize_current()?));
        }
        Ok(events)
    }

    /// Lists the streams that have parked events.
    pub(super) async fn streams(&self, generation: &GenerationId) -> Result<Vec<StreamId>, Error> {
        let find = self.0.find(which(generation, Bound::Unbounded));
        let mut found = find.projection(doc! {"stream": 1}).await?;
        let mut streams = BTreeSet::new();
        while found.advance().await? {
            let document = found.deserialize_current()?;
            streams.extend(document.get_str("stream").map(StreamId::from_store));
        }
        Ok(streams.into_iter().collect())
    }

    /// Counts a generation's parked events.
    pub(super) async fn count(&self, generation: &GenerationId) -> Result<u64, Error> {
        Ok(self
            .0
            .count_documents(which(generation, Bound::Unbounded))
            .await?)
    }

    /// Deletes all that a generation has parked.
    pub(super) async fn forget(&self, generation: &GenerationId) -> Result<(), Error> {
        let ids = names::all_of(generation);
        self.0
            .delete_many(doc! {"_id": {"$gte": ids.start, "$lt": ids.end}})
            .await?;
        Ok(())
    }
}

/// Encodes a parked event as it is stored.
pub(super) fn encode(generation: &GenerationId, event: &ParkedEvent, seq: u64) -> Document {
    doc! {
        "_id": names::parked(generation, event.position),
        "projection": &generation.projection,
        "generation": generation.number as i64,
        "position": event.position.0 as i64,
        "stream": event.stream.as_str(),
        "type": &event.full_type,
        "error": event.error.as_ref().map_or(Bson::Null, |error| Bson::String(error.clone())),
        "parked_at": event.parked_at.0,
        OURS: {"seq": seq as i64},
    }
}

fn decode(document: &Document) -> Option<ParkedEvent> {
    Some(ParkedEvent {
        position: Position(document.get_i64("position").ok()? as u64),
        stream: StreamId::from_store(document.get_str("stream").ok()?),
        full_type: document.get_str("type").ok()?.into(),
        error: document.get_str("error").ok().map(ToOwned::to_owned),
        parked_at: Time(document.get_i64("parked_at").ok()?),
    })
}

fn which(generation: &GenerationId, from: Bound<String>) -> Document {
    let ids = names::all_of(generation);
    let range = match from {
        Bound::Excluded(behind) => doc! {"$gt": behind, "$lt": ids.end},
        _ => doc! {"$gte": ids.start, "$lt": ids.end},
    };
    doc! {"_id": range, format!("{OURS}.deleted"): {"$exists": false}}
}
