//! The checkpoints of a generation: the slots of its redo log.
//!
//! Every step of a generation takes the next slot, which is a document of its own, inserted once: the unique `_id` is the
//! compare-and-set. A slot is taken by a commit, with its writes; by a take-over, which fences off whoever owned the
//! slots before it; by the creation and by the end of the generation. The newest slot says where the generation stands.
//! A commit's slot is deleted once the next slot is taken and its own writes are applied. A take-over's slot stays: it is
//! the very slot that the former owner would take next, however late it wakes up. The commit before it stays as well,
//! without its writes: a former owner to whom its answer was lost makes it again.

use mongodb::bson::{Binary, doc};
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::{Checkpoint, Error, GenerationId};
use super::{failure, names};
use crate::message::{Digest, Position, StoreId};

/// What took a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The generation was made.
    Created,
    /// A process became its owner.
    TakenOver,
    /// The owner moved the checkpoint.
    Committed,
    /// The owner moved the checkpoint for the last time before someone else took over.
    Overtaken,
    /// The generation was dropped; nothing follows.
    Dropped,
}

/// One slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Slot {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) kind: Kind,
    /// Its place in the log, from 0.
    pub(super) slot: i64,
    /// Who took it: one opening of the store by one process.
    pub(super) owner: String,
    pub(super) store: String,
    pub(super) plugin: String,
    /// How many commits there have been.
    pub(super) sequence: i64,
    pub(super) position: i64,
    pub(super) event_id: String,
    pub(super) deviates: bool,
    /// The position up to which everything was applied when the slot was taken.
    pub(super) before: i64,
    /// Whether the slot's own writes are applied.
    pub(super) applied: bool,
    /// Tells a repeated commit from another one.
    pub(super) digest: String,
    /// The slot that the writes were committed with: an earlier one when a take-over carries them on.
    pub(super) redo: i64,
    /// How many parts the writes have in the side collection.
    #[serde(default)]
    pub(super) parts: i64,
    /// Who wrote these parts.
    #[serde(default)]
    pub(super) parts_of: String,
    /// The writes, when they fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) writes: Option<Binary>,
}

/// What became of the wish to take a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is ours.
    Ours,
    /// There is one already.
    Taken,
}

impl Slot {
    /// The first slot of a new generation.
    pub(super) fn created(
        generation: &GenerationId,
        owner: &str,
        store: StoreId,
        plugin: Digest,
    ) -> Self {
        Self {
            id: names::slot(generation, 0),
            kind: Kind::Created,
            slot: 0,
            owner: owner.into(),
            store: store.0.to_string(),
            plugin: plugin.to_string(),
            sequence: 0,
            position: 0,
            event_id: Uuid::nil().to_string(),
            deviates: false,
            before: 0,
            applied: true,
            digest: String::new(),
            redo: 0,
            parts: 0,
            parts_of: String::new(),
            writes: None,
        }
    }

    /// The slot behind this one, which stands where this one stands.
    pub(super) fn next(self, generation: &GenerationId, owner: &str, kind: Kind) -> Self {
        let slot = self.slot + 1;
        Self {
            id: names::slot(generation, slot as u64),
            kind,
            slot,
            owner: owner.into(),
            ..self
        }
    }

    /// Up to where every reader sees what took effect.
    pub(super) fn applied_to(&self) -> Position {
        Position(if self.applied {
            self.position
        } else {
            self.before.min(self.position)
        } as u64)
    }

    /// Where the generation stands.
    pub(super) fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let damaged = || Error::Refused {
            reason: format!("the checkpoint {:?} is damaged", self.id),
        };
        Ok(Checkpoint {
            store: StoreId(self.store.parse().map_err(|_| damaged())?),
            position: Position(self.position as u64),
            event_id: self.event_id.parse().map_err(|_| damaged())?,
            sequence: self.sequence as u64,
            plugin: Digest::parse(&self.plugin).map_err(|_| damaged())?,
            deviates: self.deviates,
        })
    }
}

/// The collection of all slots.
#[derive(Clone)]
pub(super) struct Slots(Collection<Slot>);

impl Slots {
    pub(super) fn new(database: &Database, prefix: &str) -> Self {
        Self(database.collection(&format!("{prefix}{}", names::CHECKPOINTS)))
    }

    /// Takes a slot, if nobody has.
    pub(super) async fn claim(&self, slot: &Slot) -> Result<Claim, Error> {
        match self.0.insert_one(slot).await {
            Ok(_) => Ok(Claim::Ours),
            Err(error) if failure::code(&error) == Some(failure::DUPLICATE) => Ok(Claim::Taken),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads one slot without its writes.
    pub(super) async fn read(&self, id: &str) -> Result<Option<Slot>, Error> {
        Ok(self
            .0
            .find_one(doc! {"_id": id})
            .projection(doc! {"writes": 0})
            .await?)
    }

    /// Reads the writes of a slot.
    pub(super) async fn writes(&self, id: &str) -> Result<Option<Binary>, Error> {
        Ok(self
            .0
            .find_one(doc! {"_id": id})
            .await?
            .and_then(|slot| slot.writes))
    }

    /// Reads the newest slot of a generation without its writes; a dropped generation has none.
    pub(super) async fn newest(&self, generation: &GenerationId) -> Result<Slot, Error> {
        let ids = names::all_of(generation);
        let find = self
            .0
            .find_one(doc! {"_id": {"$gte": ids.start, "$lt": ids.end}});
        let newest = find
            .sort(doc! {"_id": -1})
            .projection(doc! {"writes": 0})
            .await?;
        newest
            .filter(|slot| slot.kind != Kind::Dropped)
            .ok_or_else(|| Error::NoGeneration {
                generation: generation.clone(),
            })
    }

    /// Notes that a slot's writes are applied, and needs them no more.
    pub(super) async fn applied(&self, id: &str) -> Result<(), Error> {
        let change = doc! {"$set": {"applied": true}, "$unset": {"writes": ""}};
        self.0.update_one(doc! {"_id": id}, change).await?;
        Ok(())
    }

    /// Keeps what was committed before a take-over, which needs its writes no more.
    pub(super) async fn overtaken(
        &self,
        generation: &GenerationId,
        by: &Slot,
    ) -> Result<(), Error> {
        let before = doc! {"$gte": names::all_of(generation).start, "$lt": &by.id};
        let change =
            doc! {"$set": {"kind": "overtaken", "applied": true}, "$unset": {"writes": ""}};
        self.0
            .update_many(doc! {"_id": before, "kind": "committed"}, change)
            .await?;
        Ok(())
    }

    /// Forgets one slot, if it is a commit's.
    pub(super) async fn forget_commit(&self, id: &str) -> Result<(), Error> {
        self.0
            .delete_one(doc! {"_id": id, "kind": "committed"})
            .await?;
        Ok(())
    }

    /// Forgets whatever is before a slot.
    pub(super) async fn forget_before(
        &self,
        generation: &GenerationId,
        slot: &Slot,
    ) -> Result<(), Error> {
        let before = doc! {"$gte": names::all_of(generation).start, "$lt": &slot.id};
        self.0.delete_many(doc! {"_id": before}).await?;
        Ok(())
    }
}
