//! Numbered, append-only migrations, recorded in a table of the schema itself.
//!
//! A host that finds the newest schema changes nothing and takes no lock. One that does not takes a lock first, so that of
//! several hosts that start at once one migrates and the others find it done. All of it is one transaction.

use sqlx::postgres::PgRow;
use sqlx::{Acquire as _, AssertSqlSafe, PgConnection, Row as _};

use super::super::Error;
use super::address::Address;
use super::ownership::key;

/// One step of the schema, never changed once it is released. Its number is its place in the list, from 1.
struct Migration {
    /// What it is called in the ledger.
    name: &'static str,
    /// Any number of statements.
    sql: &'static str,
}

const MIGRATIONS: [Migration; 2] = [
    Migration {
        name: "initial",
        sql: include_str!("../../../migrations/postgres/event_store/0001_initial.sql"),
    },
    Migration {
        name: "transfer",
        sql: include_str!("../../../migrations/postgres/event_store/0002_transfer.sql"),
    },
];
/// The oldest server whose behaviour we know.
const OLDEST_SERVER: u32 = 150_000;
/// Whether there is a schema, whether it holds a ledger, and whether it holds anything at all.
const SURVEY: &str = r"SELECT
    EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '{schema}'),
    EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE nspname = '{schema}' AND relname = 'event_store_migrations'),
    EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE nspname = '{schema}')";
const CREATE_LEDGER: &str = r#"CREATE TABLE "{schema}".event_store_migrations
    (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"#;
const NEWEST: &str = r#"SELECT coalesce(max(version), 0) FROM "{schema}".event_store_migrations"#;
const RECORD: &str =
    r#"INSERT INTO "{schema}".event_store_migrations (version, name) VALUES ($1, $2)"#;

/// Tells whether the schema is up to date, or says why this host cannot use it.
pub(super) async fn is_current(
    connection: &mut PgConnection,
    address: &Address,
) -> Result<bool, Error> {
    if let Some(version) = connection.server_version_num()
        && version < OLDEST_SERVER
    {
        let reason = format!(
            "the server is PostgreSQL {}, at least 15 is needed",
            version / 10_000
        );
        return Err(address.cannot_open(&reason));
    }
    let survey = survey(connection, address)
        .await
        .map_err(|error| address.opening(error))?;
    let known = MIGRATIONS.len() as u32;
    Ok(survey.has_ledger && found(connection, address, known).await? == known)
}

/// Brings the schema up to date, or waits until another host has done it.
pub(super) async fn migrate(connection: &mut PgConnection, address: &Address) -> Result<(), Error> {
    let broken = |error| address.opening(error);
    let mut transaction = connection.begin().await.map_err(broken)?;
    lock(&mut transaction, address).await.map_err(broken)?;
    apply(&mut transaction, address).await?;
    transaction.commit().await.map_err(broken)
}

struct Survey {
    has_schema: bool,
    has_ledger: bool,
    holds_anything: bool,
}

async fn survey(connection: &mut PgConnection, address: &Address) -> sqlx::Result<Survey> {
    let row: PgRow = sqlx::query(address.sql(SURVEY))
        .fetch_one(connection)
        .await?;
    Ok(Survey {
        has_schema: row.try_get(0)?,
        has_ledger: row.try_get(1)?,
        holds_anything: row.try_get(2)?,
    })
}

async fn lock(connection: &mut PgConnection, address: &Address) -> sqlx::Result<()> {
    // Another host may be migrating for longer than a statement may take otherwise.
    sqlx::raw_sql("SET LOCAL statement_timeout = '5min'")
        .execute(&mut *connection)
        .await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(key(address.schema(), "migrations"))
        .execute(connection)
        .await
        .map(|_| ())
}

/// Returns the number of the last migration, unless this host does not know it.
async fn found(connection: &mut PgConnection, address: &Address, known: u32) -> Result<u32, Error> {
    let row = sqlx::query(address.sql(NEWEST))
        .fetch_one(connection)
        .await
        .map_err(|error| address.opening(error))?;
    let found = row.try_get::<i32, _>(0)?.unsigned_abs();
    if found > known {
        return Err(Error::TooNew { found, known });
    }
    Ok(found)
}

/// Applies what is missing; the survey is made again, now under the lock.
async fn apply(connection: &mut PgConnection, address: &Address) -> Result<(), Error> {
    let broken = |error| address.opening(error);
    let survey = survey(connection, address).await.map_err(broken)?;
    if !survey.has_ledger && survey.holds_anything {
        let reason = format!("the schema {} belongs to another program", address.schema());
        return Err(address.cannot_open(&reason));
    }
    if !survey.has_ledger {
        let ledger = create_ledger(connection, address, survey.has_schema);
        ledger.await.map_err(broken)?;
    }
    let found = found(connection, address, MIGRATIONS.len() as u32).await?;
    let missing = apply_behind(connection, address, found);
    missing.await.map_err(broken)
}

async fn create_ledger(
    connection: &mut PgConnection,
    address: &Address,
    has_schema: bool,
) -> sqlx::Result<()> {
    if !has_schema {
        run(connection, address.sql(r#"CREATE SCHEMA "{schema}""#)).await?;
    }
    run(connection, address.sql(CREATE_LEDGER)).await
}

async fn apply_behind(
    connection: &mut PgConnection,
    address: &Address,
    found: u32,
) -> sqlx::Result<()> {
    let path = address.sql(r#"SET LOCAL search_path = "{schema}", pg_temp"#);
    run(connection, path).await?;
    for (version, migration) in (1..).zip(&MIGRATIONS).skip(found as usize) {
        run(connection, address.sql(migration.sql)).await?;
        sqlx::query(address.sql(RECORD))
            .bind(version)
            .bind(migration.name)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn run(connection: &mut PgConnection, sql: AssertSqlSafe<String>) -> sqlx::Result<()> {
    sqlx::raw_sql(sql).execute(connection).await.map(|_| ())
}
