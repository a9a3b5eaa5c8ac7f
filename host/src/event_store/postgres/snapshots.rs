//! Saved aggregate states.

use super::super::{Error, Snapshot};
use super::address::Address;
use super::connections::Connections;
use super::value::{Stamp, signed, stream_head};
use crate::message::{Digest, StreamId};

/// A snapshot that comes late never replaces a newer one. Losing one loses nothing: no commit waits for the disk.
const SAVE: &str = r#"INSERT INTO "{schema}".snapshots AS kept
        (stream, plugin, version, event_id, recorded_at, position, bytes)
    SELECT $1, $2, $3, $4, $5, $6, $7 FROM set_config('synchronous_commit', 'off', true)
    ON CONFLICT (stream, plugin) DO UPDATE SET version = excluded.version, event_id = excluded.event_id,
        recorded_at = excluded.recorded_at, position = excluded.position, bytes = excluded.bytes
    WHERE excluded.version >= kept.version"#;
const LOAD: &str = r#"SELECT version, event_id, recorded_at, position, bytes
    FROM "{schema}".snapshots WHERE stream = $1 AND plugin = $2"#;

/// Saves a snapshot.
pub(super) async fn save(
    (connections, address): (&Connections, &Address),
    snapshot: &Snapshot,
) -> Result<(), Error> {
    let head = &snapshot.head;
    let statement = sqlx::query(address.sql(SAVE))
        .bind(snapshot.stream.as_str())
        .bind(&snapshot.plugin.0[..])
        .bind(signed(head.version.0))
        .bind(head.event_id)
        .bind(Stamp(head.time))
        .bind(signed(head.position.0))
        .bind(&snapshot.bytes);
    connections.rows(statement).await.map(|_| ())
}

/// Loads the newest snapshot of a stream by a plugin version.
pub(super) async fn load(
    (connections, address): (&Connections, &Address),
    stream: &StreamId,
    plugin: Digest,
) -> Result<Option<Snapshot>, Error> {
    use sqlx::Row as _;
    let statement = sqlx::query(address.sql(LOAD))
        .bind(stream.as_str())
        .bind(&plugin.0[..]);
    let Some(row) = connections.row(statement).await? else {
        return Ok(None);
    };
    Ok(Some(Snapshot {
        stream: stream.clone(),
        plugin,
        head: stream_head(&row, 0)?,
        bytes: row.try_get(4)?,
    }))
}
