//! Giving a history away, taking one over, and being another store. Each step is one call of the schema's own functions.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::super::{CommandRecord, Cursor, Error, Import, RecordedCommand, StoredPlugin, Transfer};
use super::value::{Stamp, digest, signed, text, time, unsigned};
use super::{PostgresEventStore, plugins};
use crate::message::{
    CommandId, Digest, Json, Position, RecordedEvent, StoreId, StreamId, Version,
};

/// Walks the index of the primary key.
const COMMANDS: &str = r#"SELECT actor, command_id, stream, name, payload::text, hash, before_version,
    after_version, position, recorded_at
    FROM "{schema}".commands WHERE (actor, command_id) > ($1, $2) ORDER BY actor, command_id LIMIT $3"#;
const UNFINISHED: &str = r#"SELECT export FROM "{schema}".imports"#;
const BEGIN: &str = r#"SELECT "{schema}".begin_import($1, $2)"#;
const EVENTS: &str =
    r#"SELECT "{schema}".import_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"#;
const IMPORT_COMMANDS: &str =
    r#"SELECT "{schema}".import_commands($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"#;
const FINISH: &str = r#"SELECT "{schema}".finish_import($1)"#;
const REBASE: &str = r#"SELECT "{schema}".rebase($1)"#;

#[async_trait]
impl Transfer for PostgresEventStore {
    async fn read_commands(
        &self,
        after: Option<&CommandRecord>,
        limit: usize,
    ) -> Result<Vec<CommandRecord>, Error> {
        // No command has an empty id, so that these stand before the first one.
        let (actor, id) = match after {
            Some(command) => (&*command.actor, command.recorded.id.as_str()),
            None => ("", ""),
        };
        let statement = sqlx::query(self.address.sql(COMMANDS))
            .bind(actor)
            .bind(id)
            .bind(signed(limit as u64));
        let rows = self.reads.rows(statement).await?;
        rows.iter().map(decode).collect()
    }

    async fn installed_plugins(&self) -> Result<Vec<StoredPlugin>, Error> {
        plugins::installed(self.reader()).await
    }

    async fn unfinished_import(&self) -> Result<Option<Digest>, Error> {
        let statement = sqlx::query(self.address.sql(UNFINISHED));
        let row = self.reads.row(statement).await?;
        Ok(row.map(|row| digest(&row, 0)).transpose()?)
    }

    async fn begin_import(&self, id: StoreId, export: Digest) -> Result<Position, Error> {
        let statement = sqlx::query(self.address.sql(BEGIN))
            .bind(id.0)
            .bind(&export.0[..]);
        self.state.becoming(id);
        let row = self.appends.row(statement).await?;
        self.state.became(id);
        let head = row.map(|row| unsigned(&row, 0)).transpose()?;
        Ok(Position(head.unwrap_or_default()))
    }

    /// Events first: whoever finds a command finds its events.
    async fn import(&self, batch: Import) -> Result<(), Error> {
        if !batch.events.is_empty() {
            self.import_events(&batch.events).await?;
        }
        if !batch.commands.is_empty() {
            self.import_commands(&batch.commands).await?;
        }
        Ok(())
    }

    async fn finish_import(&self, active: &[Digest]) -> Result<(), Error> {
        let active: Vec<&[u8]> = active.iter().map(|digest| &digest.0[..]).collect();
        let statement = sqlx::query(self.address.sql(FINISH)).bind(active);
        self.appends.rows(statement).await?;
        self.state.plugin_activated();
        Ok(())
    }

    async fn rebase(&self) -> Result<StoreId, Error> {
        let id = StoreId(Uuid::now_v7());
        let statement = sqlx::query(self.address.sql(REBASE)).bind(id.0);
        self.state.becoming(id);
        self.appends.rows(statement).await?;
        self.state.became(id);
        Ok(id)
    }
}

impl PostgresEventStore {
    async fn import_events(&self, events: &[RecordedEvent]) -> Result<(), Error> {
        let statement = sqlx::query(self.address.sql(EVENTS))
            .bind(list(events, |it| signed(it.position.0)))
            .bind(list(events, |it| it.event_id))
            .bind(list(events, |it| it.stream.as_str()))
            .bind(list(events, |it| signed(it.version.0)))
            .bind(list(events, |it| &*it.event_type))
            .bind(list(events, |it| i64::from(it.schema_version)))
            .bind(list(events, |it| Stamp(it.time)))
            .bind(list(events, |it| &*it.correlation_id))
            .bind(list(events, |it| &*it.causation_id))
            .bind(list(events, |it| &*it.actor))
            .bind(list(events, |it| &it.plugin.0[..]))
            .bind(list(events, |it| it.metadata.as_str()))
            .bind(list(events, |it| it.data.as_str()));
        self.appends.rows(statement).await?;
        if let Some(last) = events.last() {
            self.state.appended(Cursor {
                position: last.position,
                event_id: last.event_id,
            });
        }
        Ok(())
    }

    async fn import_commands(&self, commands: &[CommandRecord]) -> Result<(), Error> {
        let statement = sqlx::query(self.address.sql(IMPORT_COMMANDS))
            .bind(list(commands, |it| &*it.actor))
            .bind(list(commands, |it| it.recorded.id.as_str()))
            .bind(list(commands, |it| it.recorded.stream.as_str()))
            .bind(list(commands, |it| &*it.name))
            .bind(list(commands, |it| it.payload.as_str()))
            .bind(list(commands, |it| &it.recorded.hash.0[..]))
            .bind(list(commands, |it| signed(it.recorded.before.0)))
            .bind(list(commands, |it| signed(it.recorded.after.0)))
            .bind(list(commands, |it| signed(it.recorded.position.0)))
            .bind(list(commands, |it| Stamp(it.time)));
        self.appends.rows(statement).await.map(|_| ())
    }
}

/// One value per row.
fn list<'r, R, T>(rows: &'r [R], of: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

fn decode(row: &PgRow) -> Result<CommandRecord, Error> {
    let id = CommandId::parse(text(row, 1)?).map_err(|error| Error::Damaged {
        reason: error.to_string(),
    })?;
    Ok(CommandRecord {
        actor: text(row, 0)?.into(),
        name: text(row, 3)?.into(),
        payload: Json::from_store(text(row, 4)?),
        time: time(row, 9)?,
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
