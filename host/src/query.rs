//! Queries: reads of read models, which change nothing.
//!
//! A query reads one generation from its beginning to its end: it waits for a position in it, reads it, and its cursor
//! names it. So a switch in between never takes a reader back in time, and a cursor of a former generation is told.

mod cursor;
mod parameters;
mod planners;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Catalogs;
use crate::event_store::EventStore;
use crate::message::{Json, Position, Rejection};
use crate::plugin::{Fault, FindRequest, ProjectionDescriptor, QueryType};
use crate::projection::{Engine, Live, NotReached};
use crate::read_store::{self, Filter, Find, Found, ParkedEvent, ReadStore, SortKey};
use cursor::Cursor;
use parameters::typed;
pub(crate) use planners::Planners;

/// How long to wait for which position before reading.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// Everything up to here must have taken effect.
    pub position: Option<Position>,
    /// How long to wait for it.
    pub timeout: Duration,
}

/// Which part of a list to give.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// The most items.
    pub limit: usize,
    /// What a former page gave as `next`.
    pub cursor: Option<String>,
    /// What to wait for.
    pub wait: Wait,
}

/// Which documents of a collection to give.
#[derive(Clone, Debug)]
pub struct FindDocuments {
    /// Which.
    pub filter: Filter,
    /// In which order; the document's id is always the last key.
    pub sort: Vec<SortKey>,
    /// Which part.
    pub page: PageRequest,
}

