//! Writing documents, however often and by whomever, so that the newest commit wins.
//!
//! Each document carries the slot of the commit that wrote it. A write replaces only what carries a lower one; a write
//! that finds a higher one is late and changes nothing. So a former owner that wakes up does no harm, and a take-over may
//! write again what is written already.

use std::collections::HashSet;
use std::time::Duration;

use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use tokio::sync::OnceCell;

use super::super::{Error, GenerationId};
use super::document::OURS;
use super::redo::Put;
use super::slots::Slots;
use super::{failure, names};
use crate::crash_point;

/// The most statements of one command; the servers take 100,000, and a lost command is repeated as a whole.
const STATEMENTS: usize = 1_000;
/// The most statements of one command for FerretDB 1, which holds one of a hundred connections to its file for every
/// document that a command has replaced, until the command ends: more than that and it waits for itself for ever. Several
/// projections share the hundred.
const FERRET_STATEMENTS: usize = 8;
/// The most bytes of one command, but for a single document that is larger.
const BYTES: usize = 8 * 1024 * 1024;
/// Looks at documents that others write at the same time, before it is an outage.
const LOOKS: u32 = 12;

/// How a write is kept from replacing what is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Each statement looks at the slot that the document carries: atomic, and the rule.
    Document,
    /// The owner looks whether it still is the owner, right before each command. FerretDB 1 serves a statement from an
    /// index only if it names nothing but the id, and reads whole collections otherwise; nor is a statement atomic there.
    Owner,
}

impl Guard {
    fn statements(self) -> usize {
        match self {
            Self::Document => STATEMENTS,
            Self::Owner => FERRET_STATEMENTS,
        }
    }
}

/// Applies writes.
#[derive(Clone)]
pub(super) struct Applier {
    database: Database,
    slots: Slots,
    guard: OnceCell<Guard>,
}

impl Applier {
    pub(super) fn new(database: &Database, prefix: &str) -> Self {
        Self {
            database: database.clone(),
            slots: Slots::new(database, prefix),
            guard: OnceCell::new(),
        }
    }

    /// An applier with a guard that the server has not been asked for.
    #[cfg(test)]
    pub(super) fn guarded(database: &Database, prefix: &str, guard: Guard) -> Self {
        Self {
            guard: OnceCell::new_with(Some(guard)),
            ..Self::new(database, prefix)
        }
    }

    /// Returns the guard that fits the server.
    pub(super) async fn guard(&self) -> Result<Guard, Error> {
        let ask = || async {
            let built = self.database.run_command(doc! {"buildInfo": 1}).await?;
            let ferret = built
                .get_str("ferretdbVersion")
                .is_ok_and(|version| !version.starts_with("v2"));
            Ok::<_, Error>(if ferret {
                Guard::Owner
            } else {
                Guard::Document
            })
        };
        self.guard.get_or_try_init(ask).await.copied()
    }

    /// Writes documents that carry slot `seq`, for the owner of slot `held`.
    pub(super) async fn apply(
        &self,
        generation: &GenerationId,
        puts: &[Put],
        (seq, held): (u64, u64),
    ) -> Result<(), Error> {
        let guard = self.guard().await?;
        for (collection, documents) in by_collection(puts) {
            let documents = match guard {
                Guard::Document => documents,
                Guard::Owner => {
                    self.insert(generation, (collection, documents), held)
                        .await?
                }
            };
            for chunk in chunks(documents, guard.statements()) {
                self.write(generation, collection, chunk, (guard, seq, held))
                    .await?;
                crash_point::reached("checkpoint/half-applied");
            }
        }
        Ok(())
    }

    async fn write(
        &self,
        generation: &GenerationId,
        collection: &str,
        mut documents: Vec<&Document>,
        (guard, seq, held): (Guard, u64, u64),
    ) -> Result<(), Error> {
        for look in 0..LOOKS {
            let command = command(collection, &documents, guard, seq);
            if guard == Guard::Owner {
                self.check_owner(generation, held).await?;
            }
            if self.send(command).await? {
                return Ok(());
            }
            let late = self.late(collection, &documents, seq).await?;
            documents.retain(|document| !id(document).is_some_and(|id| late.contains(id)));
            if documents.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(jitter(Duration::from_millis(2 << look.min(8)))).await;
        }
        Err(Error::Unavailable {
            reason: format!("documents of {collection} are being written by others"),
        })
    }

