//! Plugin versions and which of them are active.

use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::super::{Error, StoredPlugin};
use super::address::Address;
use super::connections::Connections;
use super::value::{Stamp, digest, time};
use crate::message::Digest;

const INSTALL: &str = r#"INSERT INTO "{schema}".plugins (digest, name, version, aggregate, installed_at, bytes)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (digest) DO NOTHING"#;
const ACTIVATE: &str = r#"SELECT "{schema}".activate_plugin($1, $2)"#;
const ACTIVE: &str = r#"SELECT p.name, p.version, p.digest, p.aggregate, p.installed_at
    FROM "{schema}".active_plugins a JOIN "{schema}".plugins p USING (digest) ORDER BY p.name"#;
const INSTALLED: &str = r#"SELECT name, version, digest, aggregate, installed_at
    FROM "{schema}".plugins ORDER BY digest"#;
const FIND: &str = r#"SELECT name, version, digest, aggregate, installed_at
    FROM "{schema}".plugins WHERE digest = $1"#;
const BYTES: &str = r#"SELECT bytes FROM "{schema}".plugins WHERE digest = $1"#;

/// Keeps a plugin version.
pub(super) async fn install(
    (connections, address): (&Connections, &Address),
    plugin: &StoredPlugin,
    bytes: &[u8],
) -> Result<(), Error> {
    let statement = sqlx::query(address.sql(INSTALL))
        .bind(&plugin.digest.0[..])
        .bind(&plugin.name)
        .bind(&plugin.version)
        .bind(&plugin.aggregate)
        .bind(Stamp(plugin.installed_at))
        .bind(bytes);
    connections.rows(statement).await.map(|_| ())
}

/// Makes an installed version the active one of its name.
pub(super) async fn activate(
    (connections, address): (&Connections, &Address),
    name: &str,
    digest: Digest,
) -> Result<(), Error> {
    let statement = sqlx::query(address.sql(ACTIVATE))
        .bind(name)
        .bind(&digest.0[..]);
    let row = connections.row(statement).await?;
    let activated = row.map(|row| row.try_get::<bool, _>(0)).transpose()?;
    if activated == Some(true) {
        return Ok(());
    }
    Err(Error::Refused {
        reason: format!("no plugin {name} with digest {digest} is installed"),
    })
}

/// Lists the active version of each plugin.
pub(super) async fn active(
    (connections, address): (&Connections, &Address),
) -> Result<Vec<StoredPlugin>, Error> {
    let rows = connections.rows(sqlx::query(address.sql(ACTIVE))).await?;
    rows.iter().map(|row| Ok(decode(row)?)).collect()
}

/// Lists every installed version.
pub(super) async fn installed(
    (connections, address): (&Connections, &Address),
) -> Result<Vec<StoredPlugin>, Error> {
    let rows = connections
        .rows(sqlx::query(address.sql(INSTALLED)))
        .await?;
    rows.iter().map(|row| Ok(decode(row)?)).collect()
}

/// Finds an installed version.
pub(super) async fn find(
    (connections, address): (&Connections, &Address),
    digest: Digest,
) -> Result<Option<StoredPlugin>, Error> {
    let statement = sqlx::query(address.sql(FIND)).bind(&digest.0[..]);
    let row = connections.row(statement).await?;
    Ok(row.as_ref().map(decode).transpose()?)
}

/// Loads an installed version's bytes.
pub(super) async fn bytes(
    (connections, address): (&Connections, &Address),
    digest: Digest,
) -> Result<Option<Arc<[u8]>>, Error> {
    let statement = sqlx::query(address.sql(BYTES)).bind(&digest.0[..]);
    let Some(row) = connections.row(statement).await? else {
        return Ok(None);
    };
    let bytes: &[u8] = row.try_get(0)?;
    Ok(Some(bytes.into()))
}

fn decode(row: &PgRow) -> sqlx::Result<StoredPlugin> {
    Ok(StoredPlugin {
        name: row.try_get(0)?,
        version: row.try_get(1)?,
        digest: digest(row, 2)?,
        aggregate: row.try_get(3)?,
        installed_at: time(row, 4)?,
    })
}
