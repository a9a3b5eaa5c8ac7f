//! Reading what was recorded.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::super::shared::Shared;
use super::super::{CensusEntry, Cursor, Error, RecordedCommand};
use crate::message::{
    CommandId, Json, Position, RecordedEvent, StreamHead, StreamId, Time, Version,
};
use crate::sqlite::{digest, signed, text, unsigned, uuid};

/// Uses the index of (stream, version) and nothing else.
pub(super) const STREAM_EVENTS: &str =
    "SELECT position, event_id, stream, version, type, schema_version, recorded_at,
    correlation_id, causation_id, actor, plugin, metadata, data
    FROM events WHERE stream = ?1 AND version > ?2 ORDER BY version LIMIT ?3";
/// Walks the table itself.
pub(super) const ALL_EVENTS: &str =
    "SELECT position, event_id, stream, version, type, schema_version, recorded_at,
    correlation_id, causation_id, actor, plugin, metadata, data
    FROM events WHERE position > ?1 ORDER BY position LIMIT ?2";
/// One step in the index of (stream, version).
pub(super) const STREAM_HEAD: &str = "SELECT version, event_id, recorded_at, position
    FROM events WHERE stream = ?1 ORDER BY version DESC LIMIT 1";
const COMMAND: &str = "SELECT stream, hash, before_version, after_version, position
    FROM commands WHERE actor = ?1 AND command_id = ?2";
/// A stream's id begins with its category and a dash, and `.` follows the dash in ASCII. Answered from the index alone.
pub(super) const SAMPLE: &str =
    "SELECT stream FROM events WHERE stream >= ?1 || '-' AND stream < ?1 || '.'
    GROUP BY stream ORDER BY max(position) DESC LIMIT ?2";

/// Returns the position of the last event.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Position> {
    let mut statement =
        connection.prepare_cached("SELECT coalesce(max(position), 0) FROM events")?;
    statement.query_row([], |row| Ok(Position(unsigned(row, 0)?)))
}

/// Returns the head of one stream.
pub(super) fn stream_head(
    connection: &Connection,
    stream: &StreamId,
) -> rusqlite::Result<StreamHead> {
    let mut statement = connection.prepare_cached(STREAM_HEAD)?;
    let head = statement.query_row([stream.as_str()], |row| {
        Ok(StreamHead {
            version: Version(unsigned(row, 0)?),
            event_id: uuid(row, 1)?,
            time: Time(row.get(2)?),
            position: Position(unsigned(row, 3)?),
        })
    });
    Ok(head.optional()?.unwrap_or_default())
}

/// Reads events of one stream behind a version.
pub(super) fn stream(
    connection: &Connection,
    stream: &StreamId,
    after: Version,
    limit: usize,
) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let mut statement = connection.prepare_cached(STREAM_EVENTS)?;
    let rows = statement.query((stream.as_str(), signed(after.0), signed(limit as u64)))?;
    decode_all(rows, Some(stream))
}

/// Reads events of all streams behind a position.
pub(super) fn all(
    connection: &Connection,
    after: Position,
    limit: usize,
) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let mut statement = connection.prepare_cached(ALL_EVENTS)?;
    let rows = statement.query((signed(after.0), signed(limit as u64)))?;
    decode_all(rows, None)
}

/// Finds a recorded command.
pub(super) fn command(
    connection: &Connection,
    actor: &str,
    id: &CommandId,
) -> rusqlite::Result<Option<RecordedCommand>> {
    let mut statement = connection.prepare_cached(COMMAND)?;
    let found = statement.query_row((actor, id.as_str()), |row| {
        Ok(RecordedCommand {
            stream: StreamId::from_store(text(row, 0)?),
            id: id.clone(),
            hash: digest(row, 1)?,
            before: Version(unsigned(row, 2)?),
            after: Version(unsigned(row, 3)?),
            position: Position(unsigned(row, 4)?),
        })
    });
    found.optional()
}

/// Loads how far a follower has come.
pub(super) fn cursor(connection: &Connection, follower: &str) -> rusqlite::Result<Option<Cursor>> {
    let mut statement =
        connection.prepare_cached("SELECT position, event_id FROM cursors WHERE follower = ?1")?;
    let found = statement.query_row([follower], |row| {
        Ok(Cursor {
            position: Position(unsigned(row, 0)?),
            event_id: uuid(row, 1)?,
        })
    });
    found.optional()
}

/// Lists which event types and schema versions occur.
pub(super) fn census(connection: &Connection) -> rusqlite::Result<Vec<CensusEntry>> {
    let mut statement = connection
        .prepare_cached("SELECT category, type, schema_version FROM census ORDER BY 1, 2, 3")?;
    let rows = statement.query_map([], |row| {
        let full_type = format!("{}.{}", text(row, 0)?, text(row, 1)?);
        Ok(CensusEntry {
            full_type,
            schema_version: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// Lists the most recently written streams of a category.
pub(super) fn sample_streams(
    connection: &Connection,
    category: &str,
    limit: usize,
) -> rusqlite::Result<Vec<StreamId>> {
    let mut statement = connection.prepare_cached(SAMPLE)?;
    let rows = statement.query_map((category, signed(limit as u64)), |row| {
        Ok(StreamId::from_store(text(row, 0)?))
    })?;
    rows.collect()
}

fn decode_all(
    mut rows: rusqlite::Rows<'_>,
    stream: Option<&StreamId>,
) -> Result<Vec<Arc<RecordedEvent>>, Error> {
    let mut shared = Shared::new(stream);
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(Arc::new(decode(row, &mut shared)?));
    }
    Ok(events)
}

fn decode(row: &Row<'_>, shared: &mut Shared) -> rusqlite::Result<RecordedEvent> {
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
        schema_version: row.get(5)?,
        time: Time(row.get(6)?),
        correlation_id,
        causation_id,
        actor: shared.text(text(row, 9)?),
        plugin: digest(row, 10)?,
        metadata: shared.metadata(text(row, 11)?),
        data: Json::from_store(text(row, 12)?),
    })
}