/// Documents, and where to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Documents {
    /// Ids and documents, in order.
    pub items: Vec<(String, Json)>,
    /// Where the next page begins; `None` behind the last.
    pub next: Option<String>,
    /// The position that was waited for, when its stream is parked: its effect may be missing.
    pub parked: Option<Position>,
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No active plugin writes the collection. **Handling:** tell the client which ones there are.
    #[error("there is no collection {collection:?}; there are {}", list(known))]
    UnknownCollection {
        /// What was asked for.
        collection: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No active plugin answers the query. **Handling:** tell the client which ones there are.
    #[error("there is no query {query:?}; there are {}", list(known))]
    UnknownQuery {
        /// What was asked for.
        query: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No active plugin defines the projection. **Handling:** tell the client which ones there are.
    #[error("there is no projection {projection:?}; there are {}", list(known))]
    UnknownProjection {
        /// What was asked for.
        projection: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A parameter is unknown, missing or of the wrong kind. **Handling:** tell the client.
    #[error("query {query}: parameter {parameter:?} {reason}")]
    InvalidParameter {
        /// The query.
        query: String,
        /// The parameter.
        parameter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The cursor was not given by this list. **Handling:** tell the client.
    #[error("the cursor is not one that this list gave: {reason}")]
    InvalidCursor {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The read model was replaced since the cursor was given. **Handling:** the client begins anew.
    #[error("the read model was replaced since this cursor was given; begin again without it")]
    CursorGone,
    /// The plugin refused the parameters. **Handling:** tell the client.
    #[error("{}", .0.message)]
    Rejected(Rejection),
    /// The position was not reached in time. **Handling:** tell the client where it is.
    #[error(
        "projection {projection} has not reached position {wanted} in time; it is at {present}"
    )]
    NotReached {
        /// The projection.
        projection: String,
        /// What was waited for.
        wanted: Position,
        /// Where it is.
        present: Position,
    },
    /// The query took longer than allowed. **Handling:** tell the client to narrow it or to ask for an index.
    #[error("the query took longer than {} ms; narrow its filter, or have its fields indexed", limit.as_millis())]
    TooSlow {
        /// How long it may take.
        limit: Duration,
    },
    /// The read model cannot be read now. **Handling:** answer 503.
    #[error("{reason}")]
    Unavailable {
        /// What is in the way.
        reason: String,
    },
    /// The plugin broke. **Handling:** answer 500 or 504 naming it.
    #[error(transparent)]
    Plugin(#[from] Fault),
}

fn list(known: &[String]) -> String {
    if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    }
}

impl From<read_store::Error> for Error {
    fn from(error: read_store::Error) -> Self {
        match error {
            read_store::Error::TooSlow { limit } => Self::TooSlow { limit },
            read_store::Error::NoGeneration { .. } => Self::CursorGone,
            other => {
                // What the driver says is for the log: it may name places.
                tracing::warn!(error = %other, "a read model could not be read");
                Self::Unavailable {
                    reason: "the read store is not available".to_owned(),
                }
            }
        }
    }
}

/// Answers queries.
pub(crate) struct Queries {
    pub(crate) catalogs: Catalogs,
    pub(crate) engine: Engine,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) read_store: Arc<dyn ReadStore>,
    pub(crate) planners: Planners,
}

impl Queries {
    /// Gives one document, or none.
    pub(crate) async fn document(
        &self,
        collection: &str,
        id: &str,
        wait: Wait,
    ) -> Result<Documents, Error> {
        let live = self.live_of_collection(collection)?;
        reach(&live, wait).await?;
        let items = self
            .read_store
            .get(&live.generation, collection, &[id.to_owned()])
            .await?;
        Ok(Documents {
            items,
            next: None,
            parked: self.parked_at(&live, wait).await?,
        })
    }

    /// Finds documents of a collection.
    pub(crate) async fn find(
        &self,
        collection: &str,
        find: FindDocuments,
    ) -> Result<Documents, Error> {
        let live = self.live_of_collection(collection)?;
        let request = FindRequest {
            filter: find.filter,
            sort: find.sort,
            most: None,
        };
        self.page(&live, collection, request, find.page).await
    }

    /// Answers a named query.
    pub(crate) async fn named(
        &self,
        name: &str,
        parameters: BTreeMap<String, String>,
        page: PageRequest,
    ) -> Result<Documents, Error> {
        let (live, query) = self.live_of_query(name)?;
        let parameters = typed(&query, &parameters)?;
        let request = self.planners.plan(&live.plugin, name, parameters).await??;
        self.page(&live, &query.collection, request, page).await
    }

    /// Lists parked events of a projection's live generation.
    pub(crate) async fn parked(
        &self,
        projection: &str,
        after: Position,
        limit: usize,
    ) -> Result<Vec<ParkedEvent>, Error> {
        let Some(live) = self.engine.live(projection) else {
            let known = self
                .engine
                .status()
                .into_iter()
                .map(|status| status.name)
                .collect();
            return Err(Error::UnknownProjection {
                projection: projection.to_owned(),
                known,
            });
        };
        Ok(self
            .read_store
            .parked(&live.generation, after, limit)
            .await?)
    }

    async fn page(
        &self,
        live: &Live,
        collection: &str,
        request: FindRequest,
        page: PageRequest,
    ) -> Result<Documents, Error> {
        let fingerprint = cursor::fingerprint(collection, &request.filter, &request.sort);
        let cursor = page
            .cursor
            .as_deref()
            .map(|text| Cursor::parse(text, fingerprint))
            .transpose()?;
        if cursor
            .as_ref()
            .is_some_and(|cursor| cursor.generation != live.generation.number)
        {
            return Err(Error::CursorGone);
        }
        reach(live, page.wait).await?;
        let given = cursor.as_ref().map_or(0, |cursor| cursor.given);
        let left = request
            .most
            .map_or(usize::MAX, |most| (most as usize).saturating_sub(given));
        let limit = page.limit.min(left);
        let find = Find {
            filter: request.filter,
            sort: request.sort,
            // One more tells whether there is a next page.
            limit: limit.saturating_add(1),
            after: cursor.map(|cursor| cursor.place),
        };
        let mut found = if limit == 0 {
            Vec::new()
        } else {
            self.read_store
                .find(&live.generation, collection, find)
                .await?
        };
        let more = found.len() > limit && limit < left;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last: &Found| {
            Cursor {
                generation: live.generation.number,
                fingerprint,
                given: given + found.len(),
                place: last.place.clone(),
            }
            .to_string()
        });
        let parked = self.parked_at(live, page.wait).await?;
        let items = found
            .into_iter()
            .map(|found| (found.place.id, found.document))
            .collect();
        Ok(Documents {
            items,
            next,
            parked,
        })
    }

    /// The live generation decides what there is: a collection of a version that is still being rebuilt is not there yet.
    fn live_of_collection(&self, collection: &str) -> Result<Live, Error> {
        let writes = |projection: &ProjectionDescriptor| {
            projection
                .collections
                .iter()
                .any(|it| it.name == collection)
                .then_some(())
        };
        if let Some((live, ())) = self.find_live(writes) {
            return Ok(live);
        }
        if self.catalogs.load().collection(collection).is_some() {
            return Err(being_built("collection", collection));
        }
        let mut known = self.names(|projection| {
            projection
                .collections
                .iter()
                .map(|it| it.name.clone())
                .collect()
        });
        known.sort_unstable();
        Err(Error::UnknownCollection {
            collection: collection.to_owned(),
            known,
        })
    }

    fn live_of_query(&self, name: &str) -> Result<(Live, QueryType), Error> {
        let answers = |projection: &ProjectionDescriptor| {
            projection
                .queries
                .iter()
                .find(|it| it.name == name)
                .cloned()
        };
        if let Some(found) = self.find_live(answers) {
            return Ok(found);
        }
        if self.catalogs.load().query(name).is_some() {
            return Err(being_built("query", name));
        }
        let mut known = self.names(|projection| {
            projection
                .queries
                .iter()
                .map(|it| it.name.clone())
                .collect()
        });
        known.sort_unstable();
        Err(Error::UnknownQuery {
            query: name.to_owned(),
            known,
        })
    }

    fn find_live<R>(
        &self,
        mut find: impl FnMut(&ProjectionDescriptor) -> Option<R>,
    ) -> Option<(Live, R)> {
        self.engine.all_live().into_iter().find_map(|live| {
            let found = find(live.plugin.descriptor.projection.as_ref()?)?;
            Some((live, found))
        })
    }

    fn names(&self, of: impl Fn(&ProjectionDescriptor) -> Vec<String>) -> Vec<String> {
        let live = self.engine.all_live();
        live.iter()
            .filter_map(|live| live.plugin.descriptor.projection.as_ref())
            .flat_map(of)
            .collect()
    }

    /// Tells whether the effect of the event that was waited for may be missing because its stream is parked.
    async fn parked_at(&self, live: &Live, wait: Wait) -> Result<Option<Position>, Error> {
        let Some(position) = wait.position.filter(|position| position.0 > 0) else {
            return Ok(None);
        };
        if live.progress.borrow().parked == 0 {
            return Ok(None);
        }
        let before = Position(position.0 - 1);
        let parked = self.read_store.parked(&live.generation, before, 1).await?;
        if parked
            .first()
            .is_some_and(|event| event.position == position)
        {
            return Ok(Some(position));
        }
        // An event that the projection does not fold is not parked itself, but the one before it of its stream may be.
        match self.store.read_all(before, 1).await {
            Ok(events) => {
                let streams = self.read_store.parked_streams(&live.generation).await?;
                let is_parked = events
                    .first()
                    .is_some_and(|it| streams.contains(&it.stream));
                Ok(is_parked.then_some(position))
            }
            // Reading needs the read store alone; without the stream nothing more is known.
            Err(_) => Ok(None),
        }
    }
}

fn being_built(what: &str, name: &str) -> Error {
    Error::Unavailable {
        reason: format!(
            "{what} {name:?} is being built; it can be read when its projection has caught up"
        ),
    }
}

async fn reach(live: &Live, wait: Wait) -> Result<(), Error> {
    let Some(wanted) = wait.position else {
        return Ok(());
    };
    let projection = || live.generation.projection.clone();
    live.wait_for(wanted, wait.timeout)
        .await
        .map_err(|error| match error {
            NotReached::TimedOut { present } => Error::NotReached {
                projection: projection(),
                wanted,
                present,
            },
            NotReached::Stopped { reason } => Error::Unavailable {
                reason: format!("projection {} has stopped: {reason}", projection()),
            },
        })
}
