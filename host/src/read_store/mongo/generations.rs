//! Generations: made, listed, switched and dropped.
//!
//! Which ones there are and which is live stands in one alias document per projection, so that every change of it is one
//! atomic update.

use mongodb::bson::{Document, doc, serialize_to_bson};
use mongodb::{Collection, Database};

use super::super::{CollectionSpec, Error, Generation, GenerationId};
use super::layout::{self, Alias, Declared, Entry};
use super::parked::Parked;
use super::slots::{Claim, Kind, Slot, Slots};
use super::{failure, names};
use crate::message::{Digest, StoreId, Time};

/// Tries of a change that others keep coming before.
const TRIES: usize = 100;

/// The generations of all projections.
#[derive(Clone)]
pub(super) struct Generations {
    database: Database,
    prefix: String,
    owner: String,
    aliases: Collection<Alias>,
    slots: Slots,
    parked: Parked,
}

impl Generations {
    pub(super) fn new(database: &Database, prefix: &str, owner: &str) -> Self {
        Self {
            database: database.clone(),
            prefix: prefix.into(),
            owner: owner.into(),
            aliases: database.collection(&format!("{prefix}{}", names::PROJECTIONS)),
            slots: Slots::new(database, prefix),
            parked: Parked::new(database, prefix),
        }
    }

    /// Creates a generation under the next free number, with its collections and indexes.
    pub(super) async fn create(
        &self,
        projection: &str,
        (store, plugin): (StoreId, Digest),
        specs: &[CollectionSpec],
    ) -> Result<GenerationId, Error> {
        let alias = self.alias(projection).await?;
        for entry in alias.iter().flat_map(|alias| alias.generations.values()) {
            if entry.dropping {
                // Whoever began to delete it did not come to the end.
                self.delete(&id(projection, entry)).await?;
            }
        }
        let mut number = alias.map_or(0, |alias| alias.last);
        for _ in 0..TRIES {
            number += 1;
            let generation = GenerationId {
                projection: projection.into(),
                number: number as u64,
            };
            let declared = specs
                .iter()
                .map(|spec| layout::declare(&self.prefix, generation.number, spec));
            let declared = declared.collect::<Result<Vec<_>, _>>()?;
            let first = Slot::created(&generation, &self.owner, store, plugin);
            if self.slots.claim(&first).await? == Claim::Ours
                && self.collections(&declared, specs).await?
            {
                self.publish(&generation, declared).await?;
                return Ok(generation);
            }
        }
        Err(Error::Unavailable {
            reason: format!("no number is free for a generation of {projection:?}"),
        })
    }

