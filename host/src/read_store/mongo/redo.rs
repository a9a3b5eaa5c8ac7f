//! The writes of a commit, as its slot keeps them.
//!
//! They are whole documents as they are to be stored, tombstones among them, one BSON document each in one sequence of
//! bytes. What is larger than a document may be goes to a side collection, in parts that are written before the slot
//! that names them.

use std::collections::HashSet;

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use mongodb::{Collection, Database};
use serde_json::Value;

use super::super::{Commit, Error, GenerationId, Write};
use super::layout::{Layout, Layouts};
use super::slots::{Slot, Slots};
use super::{document, names, parked};
use crate::message::{Digest, Json};

/// The most bytes of writes in one document: MongoDB takes 16 MiB, and something stands beside them.
const PART: usize = 12 * 1024 * 1024;

/// One document as it is to stand.
#[derive(Clone, Debug)]
pub(super) struct Put {
    /// The collection's name in the database.
    pub(super) collection: String,
    /// The whole document.
    pub(super) document: Document,
}

/// Encodes what a commit writes; refuses what the database would refuse when it is too late.
pub(super) fn puts(
    (generation, layouts, parked_events): (&GenerationId, &Layouts, &str),
    commit: &Commit,
    seq: u64,
) -> Result<Vec<Put>, Error> {
    let mut puts = Vec::with_capacity(commit.writes.len());
    for write in &commit.writes {
        let layout = layouts.find(&write.collection)?;
        let document = match &write.document {
            Some(document) => stored(layout, write, document, seq)?,
            None => document::tombstone(&write.id, seq),
        };
        puts.push(Put {
            collection: layout.documents.clone(),
            document,
        });
    }
    let again: HashSet<_> = commit.park.iter().map(|event| event.position).collect();
    let unpark = commit
        .unpark
        .iter()
        .filter(|position| !again.contains(position));
    let gone =
        unpark.map(|position| document::tombstone(&names::parked(generation, *position), seq));
    let come = commit
        .park
        .iter()
        .map(|event| parked::encode(generation, event, seq));
    puts.extend(gone.chain(come).map(|document| Put {
        collection: parked_events.to_owned(),
        document,
    }));
    Ok(puts)
}

fn stored(layout: &Layout, write: &Write, json: &Json, seq: u64) -> Result<Document, Error> {
    let refused = |reason: String| Error::Refused {
        reason: format!(
            "document {:?} of {:?}: {reason}",
            write.id, write.collection
        ),
    };
    let value: Value = json.to_value();
    for path in &layout.indexed {
        if path.scalar(&value).is_none() {
            return Err(refused(format!(
                "the indexed field {path} must hold a scalar"
            )));
        }
    }
    document::encode(&write.id, json, &value, (&layout.dates, seq)).map_err(refused)
}

/// Turns writes into bytes.
pub(super) fn to_bytes(puts: &[Put]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for put in puts {
        let one = doc! {"c": &put.collection, "d": &put.document};
        one.to_writer(&mut bytes).map_err(damaged)?;
    }
    Ok(bytes)
}

/// Takes bytes back to writes.
fn from_bytes(mut bytes: &[u8]) -> Result<Vec<Put>, Error> {
    let mut puts = Vec::new();
    while !bytes.is_empty() {
        let mut one = Document::from_reader(&mut bytes).map_err(damaged)?;
        let document = one.remove("d").and_then(|document| match document {
            mongodb::bson::Bson::Document(document) => Some(document),
            _ => None,
        });
        puts.push(Put {
            collection: one.get_str("c").map_err(damaged)?.to_owned(),
            document: document.ok_or_else(|| damaged("no document"))?,
        });
    }
    Ok(puts)
}

fn damaged(error: impl std::fmt::Display) -> Error {
    Error::Refused {
        reason: format!("the redo log is damaged: {error}"),
    }
}

/// Tells one commit from another: what it writes and where it leads.
pub(super) fn digest(commit: &Commit, bytes: &[u8]) -> String {
    let head = format!(
        "{}/{}/{}/",
        commit.position, commit.event_id, commit.deviates
    );
    Digest::of(&[head.as_bytes(), bytes].concat()).to_string()
}

/// Where the writes of slots are kept.
#[derive(Clone)]
pub(super) struct Redo {
    slots: Slots,
    parts: Collection<Document>,
}

impl Redo {
    pub(super) fn new(database: &Database, prefix: &str) -> Self {
        Self {
            slots: Slots::new(database, prefix),
            parts: database.collection(&format!("{prefix}{}", names::REDO)),
        }
    }

    /// Puts writes into a slot that is about to be taken, or beside it when they do not fit.
    pub(super) async fn store(&self, slot: &mut Slot, bytes: Vec<u8>) -> Result<(), Error> {
        if bytes.len() <= PART {
            slot.writes = Some(binary(bytes));
            return Ok(());
        }
        for (at, part) in bytes.chunks(PART).enumerate() {
            let id = names::part(&slot.id, &slot.owner, at);
            let part = doc! {"_id": &id, "writes": binary(part.to_vec())};
            // The same call may have come so far before.
            self.parts
                .replace_one(doc! {"_id": &id}, part)
                .upsert(true)
                .await?;
            slot.parts = at as i64 + 1;
        }
        slot.parts_of.clone_from(&slot.owner);
        Ok(())
    }

    /// Reads the writes that a slot carries; `holder` is the slot that has them, if they are in a slot.
    pub(super) async fn load(
        &self,
        generation: &GenerationId,
        slot: &Slot,
        holder: &str,
    ) -> Result<Vec<Put>, Error> {
        if slot.parts == 0 {
            let writes = self.slots.writes(holder).await?;
            return from_bytes(&writes.map_or_else(Vec::new, |writes| writes.bytes));
        }
        let mut bytes = Vec::new();
        for at in 0..slot.parts as usize {
            let id = names::part(
                &names::slot(generation, slot.redo as u64),
                &slot.parts_of,
                at,
            );
            let part = self.parts.find_one(doc! {"_id": &id}).await?;
            let Some(part) = part else {
                // Its owner applies, notes that, and only then deletes: there may be nothing left to do by now.
                let origin = names::slot(generation, slot.redo as u64);
                let applied = self.slots.read(&origin).await?.is_some_and(|it| it.applied);
                return if applied {
                    Ok(Vec::new())
                } else {
                    Err(damaged("a part is missing"))
                };
            };
            bytes.extend_from_slice(part.get_binary_generic("writes").map_err(damaged)?);
        }
        from_bytes(&bytes)
    }

    /// Deletes the parts of a slot whose writes are applied.
    pub(super) async fn forget(&self, generation: &GenerationId, slot: &Slot) -> Result<(), Error> {
        for at in 0..slot.parts as usize {
            let id = names::part(
                &names::slot(generation, slot.redo as u64),
                &slot.parts_of,
                at,
            );
            self.parts.delete_one(doc! {"_id": &id}).await?;
        }
        Ok(())
    }

    /// Deletes all parts of slots before one: some were written for slots that were never taken.
    pub(super) async fn forget_before(
        &self,
        generation: &GenerationId,
        slot: &Slot,
    ) -> Result<(), Error> {
        let before = doc! {"_id": {"$gte": names::all_of(generation).start, "$lt": &slot.id}};
        self.parts.delete_many(before).await?;
        Ok(())
    }
}

/// Makes bytes a value of BSON.
pub(super) fn binary(bytes: Vec<u8>) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    }
}
