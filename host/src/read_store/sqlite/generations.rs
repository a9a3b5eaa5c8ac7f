//! Generations: made, listed, switched and dropped.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction};
use serde_json::json;
use uuid::Uuid;

use super::super::{Checkpoint, CollectionSpec, Error, FieldPath, Generation, GenerationId};
use crate::message::{Digest, Position, StoreId, Time};
use crate::sqlite::{digest, unsigned, uuid};

const NEXT_NUMBER: &str = "INSERT INTO projections (name, last_number) VALUES (?1, 1)
    ON CONFLICT (name) DO UPDATE SET last_number = last_number + 1 RETURNING last_number";
const CREATE: &str = "INSERT INTO generations (projection, number, store, plugin, event_id)
    VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id";
const LIST: &str =
    "SELECT store, plugin, position, event_id, sequence, deviates, number, live, retired_at,
    (SELECT count(*) FROM parked WHERE generation = generations.id)
    FROM generations WHERE projection = ?1 ORDER BY number";
const CHECKPOINT: &str = "SELECT store, plugin, position, event_id, sequence, deviates
    FROM generations WHERE projection = ?1 AND number = ?2";

/// Creates a generation under the next number, with its tables and indexes.
pub(super) fn create(
    transaction: Transaction<'_>,
    projection: String,
    store: StoreId,
    plugin: Digest,
    collections: &[CollectionSpec],
) -> Result<GenerationId, Error> {
    let number: i64 = transaction.query_row(NEXT_NUMBER, [&projection], |row| row.get(0))?;
    let values = (
        &projection,
        number,
        store.0.as_bytes(),
        plugin.0,
        Uuid::nil().into_bytes(),
    );
    let row: i64 = transaction.query_row(CREATE, values, |row| row.get(0))?;
    for collection in collections {
        create_collection(&transaction, row, number, collection)?;
    }
    transaction.commit()?;
    Ok(GenerationId {
        projection,
        number: number.unsigned_abs(),
    })
}

/// Creates a collection's table with a column per indexed path. Every index ends with the id, as every order does.
fn create_collection(
    transaction: &Transaction<'_>,
    generation: i64,
    number: i64,
    collection: &CollectionSpec,
) -> Result<(), Error> {
    let mut keys: Vec<FieldPath> = Vec::new();
    for key in collection.indexes.iter().flatten() {
        let path = FieldPath::parse(&key.path).map_err(|error| Error::Refused {
            reason: error.to_string(),
        })?;
        if !path.is_id() && !keys.contains(&path) {
            keys.push(path);
        }
    }
    let paths = json!(keys.iter().map(FieldPath::as_str).collect::<Vec<_>>()).to_string();
    let insert =
        "INSERT INTO collections (generation, name, documents, keys) VALUES (?1, ?2, ?3, ?4)";
    let table = table_name(transaction, &collection.name, number)?;
    transaction.execute(insert, (generation, &collection.name, &table, paths))?;
    let columns: String = (0..keys.len())
        .map(|at| format!("key_{at} ANY NOT NULL, "))
        .collect();
    transaction.execute_batch(&format!(
        "CREATE TABLE {table}
         (number INTEGER PRIMARY KEY, id ANY NOT NULL UNIQUE, {columns}document TEXT NOT NULL) STRICT"
    ))?;
    for (at, index) in collection.indexes.iter().enumerate() {
        let column = |path: &str| {
            keys.iter()
                .position(|key| key.as_str() == path)
                .map(|at| format!("key_{at}"))
        };
        let mut columns: Vec<String> = index
            .iter()
            .filter_map(|key| {
                Some(format!(
                    "{}{}",
                    column(&key.path)?,
                    if key.descending { " DESC" } else { "" }
                ))
            })
            .collect();
        columns.push("id".into());
        transaction.execute_batch(&format!(
            "CREATE INDEX {table}_{at} ON {table} ({})",
            columns.join(", ")
        ))?;
    }
    Ok(())
}

/// Makes a name up that people recognize, that no other table has, and that needs no quotes whatever the collection is
/// called.
fn table_name(connection: &Connection, collection: &str, number: i64) -> Result<String, Error> {
    let next =
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'collections'), 0) + 1";
    let unique: i64 = connection.query_row(next, [], |row| row.get(0))?;
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let readable: String = collection.chars().take(40).map(plain).collect();
    Ok(format!("documents_{readable}_g{number}_{unique}"))
}

/// Returns a generation's row number and whether it is live.
pub(super) fn row(
    connection: &Connection,
    generation: &GenerationId,
) -> Result<(i64, bool), Error> {
    let mut statement = connection
        .prepare_cached("SELECT id, live FROM generations WHERE projection = ?1 AND number = ?2")?;
    let parameters = (&generation.projection, generation.number as i64);
    let found = statement
        .query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.ok_or_else(|| Error::NoGeneration {
        generation: generation.clone(),
    })
}

