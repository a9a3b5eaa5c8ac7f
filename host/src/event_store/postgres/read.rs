//! Reading what was recorded.

use std::sync::Arc;

use sqlx::postgres::PgRow;

use super::super::shared::Shared;
use super::super::{CensusEntry, Cursor, Error, RecordedCommand};
use super::address::Address;
use super::connections::Connections;
use super::value::{self, digest, signed, text, time, unsigned, uuid};
use crate::message::{CommandId, Json, Position, RecordedEvent, StreamHead, StreamId, Version};

const STREAM_EVENTS: &str = r#"SELECT position, event_id, stream, version, type, schema_version, recorded_at,
    correlation_id, causation_id, actor, plugin, metadata::text, data::text
    FROM "{schema}".events WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3"#;
const ALL_EVENTS: &str = r#"SELECT position, event_id, stream, version, type, schema_version, recorded_at,
    correlation_id, causation_id, actor, plugin, metadata::text, data::text
    FROM "{schema}".events WHERE position > $1 ORDER BY position LIMIT $2"#;
const STREAM_HEAD: &str = r#"SELECT version, event_id, recorded_at, position
    FROM "{schema}".events WHERE stream = $1 ORDER BY version DESC LIMIT 1"#;
const COMMAND: &str = r#"SELECT stream, hash, before_version, after_version, position
    FROM "{schema}".commands WHERE actor = $1 AND command_id = $2"#;
const CENSUS: &str =
    r#"SELECT category, type, schema_version FROM "{schema}".census ORDER BY 1, 2, 3"#;
/// A stream's id begins with its category and a dash, and `.` follows the dash in ASCII. Looks at the newest events of the
/// category only, so that a long history costs no more than a short one.
const SAMPLE: &str = r#"SELECT stream FROM (
        SELECT stream, position FROM "{schema}".events WHERE stream >= $1 || '-' AND stream < $1 || '.'
        ORDER BY position DESC LIMIT 100000
    ) newest GROUP BY stream ORDER BY max(position) DESC LIMIT $2"#;
const LOAD_CURSOR: &str =
    r#"SELECT position, event_id FROM "{schema}".cursors WHERE follower = $1"#;
/// A cursor that goes back costs its follower a repetition, which it has to bear anyway: no commit waits for the disk.
const SAVE_CURSOR: &str = r#"INSERT INTO "{schema}".cursors (follower, position, event_id)
    SELECT $1, $2, $3 FROM set_config('synchronous_commit', 'off', true)
    ON CONFLICT (follower) DO UPDATE SET position = excluded.position, event_id = excluded.event_id"#;

/// Reads events of one stream behind a version.
pub(super) async fn stream(
    (connections, address): (&Connections, &Address),
    stream: &StreamId,
    after: Version,
    limit: usize,
) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let statement = sqlx::query(address.sql(STREAM_EVENTS))
        .bind(stream.as_str())
        .bind(signed(after.0))
        .bind(signed(limit as u64));
    decode_all(&connections.rows(statement).await?, Some(stream))
}

/// Reads events of all streams behind a position.
pub(super) async fn all(
    (connections, address): (&Connections, &Address),
    after: Position,
    limit: usize,
) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let statement = sqlx::query(address.sql(ALL_EVENTS))
        .bind(signed(after.0))
        .bind(signed(limit as u64));
    decode_all(&connections.rows(statement).await?, None)
}

/// Returns the head of one stream.
pub(super) async fn stream_head(
    (connections, address): (&Connections, &Address),
    stream: &StreamId,
) -> Result<StreamHead, Error> {
    let statement = sqlx::query(address.sql(STREAM_HEAD)).bind(stream.as_str());
    match connections.row(statement).await? {
        Some(row) => Ok(value::stream_head(&row, 0)?),
        None => Ok(StreamHead::default()),
    }
}

