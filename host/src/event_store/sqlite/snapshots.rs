//! Saved aggregate states.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::super::Snapshot;
use crate::message::{Digest, Position, StreamHead, StreamId, Time, Version};
use crate::sqlite::{unsigned, uuid};

/// A snapshot that comes late never replaces a newer one.
const SAVE: &str = "INSERT INTO snapshots (stream, plugin, version, event_id, recorded_at, position, bytes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (stream, plugin) DO UPDATE SET version = excluded.version, event_id = excluded.event_id,
        recorded_at = excluded.recorded_at, position = excluded.position, bytes = excluded.bytes
    WHERE excluded.version >= version";
const LOAD: &str = "SELECT version, event_id, recorded_at, position, bytes
    FROM snapshots WHERE stream = ?1 AND plugin = ?2";

/// Saves a snapshot.
pub(super) fn save(transaction: Transaction<'_>, snapshot: &Snapshot) -> rusqlite::Result<()> {
    transaction.prepare_cached(SAVE)?.execute(params![
        snapshot.stream.as_str(),
        snapshot.plugin.0,
        snapshot.head.version.0 as i64,
        snapshot.head.event_id.as_bytes(),
        snapshot.head.time.0,
        snapshot.head.position.0 as i64,
        snapshot.bytes,
    ])?;
    transaction.commit()
}

/// Loads the newest snapshot of a stream by a plugin version.
pub(super) fn load(
    connection: &Connection,
    stream: StreamId,
    plugin: Digest,
) -> rusqlite::Result<Option<Snapshot>> {
    let mut statement = connection.prepare_cached(LOAD)?;
    let found = statement.query_row((stream.as_str(), plugin.0), |row| {
        let head = StreamHead {
            version: Version(unsigned(row, 0)?),
            event_id: uuid(row, 1)?,
            time: Time(row.get(2)?),
            position: Position(unsigned(row, 3)?),
        };
        Ok((head, row.get(4)?))
    });
    Ok(found.optional()?.map(|(head, bytes)| Snapshot {
        stream,
        plugin,
        head,
        bytes,
    }))
}