/// Lists a projection's generations, oldest first.
pub(super) fn list(connection: &Connection, projection: &str) -> rusqlite::Result<Vec<Generation>> {
    let mut statement = connection.prepare_cached(LIST)?;
    let rows = statement.query_map([projection], |row| {
        let checkpoint = decode_checkpoint(row)?;
        let id = GenerationId {
            projection: projection.to_owned(),
            number: unsigned(row, 6)?,
        };
        let retired_at = row.get::<_, Option<i64>>(8)?.map(Time);
        Ok(Generation {
            id,
            applied: checkpoint.position,
            checkpoint,
            live: row.get(7)?,
            retired_at,
            parked: unsigned(row, 9)?,
        })
    })?;
    rows.collect()
}

/// Lists all projections that have a generation.
pub(super) fn projections(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection
        .prepare_cached("SELECT DISTINCT projection FROM generations ORDER BY projection")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Lists a generation's collections.
pub(super) fn collections(
    connection: &Connection,
    generation: &GenerationId,
) -> Result<Vec<String>, Error> {
    let (row, _) = row(connection, generation)?;
    let mut statement = connection
        .prepare_cached("SELECT name FROM collections WHERE generation = ?1 ORDER BY name")?;
    let names = statement.query_map([row], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// Reads a generation's checkpoint.
pub(super) fn checkpoint(
    connection: &Connection,
    generation: &GenerationId,
) -> Result<Checkpoint, Error> {
    let mut statement = connection.prepare_cached(CHECKPOINT)?;
    let parameters = (&generation.projection, generation.number as i64);
    let found = statement
        .query_row(parameters, decode_checkpoint)
        .optional()?;
    found.ok_or_else(|| Error::NoGeneration {
        generation: generation.clone(),
    })
}

/// Makes a process the one that may commit, and tells where the generation stands.
pub(super) fn take_over(
    transaction: Transaction<'_>,
    owner: Uuid,
    generation: &GenerationId,
) -> Result<Checkpoint, Error> {
    let (row, _) = row(&transaction, generation)?;
    let take = "UPDATE generations SET owner = ?2 WHERE id = ?1";
    transaction.execute(take, (row, owner.as_bytes()))?;
    let checkpoint = checkpoint(&transaction, generation)?;
    transaction.commit()?;
    Ok(checkpoint)
}

/// Makes a generation the live one; the former one is retired.
pub(super) fn switch(
    transaction: Transaction<'_>,
    owner: Uuid,
    generation: &GenerationId,
) -> Result<(), Error> {
    let (row, is_live) = row(&transaction, generation)?;
    let theirs = "SELECT owner IS NOT NULL AND owner <> ?2 FROM generations WHERE id = ?1";
    if transaction.query_row(theirs, (row, owner.as_bytes()), |row| row.get(0))? {
        return Err(Error::LostOwnership {
            generation: generation.clone(),
        });
    }
    if is_live {
        return Ok(());
    }
    let retire =
        "UPDATE generations SET live = 0, retired_at = ?2 WHERE projection = ?1 AND live = 1";
    transaction.execute(retire, (&generation.projection, Time::now().0))?;
    transaction.execute(
        "UPDATE generations SET live = 1, retired_at = NULL WHERE id = ?1",
        [row],
    )?;
    Ok(transaction.commit()?)
}

/// Deletes a generation with its documents. The file keeps their room for the next ones.
pub(super) fn drop(transaction: Transaction<'_>, generation: &GenerationId) -> Result<(), Error> {
    let row = match row(&transaction, generation) {
        Ok((_, true)) => {
            return Err(Error::Refused {
                reason: "a live generation is not dropped".into(),
            });
        }
        Ok((row, false)) => row,
        Err(Error::NoGeneration { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let tables: Vec<String> = transaction
        .prepare_cached("SELECT documents FROM collections WHERE generation = ?1")?
        .query_map([row], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for table in tables {
        transaction.execute_batch(&format!("DROP TABLE {table}"))?;
    }
    // Its collections and parked events go with it.
    transaction.execute("DELETE FROM generations WHERE id = ?1", [row])?;
    Ok(transaction.commit()?)
}

fn decode_checkpoint(row: &Row<'_>) -> rusqlite::Result<Checkpoint> {
    Ok(Checkpoint {
        store: StoreId(uuid(row, 0)?),
        plugin: digest(row, 1)?,
        position: Position(unsigned(row, 2)?),
        event_id: uuid(row, 3)?,
        sequence: unsigned(row, 4)?,
        deviates: row.get(5)?,
    })
}
