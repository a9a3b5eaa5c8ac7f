//! Events set aside.

use rusqlite::{Connection, Transaction, params};

use super::super::{Error, GenerationId, ParkedEvent};
use super::generations;
use crate::message::{Position, StreamId, Time};
use crate::sqlite::{signed, text, unsigned};

/// Parking an event again renews its error.
const PARK: &str = "INSERT INTO parked (generation, position, stream, full_type, error, parked_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (generation, position) DO UPDATE SET error = excluded.error, parked_at = excluded.parked_at";
const LIST: &str = "SELECT position, stream, full_type, error, parked_at
    FROM parked WHERE generation = ?1 AND position > ?2 ORDER BY position LIMIT ?3";

/// Sets events aside.
pub(super) fn park(
    transaction: &Transaction<'_>,
    generation: i64,
    events: &[ParkedEvent],
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(PARK)?;
    events.iter().try_for_each(|event| {
        let parameters = params![
            generation,
            signed(event.position.0),
            event.stream.as_str(),
            event.full_type,
            event.error,
            event.parked_at.0
        ];
        statement.execute(parameters).map(|_| ())
    })
}

/// Forgets that events were set aside.
pub(super) fn unpark(
    transaction: &Transaction<'_>,
    generation: i64,
    positions: &[Position],
) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare_cached("DELETE FROM parked WHERE generation = ?1 AND position = ?2")?;
    positions.iter().try_for_each(|position| {
        statement
            .execute((generation, signed(position.0)))
            .map(|_| ())
    })
}

/// Lists parked events in order of position.
pub(super) fn list(
    connection: &Connection,
    generation: &GenerationId,
    after: Position,
    limit: usize,
) -> Result<Vec<ParkedEvent>, Error> {
    let (generation, _) = generations::row(connection, generation)?;
    let mut statement = connection.prepare_cached(LIST)?;
    let rows = statement.query_map((generation, signed(after.0), signed(limit as u64)), |row| {
        Ok(ParkedEvent {
            position: Position(unsigned(row, 0)?),
            stream: StreamId::from_store(text(row, 1)?),
            full_type: row.get(2)?,
            error: row.get(3)?,
            parked_at: Time(row.get(4)?),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Lists the streams that have parked events.
pub(super) fn streams(
    connection: &Connection,
    generation: &GenerationId,
) -> Result<Vec<StreamId>, Error> {
    let (generation, _) = generations::row(connection, generation)?;
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT stream FROM parked WHERE generation = ?1 ORDER BY stream",
    )?;
    let rows = statement.query_map([generation], |row| Ok(StreamId::from_store(text(row, 0)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
