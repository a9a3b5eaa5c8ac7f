//! A generation under a test's hands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhost::message::{Digest, Json, Position, StoreId};
use foldhost::read_store::{
    Checkpoint, CollectionSpec, Commit, Error, Filter, Find, Found, Generation, GenerationId,
    Place, ReadStore, SortKey, Write,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ReadStorePlace;

pub(super) const STORE: StoreId = StoreId(Uuid::from_u128(7));

pub(super) fn plugin() -> Digest {
    Digest::of(b"posts 1.0.0")
}

/// A collection without indexes.
pub(super) fn plain(name: &str) -> CollectionSpec {
    CollectionSpec {
        name: name.into(),
        indexes: Vec::new(),
        date_fields: Vec::new(),
    }
}

/// A collection with some indexes, each written like a sort: `"author,-created"`.
pub(super) fn indexed(name: &str, indexes: &[&str]) -> CollectionSpec {
    CollectionSpec {
        indexes: indexes.iter().map(|index| sort(index)).collect(),
        ..plain(name)
    }
}

pub(super) fn sort(text: &str) -> Vec<SortKey> {
    let key = |key: &str| {
        let descending = key.starts_with('-');
        SortKey {
            path: key.trim_start_matches('-').into(),
            descending,
        }
    };
    text.split(',')
        .filter(|key| !key.is_empty())
        .map(key)
        .collect()
}

pub(super) fn put(collection: &str, id: &str, document: Value) -> Write {
    Write {
        collection: collection.into(),
        id: id.into(),
        document: Some(Json::from(&document)),
    }
}

pub(super) fn delete(collection: &str, id: &str) -> Write {
    Write {
        collection: collection.into(),
        id: id.into(),
        document: None,
    }
}

pub(super) async fn create(
    store: &Arc<dyn ReadStore>,
    projection: &str,
    collections: &[CollectionSpec],
) -> GenerationId {
    store
        .create_generation(projection, STORE, plugin(), collections)
        .await
        .unwrap()
}

/// One generation of projection `posts`.
pub(super) struct Fold {
    pub(super) store: Arc<dyn ReadStore>,
    pub(super) generation: GenerationId,
}

impl Fold {
    /// A generation in a fresh store.
    pub(super) async fn new(place: &dyn ReadStorePlace, collections: &[CollectionSpec]) -> Self {
        Self::beside(place.open().await, collections).await
    }

    /// One more generation in the same store.
    pub(super) async fn beside(store: Arc<dyn ReadStore>, collections: &[CollectionSpec]) -> Self {
        let generation = create(&store, "posts", collections).await;
        Self::of(store, generation).await
    }

    /// The same generation, taken over by another process.
    pub(super) async fn elsewhere(&self, place: &dyn ReadStorePlace) -> Self {
        Self::of(place.open().await, self.generation.clone()).await
    }

    async fn of(store: Arc<dyn ReadStore>, generation: GenerationId) -> Self {
        store.take_over(&generation).await.unwrap();
        Self { store, generation }
    }

    pub(super) async fn checkpoint(&self) -> Checkpoint {
        self.store.checkpoint(&self.generation).await.unwrap()
    }

    /// How the store lists it, once what was committed is applied for every reader.
    pub(super) async fn listed(&self) -> Generation {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let listed = self.as_listed().await;
            if listed.applied == listed.checkpoint.position {
                return listed;
            }
            assert!(listed.applied < listed.checkpoint.position, "{listed:?}");
            assert!(Instant::now() < deadline, "still not applied: {listed:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How the store lists it at this moment.
    async fn as_listed(&self) -> Generation {
        let listed = self
            .store
            .generations(&self.generation.projection)
            .await
            .unwrap();
        listed
            .into_iter()
            .find(|generation| generation.id == self.generation)
            .unwrap()
    }

    /// Commits in sequence.
    pub(super) async fn commit(&self, commit: Commit) -> Result<(), Error> {
        let sequence = self.checkpoint().await.sequence;
        self.store.commit(&self.generation, sequence, commit).await
    }

    /// Writes documents, in sequence.
    pub(super) async fn write(&self, writes: impl IntoIterator<Item = Write>) {
        let position = Position(self.checkpoint().await.position.0 + 1);
        let commit = Commit {
            position,
            writes: writes.into_iter().collect(),
            ..Commit::default()
        };
        self.commit(commit).await.unwrap();
    }

    pub(super) async fn get(&self, collection: &str, ids: &[&str]) -> Vec<(String, Json)> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let mut found = self
            .store
            .get(&self.generation, collection, &ids)
            .await
            .unwrap();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    pub(super) async fn find(&self, collection: &str, find: Find) -> Result<Vec<Found>, Error> {
        self.store.find(&self.generation, collection, find).await
    }

    /// The ids of all documents that match, in order of id.
    pub(super) async fn matching(&self, collection: &str, filter: &Value) -> Vec<String> {
        let found = self
            .find(collection, everything("", Filter::parse(filter).unwrap()))
            .await
            .unwrap();
        found.into_iter().map(|found| found.place.id).collect()
    }

    /// The ids of all documents, in some order, fetched page by page.
    pub(super) async fn walk(
        &self,
        collection: &str,
        filter: &Filter,
        order: &str,
        page: usize,
    ) -> Vec<String> {
        let (mut ids, mut after): (Vec<String>, Option<Place>) = (Vec::new(), None);
        loop {
            let find = Find {
                filter: filter.clone(),
                sort: sort(order),
                limit: page,
                after,
            };
            let found = self.find(collection, find).await.unwrap();
            assert!(found.len() <= page);
            ids.extend(found.iter().map(|found| found.place.id.clone()));
            // Through text, as a cursor goes.
            after = found.into_iter().next_back().map(|found| {
                let values = json!(found.place.values).to_string();
                Place {
                    values: serde_json::from_str(&values).unwrap(),
                    id: found.place.id,
                }
            });
            if after.is_none() {
                return ids;
            }
        }
    }
}

/// All that match, in some order.
pub(super) fn everything(order: &str, filter: Filter) -> Find {
    Find {
        filter,
        sort: sort(order),
        limit: usize::MAX,
        after: None,
    }
}
