//! Digests by which stores are compared.

use std::fmt;

use serde_json::json;

use super::pages::{Commands, Events};
use super::sum::Sum;
use super::{Error, Progress, Step, Watch, fixed};
use crate::event_store::EventStore;
use crate::message::{Digest, Json, Position, StoreId};
use crate::read_store::{Filter, Find, Generation, GenerationId, Place, ReadStore};

/// Documents in memory at a time.
const PAGE: usize = 200;
/// How often documents are read anew that moved on meanwhile.
const ATTEMPTS: usize = 5;

/// A kind of things that a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What has happened.
    Events,
    /// What was asked for and accepted.
    Commands,
    /// The code that decides and folds.
    Plugins,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Events => "events",
            Self::Commands => "commands",
            Self::Plugins => "plugins",
        })
    }
}

/// What an event store holds, in a few numbers. Stores with the same history have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreDigest {
    /// Which store.
    pub store: StoreId,
    /// The last event that was looked at.
    pub head: Position,
    /// Of all events, whole.
    pub events: Digest,
    /// Of all accepted commands.
    pub commands: Digest,
    /// How many those are.
    pub commands_count: u64,
    /// Of which plugin versions are active.
    pub plugins: Digest,
    /// How many those are.
    pub plugins_count: u64,
}

/// What one projection's live generation holds, in a few numbers; comparable where the position is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentsDigest {
    /// The projection.
    pub projection: String,
    /// The store whose events are in it.
    pub store: StoreId,
    /// The last event that is in it.
    pub position: Position,
    /// How many documents.
    pub count: u64,
    /// Of all documents with their collections and ids.
    pub digest: Digest,
}

/// Makes the digests of an event store, up to its present head.
pub async fn digest(store: &dyn EventStore, watch: Watch<'_>) -> Result<StoreDigest, Error> {
    let (id, head) = fixed(store).await?;
    let events = events(store, head, watch).await?;
    let commands = commands(store, head, watch).await?;
    let plugins = plugins(store).await?;
    Ok(StoreDigest {
        store: id,
        head,
        events: events.digest(),
        commands_count: commands.lines(),
        commands: commands.digest(),
        plugins_count: plugins.lines(),
        plugins: plugins.digest(),
    })
}

/// Makes the digests of all live generations of a read store, in order of the projections' names.
pub async fn documents(
    store: &dyn ReadStore,
    watch: Watch<'_>,
) -> Result<Vec<DocumentsDigest>, Error> {
    let mut digests = Vec::new();
    let mut projections = store.projections().await?;
    projections.sort_unstable();
    for projection in projections {
        digests.extend(of_projection(store, &projection, watch).await?);
    }
    Ok(digests)
}

pub(super) async fn events(
    store: &dyn EventStore,
    head: Position,
    watch: Watch<'_>,
) -> Result<Sum, Error> {
    let (mut events, mut sum) = (Events::new(store, head), Sum::default());
    loop {
        let lines = events.next().await?;
        if lines.is_empty() {
            return Ok(sum);
        }
        lines.iter().for_each(|line| sum.add(line.as_bytes()));
        watch(Progress {
            step: Step::Events,
            done: events.done().0,
            of: Some(head.0),
        });
    }
}

pub(super) async fn commands(
    store: &dyn EventStore,
    head: Position,
    watch: Watch<'_>,
) -> Result<Sum, Error> {
    let (mut commands, mut sum) = (Commands::new(store, head), Sum::default());
    while let Some(lines) = commands.next().await? {
        lines.iter().for_each(|line| sum.add(line.as_bytes()));
        watch(Progress {
            step: Step::Commands,
            done: sum.lines(),
            of: None,
        });
    }
    Ok(sum)
}

async fn plugins(store: &dyn EventStore) -> Result<Sum, Error> {
    let mut active = store.active_plugins().await?;
    active.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut sum = Sum::default();
    for plugin in active {
        let line = json!({
            "aggregate": plugin.aggregate, "digest": plugin.digest.to_string(), "name": plugin.name,
            "version": plugin.version,
        });
        sum.add(Json::from(&line).as_str().as_bytes());
    }
    Ok(sum)
}

/// Reads a live generation again when it has moved on meanwhile: its documents are then of no one position.
async fn of_projection(
    store: &dyn ReadStore,
    projection: &str,
    watch: Watch<'_>,
) -> Result<Option<DocumentsDigest>, Error> {
    for _ in 0..ATTEMPTS {
        let Some(before) = live(store, projection).await? else {
            return Ok(None);
        };
        let sum = of_generation(store, &before.id, watch).await;
        let after = live(store, projection).await?;
        let is_same = |after: &Generation| {
            (&after.id, after.checkpoint.sequence, after.applied)
                == (&before.id, before.checkpoint.sequence, before.applied)
        };
        if after.as_ref().is_some_and(is_same) && before.applied == before.checkpoint.position {
            let sum = sum?;
            return Ok(Some(DocumentsDigest {
                projection: projection.to_owned(),
                store: before.checkpoint.store,
                position: before.applied,
                count: sum.lines(),
                digest: sum.digest(),
            }));
        }
    }
    Err(Error::Moving {
        projection: projection.to_owned(),
    })
}

async fn live(store: &dyn ReadStore, projection: &str) -> Result<Option<Generation>, Error> {
    let generations = store.generations(projection).await?;
    Ok(generations.into_iter().find(|generation| generation.live))
}

async fn of_generation(
    store: &dyn ReadStore,
    generation: &GenerationId,
    watch: Watch<'_>,
) -> Result<Sum, Error> {
    let mut sum = Sum::default();
    let mut collections = store.collections(generation).await?;
    collections.sort_unstable();
    for collection in collections {
        let mut after = None;
        loop {
            let find = everything(after);
            let mut found = store.find(generation, &collection, find).await?;
            for it in &found {
                sum.add(document(&collection, &it.place.id, &it.document).as_bytes());
            }
            watch(Progress {
                step: Step::Documents,
                done: sum.lines(),
                of: None,
            });
            match found.pop() {
                Some(last) => after = Some(last.place),
                None => break,
            }
        }
    }
    Ok(sum)
}

fn everything(after: Option<Place>) -> Find {
    Find {
        filter: Filter::everything(),
        sort: Vec::new(),
        limit: PAGE,
        after,
    }
}

fn document(collection: &str, id: &str, document: &Json) -> String {
    let (collection, id) = (json!(collection), json!(id));
    format!(r#"{{"collection":{collection},"document":{document},"id":{id}}}"#)
}