    /// Inserts what is not there yet, which FerretDB 1 does in one transaction where statements of an update have one each;
    /// returns what was there.
    async fn insert<'d>(
        &self,
        generation: &GenerationId,
        (collection, documents): (&str, Vec<&'d Document>),
        held: u64,
    ) -> Result<Vec<&'d Document>, Error> {
        let mut there = Vec::new();
        for chunk in chunks(documents, STATEMENTS) {
            let documents: Vec<Document> = chunk.iter().map(|&document| document.clone()).collect();
            let command = doc! {
                "insert": collection,
                "documents": documents,
                "ordered": false,
                "writeConcern": {"w": "majority", "j": true},
            };
            self.check_owner(generation, held).await?;
            let answer = self.database.run_command(command).await?;
            let errors = answer.get_array("writeErrors").into_iter().flatten();
            for error in errors.filter_map(Bson::as_document) {
                duplicate(error)?;
                let at = error.get_i32("index").unwrap_or_default();
                there.extend(
                    usize::try_from(at)
                        .ok()
                        .and_then(|at| chunk.get(at))
                        .copied(),
                );
            }
        }
        Ok(there)
    }

    /// Fails when someone else has taken the slot behind ours.
    async fn check_owner(&self, generation: &GenerationId, held: u64) -> Result<(), Error> {
        match self.slots.read(&names::slot(generation, held + 1)).await? {
            None => Ok(()),
            Some(_) => Err(Error::LostOwnership {
                generation: generation.clone(),
            }),
        }
    }

    /// Sends one command; tells whether it was done, or met documents that it could neither replace nor insert.
    async fn send(&self, command: Document) -> Result<bool, Error> {
        let answer = match self.database.run_command(command).await {
            Ok(answer) => answer,
            Err(error) if failure::code(&error) == Some(failure::DUPLICATE) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let mut done = true;
        let errors = answer.get_array("writeErrors").into_iter().flatten();
        for error in errors.filter_map(Bson::as_document) {
            duplicate(error)?;
            done = false;
        }
        match answer.get_document("writeConcernError") {
            Ok(error) => Err(Error::Unavailable {
                reason: failure::one_line(&error.to_string()),
            }),
            Err(_) => Ok(done),
        }
    }

    /// Returns the ids of the documents that carry this slot or a later one.
    async fn late(
        &self,
        collection: &str,
        documents: &[&Document],
        seq: u64,
    ) -> Result<HashSet<String>, Error> {
        let ids: Vec<&str> = documents
            .iter()
            .filter_map(|document| id(document))
            .collect();
        let collection = self.database.collection::<Document>(collection);
        let find = collection
            .find(doc! {"_id": {"$in": ids}, format!("{OURS}.seq"): {"$gte": seq as i64}});
        let mut found = find.projection(doc! {"_id": 1}).await?;
        let mut late = HashSet::new();
        while found.advance().await? {
            let document = found.deserialize_current()?;
            late.extend(id(&document).map(ToOwned::to_owned));
        }
        Ok(late)
    }
}

/// Passes a write's error over if it says that the document is there; any other is the caller's.
fn duplicate(error: &Document) -> Result<(), Error> {
    match error.get_i32("code") {
        Ok(failure::DUPLICATE) => Ok(()),
        code => {
            let message = error.get_str("errmsg").unwrap_or("a write failed");
            Err(failure::of_code(code.unwrap_or_default(), message))
        }
    }
}

/// One command that replaces documents, or inserts those that are not there.
fn command(collection: &str, documents: &[&Document], guard: Guard, seq: u64) -> Document {
    let statements = documents.iter().map(|document| {
        let mut which = doc! {"_id": document.get("_id").cloned().unwrap_or(Bson::Null)};
        if guard == Guard::Document {
            which.insert(format!("{OURS}.seq"), doc! {"$lt": seq as i64});
        }
        Bson::Document(doc! {"q": which, "u": (*document).clone(), "upsert": true})
    });
    doc! {
        "update": collection,
        "updates": statements.collect::<Vec<_>>(),
        "ordered": false,
        "writeConcern": {"w": "majority", "j": true},
    }
}

fn by_collection(puts: &[Put]) -> Vec<(&str, Vec<&Document>)> {
    let mut groups: Vec<(&str, Vec<&Document>)> = Vec::new();
    for put in puts {
        match groups
            .iter_mut()
            .find(|(collection, _)| *collection == put.collection)
        {
            Some((_, documents)) => documents.push(&put.document),
            None => groups.push((&put.collection, vec![&put.document])),
        }
    }
    groups
}

/// Cuts documents into commands that a server takes.
fn chunks(documents: Vec<&Document>, statements: usize) -> Vec<Vec<&Document>> {
    let mut chunks: Vec<Vec<&Document>> = Vec::new();
    let mut bytes = usize::MAX;
    for document in documents {
        let size = document.to_vec().map_or(BYTES, |bytes| bytes.len());
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < statements && bytes.saturating_add(size) <= BYTES => {
                chunk.push(document);
                bytes += size;
            }
            _ => {
                chunks.push(vec![document]);
                bytes = size;
            }
        }
    }
    chunks
}

fn id(document: &Document) -> Option<&str> {
    document.get_str("_id").ok()
}

/// Between half and all of a pause, so that those who wait for each other do not come again together.
pub(super) fn jitter(pause: Duration) -> Duration {
    let random = uuid::Uuid::now_v7().as_bytes()[15];
    pause.mul_f64(0.5 + f64::from(random) / 510.0)
}
