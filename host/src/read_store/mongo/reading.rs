//! Reading documents.

use std::cmp::Ordering;
use std::time::Duration;

use futures_util::future::try_join_all;
use mongodb::bson::{Document, doc};
use mongodb::{Collection, Cursor, Database};
use serde_json::Value;

use super::super::{Error, Find, Found};
use super::apply::Guard;
use super::document::decode;
use super::failure::{self, TIME_LIMIT};
use super::layout::Layout;
use super::order::{First, Order};
use super::query;
use crate::message::Json;

/// How long a query may run: nobody waits longer for a page.
const QUERY_LIMIT: Duration = Duration::from_secs(5);
/// Documents of one answer of the server, so that a page needs no more than one.
const BATCH: u32 = 1_001;
/// Reads of single documents at a time.
const READS: usize = 16;

/// A collection of documents.
pub(super) struct Documents<'a> {
    layout: &'a Layout,
    collection: Collection<Document>,
}

impl<'a> Documents<'a> {
    pub(super) fn new(database: &Database, layout: &'a Layout) -> Self {
        Self {
            layout,
            collection: database.collection(&layout.documents),
        }
    }

    /// Reads documents by id.
    pub(super) async fn get(
        &self,
        ids: &[String],
        guard: Guard,
    ) -> Result<Vec<(String, Json)>, Error> {
        let stored = match (ids, guard) {
            ([], _) => Vec::new(),
            ([id], _) => self.one(id).await?.into_iter().collect(),
            // One by one each is found by its id; together they would be looked for in all documents.
            (ids, Guard::Owner) => {
                let mut all = Vec::new();
                for some in ids.chunks(READS) {
                    all.extend(
                        try_join_all(some.iter().map(|id| self.one(id)))
                            .await?
                            .into_iter()
                            .flatten(),
                    );
                }
                all
            }
            (ids, Guard::Document) => self.all(ids).await?,
        };
        let mut documents = Vec::with_capacity(stored.len());
        for stored in stored {
            let (id, document) = decode(stored)?;
            documents.extend(document.map(|(document, _)| (id, document)));
        }
        Ok(documents)
    }

    async fn one(&self, id: &str) -> Result<Option<Document>, Error> {
        Ok(self.collection.find_one(doc! {"_id": id}).await?)
    }

    async fn all(&self, ids: &[String]) -> Result<Vec<Document>, Error> {
        let mut found = self.collection.find(doc! {"_id": {"$in": ids}}).await?;
        let mut all = Vec::with_capacity(ids.len());
        while found.advance().await? {
            all.push(found.deserialize_current()?);
        }
        Ok(all)
    }

    /// Finds documents, in order.
    pub(super) async fn find(&self, find: &Find) -> Result<Vec<Found>, Error> {
        let order = Order::of(find)?;
        if find.limit == 0 {
            return Ok(Vec::new());
        }
        within(self.find_in(find, &order)).await
    }

    async fn find_in(&self, find: &Find, order: &Order) -> Result<Vec<Found>, Error> {
        let sort = query::sort(self.layout, order);
        let is_sorted = sort.is_some();
        let behind = find.after.as_ref().filter(|_| is_sorted);
        let behind = behind.and_then(|place| query::behind(self.layout, order, place));
        let condition = query::condition(self.layout, &find.filter, behind);
        let mut cursor = self.cursor(condition, sort, find.limit).await?;
        let mut first = First::new(order, find.limit);
        let mut count = 0;
        while cursor.advance().await? {
            let (id, document) = decode(cursor.deserialize_current()?)?;
            let Some((json, value)) = document else {
                continue;
            };
            if !find.filter.matches(&id, &value) {
                continue;
            }
            let place = order.place(&id, &value);
            let is_behind = |after| order.compare(&place, after) == Ordering::Greater;
            if find.after.as_ref().is_none_or(is_behind) {
                first.add(place, json);
                count += 1;
            }
            if is_sorted && count == find.limit {
                break;
            }
        }
        Ok(first.into_found())
    }

    async fn cursor(
        &self,
        condition: Document,
        sort: Option<Document>,
        limit: usize,
    ) -> Result<Cursor<Document>, Error> {
        let batch = u32::try_from(limit)
            .unwrap_or(BATCH)
            .saturating_add(1)
            .min(BATCH);
        let find = self.collection.find(condition).max_time(QUERY_LIMIT);
        let find = match sort {
            Some(sort) => find.sort(sort).batch_size(batch).allow_disk_use(true),
            None => find.batch_size(BATCH),
        };
        find.await.map_err(too_slow)
    }

    /// Finds documents by a filter of the database itself, in order of id.
    pub(super) async fn find_raw(
        &self,
        filter: &str,
        limit: usize,
    ) -> Result<Vec<(String, Json)>, Error> {
        let filter: Document = serde_json::from_str(filter).map_err(|error| Error::Refused {
            reason: format!("the filter is no extended JSON: {error}"),
        })?;
        let condition = doc! {"$and": [filter, query::not_deleted()]};
        within(async {
            let mut cursor = self.cursor(condition, Some(doc! {"_id": 1}), limit).await?;
            let mut documents = Vec::new();
            while documents.len() < limit && cursor.advance().await.map_err(too_slow)? {
                let (id, document) = decode(cursor.deserialize_current()?)?;
                documents.extend(document.map(|(json, _): (Json, Value)| (id, json)));
            }
            Ok(documents)
        })
        .await
    }
}

/// Ends a query after its time, the way to the server included.
async fn within<R>(query: impl Future<Output = Result<R, Error>>) -> Result<R, Error> {
    tokio::time::timeout(QUERY_LIMIT, query)
        .await
        .unwrap_or(Err(Error::TooSlow { limit: QUERY_LIMIT }))
}

fn too_slow(error: mongodb::error::Error) -> Error {
    if failure::code(&error) == Some(TIME_LIMIT) {
        return Error::TooSlow { limit: QUERY_LIMIT };
    }
    error.into()
}
