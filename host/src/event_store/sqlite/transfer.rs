//! Giving a history away, taking one over, and being another store.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use uuid::Uuid;

use super::super::{CommandRecord, Error, Import, RecordedCommand, StoredPlugin, Transfer};
use super::{SqliteEventStore, append, plugins, read};
use crate::message::{
    CommandId, Digest, Json, Position, RecordedEvent, StoreId, StreamId, Time, Version,
};
use crate::sqlite::{Sync, digest, signed, text, unsigned};

/// Walks the index of (actor, command id).
const COMMANDS: &str = "SELECT actor, command_id, stream, name, payload, hash, before_version,
    after_version, position, recorded_at
    FROM commands WHERE (actor, command_id) > (?1, ?2) ORDER BY actor, command_id LIMIT ?3";
const IS_USED: &str = "SELECT EXISTS (SELECT 1 FROM events) OR EXISTS (SELECT 1 FROM commands)
    OR EXISTS (SELECT 1 FROM active_plugins)";

#[async_trait]
impl Transfer for SqliteEventStore {
    async fn read_commands(
        &self,
        after: Option<&CommandRecord>,
        limit: usize,
    ) -> Result<Vec<CommandRecord>, Error> {
        let after = after.map(|it| (Arc::clone(&it.actor), it.recorded.id.clone()));
        self.readers
            .read(move |reader| commands(reader, after, limit))
            .await
    }

    async fn installed_plugins(&self) -> Result<Vec<StoredPlugin>, Error> {
        self.readers
            .read(|reader| Ok(plugins::installed(reader)?))
            .await
    }

    async fn unfinished_import(&self) -> Result<Option<Digest>, Error> {
        self.readers.read(|reader| Ok(unfinished(reader)?)).await
    }

    async fn begin_import(&self, id: StoreId, export: Digest) -> Result<Position, Error> {
        let (known, epoch) = (Arc::clone(&self.id), Arc::clone(&self.epoch));
        self.database
            .write(move |writer| {
                let head = begin(writer.begin(Sync::Full)?, id, export)?;
                if known.send_replace(id) != id {
                    epoch.send_modify(|epoch| *epoch += 1);
                }
                Ok(head)
            })
            .await
    }

    async fn import(&self, batch: Import) -> Result<(), Error> {
        let head = Arc::clone(&self.head);
        self.database
            .write(move |writer| {
                let last = import(writer.begin(Sync::Full)?, &batch)?;
                head.send_if_modified(|head| std::mem::replace(head, last) != last);
                Ok(())
            })
            .await
    }

    async fn finish_import(&self, active: &[Digest]) -> Result<(), Error> {
        let (active, changed) = (active.to_vec(), Arc::clone(&self.plugins_changed));
        self.database
            .write(move |writer| {
                finish(writer.begin(Sync::Full)?, &active)?;
                changed.send_modify(|changes| *changes += 1);
                Ok(())
            })
            .await
    }

    async fn rebase(&self) -> Result<StoreId, Error> {
        let (known, epoch) = (Arc::clone(&self.id), Arc::clone(&self.epoch));
        self.database
            .write(move |writer| {
                let transaction = writer.begin(Sync::Full)?;
                refuse_unfinished(&transaction)?;
                let id = StoreId(Uuid::now_v7());
                become_another(&transaction, id)?;
                transaction.commit()?;
                known.send_replace(id);
                epoch.send_modify(|epoch| *epoch += 1);
                Ok(id)
            })
            .await
    }
}

/// Refuses what needs a whole history.
pub(super) fn refuse_unfinished(connection: &Connection) -> Result<(), Error> {
    match unfinished(connection)? {
        None => Ok(()),
        Some(_) => Err(Error::Unfinished),
    }
}

fn unfinished(connection: &Connection) -> rusqlite::Result<Option<Digest>> {
    let mut statement = connection.prepare_cached("SELECT export FROM imports")?;
    statement.query_row([], |row| digest(row, 0)).optional()
}

fn begin(transaction: Transaction<'_>, id: StoreId, export: Digest) -> Result<Position, Error> {
    match unfinished(&transaction)? {
        Some(begun) if begun == export => return Ok(read::head(&transaction)?),
        Some(_) => return Err(Error::Unfinished),
        None => {}
    }
    if transaction.query_row(IS_USED, [], |row| row.get(0))? {
        return Err(Error::NotEmpty);
    }
    become_another(&transaction, id)?;
    transaction.execute(
        "INSERT INTO imports (one, export) VALUES (1, ?1)",
        [export.0],
    )?;
    transaction.commit()?;
    Ok(Position::START)
}