    /// Creates the collections with their indexes; tells whether all names were free.
    async fn collections(
        &self,
        declared: &[Declared],
        specs: &[CollectionSpec],
    ) -> Result<bool, Error> {
        for (declared, spec) in declared.iter().zip(specs) {
            let create = doc! {"create": &declared.documents};
            match self.database.run_command(create).await {
                Ok(_) => {}
                // Left over from another projection or another time: it is not ours to touch.
                Err(error) if failure::code(&error) == Some(failure::NAMESPACE_EXISTS) => {
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
            let indexes = layout::indexes(spec);
            if !indexes.is_empty() {
                let create = doc! {"createIndexes": &declared.documents, "indexes": indexes};
                self.database.run_command(create).await?;
            }
        }
        Ok(true)
    }

    async fn publish(
        &self,
        generation: &GenerationId,
        collections: Vec<Declared>,
    ) -> Result<(), Error> {
        let number = generation.number as i64;
        let entry = Entry {
            number,
            retired_at: None,
            dropping: false,
            collections,
        };
        let entry = serialize_to_bson(&entry).map_err(|error| Error::Refused {
            reason: error.to_string(),
        })?;
        let change = doc! {"$max": {"last": number}, "$set": {place(generation): entry}};
        let update = self
            .aliases
            .update_one(doc! {"_id": &generation.projection}, change);
        update.upsert(true).await?;
        Ok(())
    }

    /// Lists a projection's generations, oldest first.
    pub(super) async fn list(&self, projection: &str) -> Result<Vec<Generation>, Error> {
        let Some(alias) = self.alias(projection).await? else {
            return Ok(Vec::new());
        };
        let mut entries: Vec<&Entry> = alias
            .generations
            .values()
            .filter(|entry| !entry.dropping)
            .collect();
        entries.sort_by_key(|entry| entry.number);
        let mut generations = Vec::with_capacity(entries.len());
        for entry in entries {
            let id = id(projection, entry);
            let newest = match self.slots.newest(&id).await {
                Err(Error::NoGeneration { .. }) => continue,
                newest => newest?,
            };
            generations.push(Generation {
                parked: self.parked.count(&id).await?,
                id,
                checkpoint: newest.checkpoint()?,
                applied: newest.applied_to(),
                live: alias.live == Some(entry.number),
                retired_at: entry.retired_at.map(Time),
            });
        }
        Ok(generations)
    }

    /// Lists all projections that have a generation.
    pub(super) async fn projections(&self) -> Result<Vec<String>, Error> {
        let mut found = self.aliases.find(doc! {}).sort(doc! {"_id": 1}).await?;
        let mut names = Vec::new();
        while found.advance().await? {
            let alias = found.deserialize_current()?;
            if alias.generations.values().any(|entry| !entry.dropping) {
                names.push(alias.projection);
            }
        }
        Ok(names)
    }

    /// Reads what the alias document says of one generation.
    pub(super) async fn entry(&self, generation: &GenerationId) -> Result<Entry, Error> {
        Ok(self.known(generation).await?.1)
    }

    /// Makes a generation the live one; the former one is retired.
    pub(super) async fn switch(&self, generation: &GenerationId) -> Result<(), Error> {
        let number = generation.number as i64;
        for _ in 0..TRIES {
            let (alias, _) = self.known(generation).await?;
            if alias.live == Some(number) {
                return Ok(());
            }
            let mut set = doc! {"live": number};
            if let Some(former) = alias.live {
                let former = names::entry(former as u64);
                set.insert(format!("generations.{former}.retired_at"), Time::now().0);
            }
            let here = place(generation);
            let change = doc! {"$set": set, "$unset": {format!("{here}.retired_at"): ""}};
            // Neither has anyone switched meanwhile, nor begun to drop it.
            let mut unchanged = doc! {"_id": &generation.projection, "live": alias.live};
            unchanged.insert(format!("{here}.dropping"), false);
            if self.changed(unchanged, change).await? {
                return Ok(());
            }
        }
        Err(contended(generation))
    }

    /// Deletes a generation that is not live, with its documents.
    pub(super) async fn drop(&self, generation: &GenerationId) -> Result<(), Error> {
        let number = generation.number as i64;
        for _ in 0..TRIES {
            let alias = match self.known(generation).await {
                Ok((alias, _)) => alias,
                Err(Error::NoGeneration { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            if alias.live == Some(number) {
                return Err(Error::Refused {
                    reason: "a live generation is not dropped".into(),
                });
            }
            let unchanged = doc! {"_id": &generation.projection, "live": alias.live};
            let mut dropping = Document::new();
            dropping.insert(format!("{}.dropping", place(generation)), true);
            if self.changed(unchanged, doc! {"$set": dropping}).await? {
                return self.delete(generation).await;
            }
        }
        Err(contended(generation))
    }

    /// Deletes all that a generation has; what fails half-way is found again by the mark in its entry.
    async fn delete(&self, generation: &GenerationId) -> Result<(), Error> {
        let alias = self.alias(&generation.projection).await?;
        let entry =
            alias.and_then(|mut alias| alias.generations.remove(&names::entry(generation.number)));
        self.fence(generation).await?;
        for declared in entry.iter().flat_map(|entry| &entry.collections) {
            self.database
                .collection::<Document>(&declared.documents)
                .drop()
                .await?;
        }
        self.parked.forget(generation).await?;
        let ids = names::all_of(generation);
        let redo = self
            .database
            .collection::<Document>(&format!("{}{}", self.prefix, names::REDO));
        redo.delete_many(doc! {"_id": {"$gte": ids.start, "$lt": ids.end}})
            .await?;
        let change = doc! {"$unset": {place(generation): ""}};
        self.aliases
            .update_one(doc! {"_id": &generation.projection}, change)
            .await?;
        Ok(())
    }

    /// Takes the last slot, so that whoever owned the generation takes none any more.
    async fn fence(&self, generation: &GenerationId) -> Result<(), Error> {
        for _ in 0..TRIES {
            let newest = match self.slots.newest(generation).await {
                Err(Error::NoGeneration { .. }) => return Ok(()),
                newest => newest?,
            };
            let last = newest.next(generation, &self.owner, Kind::Dropped);
            if self.slots.claim(&last).await? == Claim::Ours {
                return self.slots.forget_before(generation, &last).await;
            }
        }
        Err(contended(generation))
    }

    async fn alias(&self, projection: &str) -> Result<Option<Alias>, Error> {
        Ok(self.aliases.find_one(doc! {"_id": projection}).await?)
    }

    async fn known(&self, generation: &GenerationId) -> Result<(Alias, Entry), Error> {
        let gone = || Error::NoGeneration {
            generation: generation.clone(),
        };
        let mut alias = self.alias(&generation.projection).await?.ok_or_else(gone)?;
        let entry = alias.generations.remove(&names::entry(generation.number));
        let entry = entry.filter(|entry| !entry.dropping).ok_or_else(gone)?;
        Ok((alias, entry))
    }

    async fn changed(&self, unchanged: Document, change: Document) -> Result<bool, Error> {
        Ok(self
            .aliases
            .update_one(unchanged, change)
            .await?
            .matched_count
            > 0)
    }
}

fn id(projection: &str, entry: &Entry) -> GenerationId {
    GenerationId {
        projection: projection.into(),
        number: entry.number as u64,
    }
}

/// The path of a generation's entry in its alias document.
fn place(generation: &GenerationId) -> String {
    format!("generations.{}", names::entry(generation.number))
}

fn contended(generation: &GenerationId) -> Error {
    Error::Unavailable {
        reason: format!(
            "generation {} of {} is being changed by others",
            generation.number, generation.projection
        ),
    }
}
