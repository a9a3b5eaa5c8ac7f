//! Plugin versions and which of them are active.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::super::{Error, StoredPlugin};
use super::transfer;
use crate::message::{Digest, Time};
use crate::sqlite::digest;

const INSTALL: &str = "INSERT INTO plugins (digest, name, version, aggregate, installed_at, bytes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (digest) DO NOTHING";
const ACTIVATE: &str = "INSERT INTO active_plugins (name, digest, aggregate, activated_at)
    SELECT name, digest, aggregate, ?3 FROM plugins WHERE name = ?1 AND digest = ?2
    ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, aggregate = excluded.aggregate,
        activated_at = excluded.activated_at";
const ACTIVE: &str = "SELECT plugins.name, version, plugins.digest, plugins.aggregate, installed_at
    FROM active_plugins JOIN plugins USING (digest) ORDER BY plugins.name";
const INSTALLED: &str =
    "SELECT name, version, digest, aggregate, installed_at FROM plugins ORDER BY digest";
const FIND: &str =
    "SELECT name, version, digest, aggregate, installed_at FROM plugins WHERE digest = ?1";

/// Keeps a plugin version.
pub(super) fn install(
    transaction: Transaction<'_>,
    plugin: &StoredPlugin,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    transaction.prepare_cached(INSTALL)?.execute(params![
        plugin.digest.0,
        plugin.name,
        plugin.version,
        plugin.aggregate,
        plugin.installed_at.0,
        bytes,
    ])?;
    transaction.commit()
}

/// Makes an installed version the active one of its name.
pub(super) fn activate(
    transaction: Transaction<'_>,
    name: &str,
    digest: Digest,
) -> Result<(), Error> {
    transfer::refuse_unfinished(&transaction)?;
    if !set_active(&transaction, name, digest)? {
        return Err(Error::Refused {
            reason: format!("no plugin {name} with digest {digest} is installed"),
        });
    }
    Ok(transaction.commit()?)
}

/// Notes the active version of a name; false when it is not installed.
pub(super) fn set_active(
    connection: &Connection,
    name: &str,
    digest: Digest,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(ACTIVATE)?;
    Ok(statement.execute((name, digest.0, Time::now().0))? == 1)
}

/// Returns the active plugin version that decides for a category, if there is one.
pub(super) fn active_for(
    connection: &Connection,
    category: &str,
) -> rusqlite::Result<Option<Digest>> {
    let mut statement =
        connection.prepare_cached("SELECT digest FROM active_plugins WHERE aggregate = ?1")?;
    statement
        .query_row([category], |row| digest(row, 0))
        .optional()
}

/// Lists the active version of each plugin.
pub(super) fn active(connection: &Connection) -> rusqlite::Result<Vec<StoredPlugin>> {
    connection
        .prepare_cached(ACTIVE)?
        .query_map([], decode)?
        .collect()
}

/// Lists every installed version.
pub(super) fn installed(connection: &Connection) -> rusqlite::Result<Vec<StoredPlugin>> {
    connection
        .prepare_cached(INSTALLED)?
        .query_map([], decode)?
        .collect()
}

/// Finds an installed version.
pub(super) fn find(
    connection: &Connection,
    digest: Digest,
) -> rusqlite::Result<Option<StoredPlugin>> {
    connection
        .prepare_cached(FIND)?
        .query_row([digest.0], decode)
        .optional()
}

/// Loads an installed version's bytes.
pub(super) fn bytes(
    connection: &Connection,
    digest: Digest,
) -> rusqlite::Result<Option<Arc<[u8]>>> {
    let mut statement = connection.prepare_cached("SELECT bytes FROM plugins WHERE digest = ?1")?;
    statement
        .query_row([digest.0], |row| Ok(row.get::<_, Vec<u8>>(0)?.into()))
        .optional()
}

fn decode(row: &Row<'_>) -> rusqlite::Result<StoredPlugin> {
    Ok(StoredPlugin {
        name: row.get(0)?,
        version: row.get(1)?,
        digest: digest(row, 2)?,
        aggregate: row.get(3)?,
        installed_at: Time(row.get(4)?),
    })
}