/// What was noted about followers is about the store that this one was.
fn become_another(transaction: &Transaction<'_>, id: StoreId) -> rusqlite::Result<()> {
    transaction.execute("UPDATE store SET id = ?1", [id.0.as_bytes()])?;
    transaction.execute("DELETE FROM cursors", [])?;
    Ok(())
}

/// Returns the store's head after the batch.
fn import(transaction: Transaction<'_>, batch: &Import) -> Result<Position, Error> {
    if unfinished(&transaction)?.is_none() {
        return Err(Error::Refused {
            reason: "no import was begun".into(),
        });
    }
    insert_events(&transaction, &batch.events)?;
    insert_commands(&transaction, &batch.commands)?;
    let head = read::head(&transaction)?;
    transaction.commit()?;
    Ok(head)
}

fn insert_events(transaction: &Transaction<'_>, events: &[RecordedEvent]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(append::INSERT_EVENT)?;
    let mut types = HashSet::new();
    for event in events {
        insert.execute(params![
            signed(event.position.0),
            event.event_id.as_bytes(),
            event.stream.as_str(),
            signed(event.version.0),
            &*event.event_type,
            event.schema_version,
            event.time.0,
            &*event.correlation_id,
            &*event.causation_id,
            &*event.actor,
            event.plugin.0,
            event.metadata.as_str(),
            event.data.as_str(),
        ])?;
        types.insert((
            event.stream.category(),
            &*event.event_type,
            event.schema_version,
        ));
    }
    let mut insert = transaction.prepare_cached(append::INSERT_CENSUS)?;
    types
        .into_iter()
        .try_for_each(|seen| insert.execute(seen).map(|_| ()))
}

fn insert_commands(
    transaction: &Transaction<'_>,
    commands: &[CommandRecord],
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(append::INSERT_COMMAND)?;
    for command in commands {
        let recorded = &command.recorded;
        insert.execute(params![
            &*command.actor,
            recorded.id.as_str(),
            recorded.stream.as_str(),
            &*command.name,
            command.payload.as_str(),
            recorded.hash.0,
            signed(recorded.before.0),
            signed(recorded.after.0),
            signed(recorded.position.0),
            command.time.0,
        ])?;
    }
    Ok(())
}

fn finish(transaction: Transaction<'_>, active: &[Digest]) -> Result<(), Error> {
    for digest in active {
        let found = plugins::find(&transaction, *digest)?;
        let missing = || Error::Refused {
            reason: format!("no plugin with digest {digest} is installed"),
        };
        let plugin = found.ok_or_else(missing)?;
        plugins::set_active(&transaction, &plugin.name, *digest)?;
    }
    if transaction.execute("DELETE FROM imports", [])? == 0 {
        return Err(Error::Refused {
            reason: "no import was begun".into(),
        });
    }
    Ok(transaction.commit()?)
}

fn commands(
    connection: &Connection,
    after: Option<(Arc<str>, CommandId)>,
    limit: usize,
) -> Result<Vec<CommandRecord>, Error> {
    let mut statement = connection.prepare_cached(COMMANDS)?;
    // No command has an empty id, so that these stand before the first one.
    let (actor, id) = match &after {
        Some((actor, id)) => (&**actor, id.as_str()),
        None => ("", ""),
    };
    let mut rows = statement.query((actor, id, signed(limit as u64)))?;
    let mut commands = Vec::new();
    while let Some(row) = rows.next()? {
        commands.push(decode(row)?);
    }
    Ok(commands)
}

fn decode(row: &Row<'_>) -> Result<CommandRecord, Error> {
    let id = CommandId::parse(text(row, 1)?).map_err(|error| Error::Damaged {
        reason: error.to_string(),
    })?;
    Ok(CommandRecord {
        actor: text(row, 0)?.into(),
        name: text(row, 3)?.into(),
        payload: Json::from_store(text(row, 4)?),
        time: Time(row.get(9)?),
        recorded: RecordedCommand {
            stream: StreamId::from_store(text(row, 2)?),
            id,
            hash: digest(row, 5)?,
            before: Version(unsigned(row, 6)?),
            after: Version(unsigned(row, 7)?),
            position: Position(unsigned(row, 8)?),
        },
    })
}
