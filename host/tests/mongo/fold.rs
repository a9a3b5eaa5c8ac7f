//! A generation under a test's hands.

use foldhost::message::{Digest, Json, Position, StoreId};
use foldhost::read_store::mongo::MongoReadStore;
use foldhost::read_store::{
    CollectionSpec, Commit, Error, Filter, Find, GenerationId, ReadStore as _, SortKey, Write,
};
use serde_json::Value;
use uuid::Uuid;

/// A collection `docs`; its indexes are written like sorts.
pub(crate) fn docs(indexes: &[&str], dates: &[&str]) -> CollectionSpec {
    CollectionSpec {
        name: "docs".into(),
        indexes: indexes.iter().map(|index| sort(index)).collect(),
        date_fields: dates.iter().map(|&path| path.to_owned()).collect(),
    }
}

pub(crate) fn sort(text: &str) -> Vec<SortKey> {
    let keys = text.split(',').filter(|key| !key.is_empty());
    keys.map(|key| SortKey {
        path: key.trim_start_matches('-').into(),
        descending: key.starts_with('-'),
    })
    .collect()
}

pub(crate) fn put(id: &str, document: &Value) -> Write {
    Write {
        collection: "docs".into(),
        id: id.into(),
        document: Some(Json::from(document)),
    }
}

pub(crate) fn delete(id: &str) -> Write {
    Write {
        document: None,
        ..put(id, &Value::Null)
    }
}

pub(crate) fn commit(position: u64, writes: Vec<Write>) -> Commit {
    Commit {
        position: Position(position),
        event_id: Uuid::from_u128(position.into()),
        writes,
        ..Commit::default()
    }
}

pub(crate) fn everything(order: &str) -> Find {
    Find {
        filter: Filter::everything(),
        sort: sort(order),
        limit: usize::MAX,
        after: None,
    }
}

/// A new generation of projection `posts`, owned by a store.
pub(crate) async fn generation(store: &MongoReadStore, docs: &CollectionSpec) -> GenerationId {
    let made = store.create_generation(
        "posts",
        StoreId(Uuid::nil()),
        Digest::of(b"posts"),
        std::slice::from_ref(docs),
    );
    let generation = made.await.unwrap();
    store.take_over(&generation).await.unwrap();
    generation
}

/// Commits in sequence.
pub(crate) async fn write(
    store: &MongoReadStore,
    generation: &GenerationId,
    writes: Vec<Write>,
) -> Result<(), Error> {
    let at = store.checkpoint(generation).await?;
    let commit = commit(at.position.0 + 1, writes);
    store.commit(generation, at.sequence, commit).await
}

/// All documents, in order of id.
pub(crate) async fn all(store: &MongoReadStore, generation: &GenerationId) -> Vec<(String, Value)> {
    let found = store
        .find(generation, "docs", everything(""))
        .await
        .unwrap();
    let pair = |found: foldhost::read_store::Found| (found.place.id, found.document.to_value());
    found.into_iter().map(pair).collect()
}
