//! Reading documents.

use rusqlite::{Connection, OptionalExtension as _, params_from_iter};
use serde_json::Value;

use super::super::{Error, FieldPath, Find, Found, GenerationId, Place};
use super::{generations, key, query};
use crate::message::Json;
use crate::sqlite::text;

const COLLECTION: &str =
    "SELECT documents, keys FROM collections JOIN generations ON generations.id = generation
    WHERE projection = ?1 AND number = ?2 AND name = ?3";

/// How the documents of one collection are stored.
#[derive(Debug)]
pub(super) struct Layout {
    /// The table, named by ourselves.
    pub(super) table: String,
    /// The indexed paths: column `key_0`, `key_1` and so on.
    pub(super) keys: Vec<FieldPath>,
}

impl Layout {
    /// Looks up a collection of a generation.
    pub(super) fn find(
        connection: &Connection,
        generation: &GenerationId,
        collection: &str,
    ) -> Result<Self, Error> {
        let mut statement = connection.prepare_cached(COLLECTION)?;
        let parameters = (&generation.projection, generation.number as i64, collection);
        let found = statement
            .query_row(parameters, |row| {
                Ok((row.get(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        let Some((table, keys)) = found else {
            generations::row(connection, generation)?;
            return Err(Error::NoCollection {
                collection: collection.to_owned(),
            });
        };
        let damaged = || Error::Refused {
            reason: format!("the keys of collection {collection:?} are damaged"),
        };
        let keys = serde_json::from_str::<Vec<String>>(&keys).map_err(|_| damaged())?;
        let keys = keys
            .iter()
            .map(|path| FieldPath::parse(path).map_err(|_| damaged()))
            .collect::<Result<_, _>>()?;
        Ok(Self { table, keys })
    }

    /// Returns the column that holds what is under a path, if there is one.
    pub(super) fn column(&self, path: &FieldPath) -> Option<String> {
        if path.is_id() {
            return Some("id".into());
        }
        self.keys
            .iter()
            .position(|key| key == path)
            .map(|at| format!("key_{at}"))
    }
}

/// Reads documents by id.
pub(super) fn get(
    connection: &Connection,
    generation: &GenerationId,
    collection: &str,
    ids: Vec<String>,
) -> Result<Vec<(String, Json)>, Error> {
    let table = Layout::find(connection, generation, collection)?.table;
    let mut statement =
        connection.prepare_cached(&format!("SELECT document FROM {table} WHERE id = ?1"))?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let document = statement
            .query_row([&id], |row| Ok(Json::from_store(text(row, 0)?)))
            .optional()?;
        found.extend(document.map(|document| (id, document)));
    }
    Ok(found)
}

/// Finds documents, in order.
pub(super) fn find(
    connection: &Connection,
    generation: &GenerationId,
    collection: &str,
    find: &Find,
) -> Result<Vec<Found>, Error> {
    let layout = Layout::find(connection, generation, collection)?;
    let query = query::compile(&layout, find)?;
    let mut statement = connection.prepare_cached(&query.sql)?;
    let mut rows = statement.query(params_from_iter(&query.parameters))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let values = (2..2 + find.sort.len()).map(|column| Ok(key::decode(row.get_ref(column)?)));
        let values = values.collect::<rusqlite::Result<Vec<Value>>>()?;
        let place = Place {
            values,
            id: row.get(0)?,
        };
        found.push(Found {
            place,
            document: Json::from_store(text(row, 1)?),
        });
    }
    Ok(found)
}
