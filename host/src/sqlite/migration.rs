//! Numbered, append-only migrations, recorded in a table of the database itself.

use std::fmt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use crate::message::Time;

/// One step of a schema, never changed once it is released. Its number is its place in the list, from 1.
pub(crate) struct Migration {
    /// What it is called in the ledger.
    pub(crate) name: &'static str,
    /// Any number of statements.
    pub(crate) sql: &'static str,
}

/// Why a database cannot be used.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// It cannot be opened.
    Broken {
        /// Which file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A newer host has written it.
    TooNew {
        /// Its schema.
        found: u32,
        /// The newest schema that this host knows.
        known: u32,
    },
}

impl OpenError {
    /// Names the file and what is wrong with it.
    pub(super) fn new(path: &Path, reason: impl fmt::Display) -> Self {
        Self::Broken {
            path: path.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

/// Brings a database to the newest schema in one transaction, so that a crash leaves either the old one or the new.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    ledger: &str,
    migrations: &[Migration],
) -> Result<(), OpenError> {
    let broken = |error: rusqlite::Error| OpenError::new(path, error);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(broken)?;
    if !has_ledger(&transaction, ledger).map_err(broken)? {
        if holds_tables(&transaction).map_err(broken)? {
            return Err(OpenError::new(
                path,
                "the database belongs to another program",
            ));
        }
        let columns =
            "version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL";
        transaction
            .execute_batch(&format!("CREATE TABLE {ledger} ({columns}) STRICT"))
            .map_err(broken)?;
    }
    let newest = format!("SELECT coalesce(max(version), 0) FROM {ledger}");
    let found: u32 = transaction
        .query_row(&newest, [], |row| row.get(0))
        .map_err(broken)?;
    let known = migrations.len() as u32;
    if found > known {
        return Err(OpenError::TooNew { found, known });
    }
    for (version, migration) in (1_u32..).zip(migrations).skip(found as usize) {
        apply(&transaction, ledger, version, migration).map_err(|error| {
            OpenError::new(path, format_args!("migration {}: {error}", migration.name))
        })?;
    }
    transaction.commit().map_err(broken)
}

fn apply(
    transaction: &Transaction<'_>,
    ledger: &str,
    version: u32,
    migration: &Migration,
) -> rusqlite::Result<()> {
    transaction.execute_batch(migration.sql)?;
    let record = format!("INSERT INTO {ledger} (version, name, applied_at) VALUES (?1, ?2, ?3)");
    transaction
        .execute(&record, (version, migration.name, Time::now().0))
        .map(|_| ())
}

fn has_ledger(connection: &Connection, ledger: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    connection
        .query_row(sql, [ledger], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}

fn holds_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) > 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration {
        name: "one",
        sql: "CREATE TABLE a (x)",
    };
    const TWO: Migration = Migration {
        name: "two",
        sql: "CREATE TABLE b (x); INSERT INTO b VALUES (1)",
    };
    const WRONG: Migration = Migration {
        name: "wrong",
        sql: "CREATE TABLE c (x); CREATE TABLE a (x)",
    };

    fn run(connection: &mut Connection, migrations: &[Migration]) -> Result<(), OpenError> {
        migrate(connection, Path::new("x.db"), "ledger", migrations)
    }

    #[test]
    fn only_the_missing_migrations_are_applied() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, &[ONE]).unwrap();
        run(&mut connection, &[ONE, TWO]).unwrap();
        run(&mut connection, &[ONE, TWO]).unwrap();
        let rows: u32 = connection
            .query_row("SELECT count(*) FROM b", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, &[ONE, TWO]).unwrap();
        assert!(matches!(
            run(&mut connection, &[ONE]),
            Err(OpenError::TooNew { found: 2, known: 1 })
        ));
    }

    #[test]
    fn a_failing_migration_leaves_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, &[ONE]).unwrap();
        let error = run(&mut connection, &[ONE, WRONG]).unwrap_err();
        assert!(
            matches!(error, OpenError::Broken { reason, .. } if reason.contains("migration wrong"))
        );
        assert!(!has_ledger(&connection, "c").unwrap());
        run(&mut connection, &[ONE, TWO]).unwrap();
    }

    #[test]
    fn another_programs_database_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
        let error = run(&mut connection, &[ONE]).unwrap_err();
        assert!(
            matches!(error, OpenError::Broken { reason, .. } if reason.contains("another program"))
        );
    }
}