/// Finds a recorded command.
pub(super) async fn command(
    (connections, address): (&Connections, &Address),
    actor: &str,
    id: &CommandId,
) -> Result<Option<RecordedCommand>, Error> {
    let statement = sqlx::query(address.sql(COMMAND))
        .bind(actor)
        .bind(id.as_str());
    let Some(row) = connections.row(statement).await? else {
        return Ok(None);
    };
    Ok(Some(RecordedCommand {
        stream: StreamId::from_store(text(&row, 0)?),
        id: id.clone(),
        hash: digest(&row, 1)?,
        before: Version(unsigned(&row, 2)?),
        after: Version(unsigned(&row, 3)?),
        position: Position(unsigned(&row, 4)?),
    }))
}

/// Lists which event types and schema versions occur.
pub(super) async fn census(
    (connections, address): (&Connections, &Address),
) -> Result<Vec<CensusEntry>, Error> {
    let rows = connections.rows(sqlx::query(address.sql(CENSUS))).await?;
    rows.iter()
        .map(|row| {
            Ok(CensusEntry {
                full_type: format!("{}.{}", text(row, 0)?, text(row, 1)?),
                schema_version: schema_version(row, 2)?,
            })
        })
        .collect()
}

/// Lists the most recently written streams of a category.
pub(super) async fn sample_streams(
    (connections, address): (&Connections, &Address),
    category: &str,
    limit: usize,
) -> Result<Vec<StreamId>, Error> {
    let statement = sqlx::query(address.sql(SAMPLE))
        .bind(category)
        .bind(signed(limit as u64));
    let rows = connections.rows(statement).await?;
    rows.iter()
        .map(|row| Ok(StreamId::from_store(text(row, 0)?)))
        .collect()
}

/// Loads how far a follower has come.
pub(super) async fn load_cursor(
    (connections, address): (&Connections, &Address),
    follower: &str,
) -> Result<Option<Cursor>, Error> {
    let statement = sqlx::query(address.sql(LOAD_CURSOR)).bind(follower);
    let Some(row) = connections.row(statement).await? else {
        return Ok(None);
    };
    Ok(Some(Cursor {
        position: Position(unsigned(&row, 0)?),
        event_id: uuid(&row, 1)?,
    }))
}

/// Saves how far a follower has come.
pub(super) async fn save_cursor(
    (connections, address): (&Connections, &Address),
    follower: &str,
    cursor: Cursor,
) -> Result<(), Error> {
    let statement = sqlx::query(address.sql(SAVE_CURSOR))
        .bind(follower)
        .bind(signed(cursor.position.0))
        .bind(cursor.event_id);
    connections.rows(statement).await.map(|_| ())
}

fn decode_all(rows: &[PgRow], stream: Option<&StreamId>) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let mut shared = Shared::new(stream);
    rows.iter()
        .map(|row| Ok(Arc::new(decode(row, &mut shared)?)))
        .collect()
}

fn decode(row: &PgRow, shared: &mut Shared) -> sqlx::Result<RecordedEvent> {
    let causation = text(row, 8)?;
    let causation_id: Arc<str> = causation.into();
    let correlation = text(row, 7)?;
    let correlation_id = if correlation == causation {
        Arc::clone(&causation_id)
    } else {
        correlation.into()
    };
    Ok(RecordedEvent {
        position: Position(unsigned(row, 0)?),
        event_id: uuid(row, 1)?,
        stream: shared.stream(text(row, 2)?),
        version: Version(unsigned(row, 3)?),
        event_type: shared.text(text(row, 4)?),
        schema_version: schema_version(row, 5)?,
        time: time(row, 6)?,
        correlation_id,
        causation_id,
        actor: shared.text(text(row, 9)?),
        plugin: digest(row, 10)?,
        metadata: shared.metadata(text(row, 11)?),
        data: Json::from_store(text(row, 12)?),
    })
}

fn schema_version(row: &PgRow, column: usize) -> sqlx::Result<u32> {
    u32::try_from(unsigned(row, column)?).map_err(|error| sqlx::Error::ColumnDecode {
        index: column.to_string(),
        source: Box::new(error),
    })
}
