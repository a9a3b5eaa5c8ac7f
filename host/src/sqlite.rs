//! What both SQLite adapters stand on: one file in a folder, one writer, a few readers, migrations.
//!
//! The file is in WAL mode, so that readers and the writer never wait for each other. Calls run on blocking threads; the
//! writer is handed out by a fair lock before a thread is taken, so that waiting writers cost no threads. What the driver
//! reports is sorted into [`Failure`] here, and nowhere else are its codes looked at.

mod failure;
mod migration;
mod reader;
mod row;
mod writer;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Mutex;
use tokio::task::JoinError;

pub(crate) use failure::Failure;
pub(crate) use migration::{Migration, OpenError};
pub(crate) use reader::Readers;
pub(crate) use row::{digest, signed, text, unsigned, uuid};
pub(crate) use writer::{Sync, Writer};

/// How long a connection waits for another process's lock before it says that the database is busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How many statements each connection keeps prepared: more than either adapter has, the filters' variety aside.
const CACHED_STATEMENTS: usize = 128;

/// What a database is for.
#[derive(Clone, Copy)]
pub(crate) struct Purpose {
    /// Its file's name in the data folder.
    pub(crate) file: &'static str,
    /// The table that records its migrations; a database without it belongs to someone else.
    pub(crate) ledger: &'static str,
    /// All its migrations, the oldest first.
    pub(crate) migrations: &'static [Migration],
    /// Makes a fresh connection ready, such as by registering functions.
    pub(crate) prepare: fn(&Connection) -> rusqlite::Result<()>,
}

/// A database file with its writer; readers are taken from [`Database::readers`].
pub(crate) struct Database {
    path: PathBuf,
    purpose: Purpose,
    writer: Arc<Mutex<Writer>>,
}

impl Database {
    /// Opens or creates the file and brings it to the newest schema.
    pub(crate) fn open(folder: &Path, purpose: Purpose) -> Result<Self, OpenError> {
        let path = folder.join(purpose.file);
        let broken = |error: &dyn std::fmt::Display| OpenError::new(&path, error);
        fs::create_dir_all(folder).map_err(|error| broken(&error))?;
        let mut connection = connect(&path, &purpose).map_err(|error| broken(&error))?;
        become_wal(&connection).map_err(|reason| broken(&reason))?;
        migration::migrate(&mut connection, &path, purpose.ledger, purpose.migrations)?;
        sync_folder(folder).map_err(|error| broken(&error))?;
        let writer = Writer::new(connection, &path).map_err(|error| broken(&error))?;
        Ok(Self {
            path,
            purpose,
            writer: Arc::new(Mutex::new(writer)),
        })
    }

    /// Opens one more connection, for what is read once.
    pub(crate) fn connect(&self) -> rusqlite::Result<Connection> {
        connect(&self.path, &self.purpose)
    }

    /// Makes a set of at most `most` connections that only read.
    pub(crate) fn readers(&self, most: usize) -> Readers {
        Readers::new(self.path.clone(), self.purpose, most)
    }

    /// Runs some work on the writer. Once begun it runs to its end, even when the caller is gone.
    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Writer) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
    {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        let task = tokio::task::spawn_blocking(move || {
            let result = work(&mut writer);
            writer.bound_log();
            result
        });
        task.await
            .unwrap_or_else(|error| Err(stopped(error).into()))
    }
}

/// Opens one connection.
fn connect(path: &Path, purpose: &Purpose) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Plans do not depend on the values bound, which would prepare some statements anew at every call.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.execute_batch(
        "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON;",
    )?;
    (purpose.prepare)(&connection)?;
    Ok(connection)
}

/// Turns the write-ahead log on, which some file systems cannot carry.
fn become_wal(connection: &Connection) -> Result<(), String> {
    if connection
        .is_readonly("main")
        .map_err(|error| error.to_string())?
    {
        return Err("the file cannot be written".into());
    }
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(|error| error.to_string())?;
    if mode == "wal" {
        Ok(())
    } else {
        Err("this file system cannot carry a write-ahead log".into())
    }
}

/// SQLite syncs its files and the log's directory entry, but not the entry of a database that it has just created.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

/// A panic goes on where it was asked for; only a runtime that shuts down stops work that has not begun.
fn stopped(error: JoinError) -> rusqlite::Error {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT),
            Some("the host is shutting down".into()),
        ),
    }
}
