//! Moving a checkpoint together with what it stands for.

use std::collections::HashMap;

use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use rusqlite::{CachedStatement, Transaction, params_from_iter};
use uuid::Uuid;

use super::super::{Commit, Error, GenerationId, Write};
use super::documents::Layout;
use super::{generations, key, parked};
use crate::crash_point;
use crate::message::Json;
use crate::sqlite::signed;

/// Fails to find its row when someone else has moved the checkpoint, or has taken the generation over.
const MOVE: &str = "UPDATE generations SET sequence = sequence + 1, position = ?3, event_id = ?4, deviates = deviates OR ?5
    WHERE id = ?1 AND sequence = ?2 AND owner = ?6";

/// Moves the checkpoint and writes the documents, all or nothing.
pub(super) fn commit(
    transaction: Transaction<'_>,
    owner: Uuid,
    generation: &GenerationId,
    sequence: u64,
    commit: &Commit,
) -> Result<(), Error> {
    let (row, _) = generations::row(&transaction, generation)?;
    let to = (
        row,
        signed(sequence),
        signed(commit.position.0),
        commit.event_id.as_bytes(),
        commit.deviates,
        owner.as_bytes(),
    );
    if transaction.prepare_cached(MOVE)?.execute(to)? == 0 {
        return Err(Error::LostOwnership {
            generation: generation.clone(),
        });
    }
    let mut tables: HashMap<&str, Table<'_>> = HashMap::new();
    for write in &commit.writes {
        if !tables.contains_key(write.collection.as_str()) {
            tables.insert(
                &write.collection,
                Table::open(&transaction, generation, &write.collection)?,
            );
        }
        if let Some(table) = tables.get_mut(write.collection.as_str()) {
            table.write(write)?;
        }
    }
    drop(tables);
    parked::unpark(&transaction, row, &commit.unpark)?;
    parked::park(&transaction, row, &commit.park)?;
    crash_point::reached("commit/written");
    Ok(transaction.commit()?)
}

/// A collection's table under a commit.
struct Table<'a> {
    layout: Layout,
    put: CachedStatement<'a>,
    delete: CachedStatement<'a>,
}

impl<'a> Table<'a> {
    fn open(
        transaction: &'a Transaction<'a>,
        generation: &GenerationId,
        collection: &str,
    ) -> Result<Self, Error> {
        let layout = Layout::find(transaction, generation, collection)?;
        let table = &layout.table;
        let keys = 0..layout.keys.len();
        let columns: String = keys.clone().map(|at| format!(", key_{at}")).collect();
        let values: String = keys.clone().map(|at| format!(", ?{}", at + 3)).collect();
        let updates: String = keys
            .map(|at| format!(", key_{at} = excluded.key_{at}"))
            .collect();
        let put = format!(
            "INSERT INTO {table} (id, document{columns}) VALUES (?1, ?2{values})
             ON CONFLICT (id) DO UPDATE SET document = excluded.document{updates}"
        );
        let put = transaction.prepare_cached(&put)?;
        let delete = transaction.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?;
        Ok(Self {
            layout,
            put,
            delete,
        })
    }

    fn write(&mut self, write: &Write) -> Result<(), Error> {
        let Some(document) = &write.document else {
            self.delete.execute([&write.id])?;
            return Ok(());
        };
        let keys = self.keys(write, document)?;
        let text = |text| ToSqlOutput::Borrowed(ValueRef::Text(str::as_bytes(text)));
        let row = [text(&write.id), text(document.as_str())];
        self.put.execute(params_from_iter(
            row.into_iter()
                .chain(keys.into_iter().map(ToSqlOutput::Owned)),
        ))?;
        Ok(())
    }

    /// Encodes what the document has under the indexed paths.
    fn keys(&self, write: &Write, document: &Json) -> Result<Vec<Sql>, Error> {
        if self.layout.keys.is_empty() {
            return Ok(Vec::new());
        }
        let value = document.to_value();
        let keys = self.layout.keys.iter().map(|path| {
            path.scalar(&value).map(key::encode).ok_or_else(|| {
                let (collection, id) = (&write.collection, &write.id);
                let reason = format!(
                    "document {id:?} of {collection:?}: the indexed field {path} must hold a scalar"
                );
                Error::Refused { reason }
            })
        });
        keys.collect()
    }
}
