//! The read store of the cluster profile: a MongoDB database, for any number of host processes.
//!
//! Nothing here needs a transaction over several documents, so that one code path serves a single server, a replica set
//! and FerretDB. A commit first takes the next slot of its generation's redo log, which holds all its writes (see
//! [`slots`]), and then applies them, document by document, each guarded by the slot that it carries (see [`apply`]).
//! Whoever takes the generation over completes what a former owner left undone, and what that one does later is late.
//!
//! Documents are what they look like to people and their tools; all bookkeeping is under the one field `_foldhost`.
//! Everything is written to a majority's journals and read from the primary as a majority has it.

mod apply;
mod connect;
mod document;
mod failure;
mod generations;
mod layout;
mod names;
mod order;
mod ownership;
mod parked;
mod query;
mod reading;
mod redo;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mongodb::Database;
use uuid::Uuid;

use super::{
    Checkpoint, CollectionSpec, Commit, Error, Find, Found, Generation, GenerationId, ParkedEvent,
    ReadStore,
};
use crate::message::{Digest, Json, Position, StoreId, StreamId};
use apply::Applier;
use generations::Generations;
use layout::Layouts;
use ownership::Owners;
use parked::Parked;
use reading::Documents;
use slots::Slots;

/// How long it goes unnoticed that another process has dropped a generation.
const FRESH: Duration = Duration::from_secs(1);

/// Where the read store is.
#[derive(Clone, Debug)]
pub struct MongoOptions {
    /// `mongodb://host/database`, with whatever else the server needs; the database must be named.
    pub url: String,
    /// Put before the name of each collection, so that the database may be shared.
    pub prefix: String,
}

/// The read store of the cluster profile.
pub struct MongoReadStore {
    database: Database,
    prefix: String,
    /// Tells this opening from all others.
    owner: String,
    generations: Generations,
    owners: Owners,
    slots: Slots,
    parked: Parked,
    applier: Applier,
    /// The collections of the generations used lately, and since when they are known.
    layouts: Mutex<HashMap<GenerationId, (Instant, Arc<Layouts>)>>,
}

impl MongoReadStore {
    /// Prepares the store, and looks for its server for some seconds.
    ///
    /// A server that cannot be reached is waited for by whoever calls; settings that can never work are `CannotOpen`.
    pub async fn open(options: MongoOptions) -> Result<Self, Error> {
        let database = connect::open(&options).await?;
        let (prefix, owner) = (&options.prefix, Uuid::now_v7().to_string());
        Ok(Self {
            generations: Generations::new(&database, prefix, &owner),
            owners: Owners::new(&database, prefix, &owner),
            slots: Slots::new(&database, prefix),
            parked: Parked::new(&database, prefix),
            applier: Applier::new(&database, prefix),
            layouts: Mutex::default(),
            prefix: options.prefix.clone(),
            owner: owner.clone(),
            database,
        })
    }

    /// Finds documents by a filter in MongoDB's own language, as extended JSON, in order of id: for operators, who see the
    /// fields as the database has them.
    pub async fn find_raw(
        &self,
        generation: &GenerationId,
        collection: &str,
        filter: &str,
        limit: usize,
    ) -> Result<Vec<(String, Json)>, Error> {
        let layouts = self.layouts(generation).await?;
        let documents = Documents::new(&self.database, layouts.find(collection)?);
        documents.find_raw(filter, limit).await
    }

    /// Looks up the collections of a generation, which never change while it exists.
    async fn layouts(&self, generation: &GenerationId) -> Result<Arc<Layouts>, Error> {
        if let Some((since, layouts)) = self.known().get(generation)
            && since.elapsed() < FRESH
        {
            return Ok(Arc::clone(layouts));
        }
        let asked = Instant::now();
        match self.generations.entry(generation).await {
            Ok(entry) => {
                let layouts = Arc::new(entry.layouts()?);
                self.known()
                    .insert(generation.clone(), (asked, Arc::clone(&layouts)));
                Ok(layouts)
            }
            Err(error) => {
                if let Error::NoGeneration { .. } = error {
                    self.forget(generation);
                }
                Err(error)
            }
        }
    }

    fn forget(&self, generation: &GenerationId) {
        self.known().remove(generation);
        self.owners.forget(generation);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<GenerationId, (Instant, Arc<Layouts>)>> {
        self.layouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ReadStore for MongoReadStore {
    fn shared_as(&self) -> Option<String> {
        Some(format!("{}/{}", self.database.name(), self.prefix))
    }

    async fn collections(&self, generation: &GenerationId) -> Result<Vec<String>, Error> {
        Ok(self.layouts(generation).await?.names())
    }

    async fn create_generation(
        &self,
        projection: &str,
        store: StoreId,
        plugin: Digest,
        collections: &[CollectionSpec],
    ) -> Result<GenerationId, Error> {
        self.generations
            .create(projection, (store, plugin), collections)
            .await
    }

    async fn generations(&self, projection: &str) -> Result<Vec<Generation>, Error> {
        self.generations.list(projection).await
    }

    async fn projections(&self) -> Result<Vec<String>, Error> {
        self.generations.projections().await
    }

    async fn checkpoint(&self, generation: &GenerationId) -> Result<Checkpoint, Error> {
        self.layouts(generation).await?;
        self.slots.newest(generation).await?.checkpoint()
    }

    async fn take_over(&self, generation: &GenerationId) -> Result<Checkpoint, Error> {
        self.layouts(generation).await?;
        self.owners.take_over(generation).await
    }

    async fn commit(
        &self,
        generation: &GenerationId,
        sequence: u64,
        commit: Commit,
    ) -> Result<(), Error> {
        let layouts = self.layouts(generation).await?;
        self.owners
            .commit((generation, &layouts), sequence, &commit)
            .await
    }

    async fn get(
        &self,
        generation: &GenerationId,
        collection: &str,
        ids: &[String],
    ) -> Result<Vec<(String, Json)>, Error> {
        let layouts = self.layouts(generation).await?;
        let documents = Documents::new(&self.database, layouts.find(collection)?);
        documents.get(ids, self.applier.guard().await?).await
    }

    async fn find(
        &self,
        generation: &GenerationId,
        collection: &str,
        find: Find,
    ) -> Result<Vec<Found>, Error> {
        let layouts = self.layouts(generation).await?;
        Documents::new(&self.database, layouts.find(collection)?)
            .find(&find)
            .await
    }

    async fn parked(
        &self,
        generation: &GenerationId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<ParkedEvent>, Error> {
        self.layouts(generation).await?;
        self.parked.list(generation, after, limit).await
    }

    async fn parked_streams(&self, generation: &GenerationId) -> Result<Vec<StreamId>, Error> {
        self.layouts(generation).await?;
        self.parked.streams(generation).await
    }

    async fn switch(&self, generation: &GenerationId) -> Result<(), Error> {
        // A process that stood still while another one took over must not switch on what it knew before.
        let newest = self.slots.newest(generation).await?;
        if newest.owner != self.owner {
            return Err(Error::LostOwnership {
                generation: generation.clone(),
            });
        }
        self.generations.switch(generation).await
    }

    async fn drop_generation(&self, generation: &GenerationId) -> Result<(), Error> {
        self.generations.drop(generation).await?;
        self.forget(generation);
        Ok(())
    }
}
