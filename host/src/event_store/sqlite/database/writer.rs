//! The one connection that writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Pages of log after which a commit also copies the log into the database: 16 MiB. Fewer would sync the database more
/// often than the same pages are written again; more would make the one commit that pays for it longer.
const AUTOCHECKPOINT_PAGES: u32 = 4_000;
/// The log starts over by itself when a checkpoint finds no reader in it. Under readers that overlap without end it never
/// does; beyond this many bytes the writer waits for them, a moment first, and longer once the log is [`HUGE_LOG`].
const LARGE_LOG: u64 = 64 << 20;
/// From here on a log is worth holding writes back for as long as a query may run.
const HUGE_LOG: u64 = 8 * LARGE_LOG;
/// How long the writer waits for readers of a large log.
const MOMENT: Duration = Duration::from_millis(50);
/// Pages that the writer keeps in memory, in KiB: enough for the right edges and upper levels of every index.
const CACHE_KIB: u32 = 32 << 10;

/// How sure a commit is to survive a loss of power. Either survives the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// On disk when the commit returns.
    Full,
    /// On disk with the next full commit or checkpoint; until then a loss of power takes the newest commits back, in
    /// order and whole.
    Normal,
}

/// The one connection that writes.
pub(crate) struct Writer {
    connection: Connection,
    sync: Sync,
    log: PathBuf,
    /// The log's size from which it is tried to start it over.
    try_from: u64,
}

impl Writer {
    /// Takes over an open connection.
    pub(super) fn new(connection: Connection, path: &Path) -> rusqlite::Result<Self> {
        connection.execute_batch(&format!(
            "PRAGMA synchronous = FULL;
             PRAGMA cache_size = -{CACHE_KIB};
             PRAGMA wal_autocheckpoint = {AUTOCHECKPOINT_PAGES};
             PRAGMA journal_size_limit = {LARGE_LOG};"
        ))?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Ok(Self {
            connection,
            sync: Sync::Full,
            log: log.into(),
            try_from: LARGE_LOG,
        })
    }

    /// Begins a transaction that holds the write lock from the start; dropped without a commit it is rolled back.
    pub(crate) fn begin(&mut self, sync: Sync) -> rusqlite::Result<Transaction<'_>> {
        if !self.connection.is_autocommit() {
            // A rollback itself has failed before, as on a broken disk.
            self.connection.execute_batch("ROLLBACK")?;
        }
        if self.sync != sync {
            let level = if sync == Sync::Full { "FULL" } else { "NORMAL" };
            self.connection
                .execute_batch(&format!("PRAGMA synchronous = {level}"))?;
            self.sync = sync;
        }
        self.connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
    }

    /// Starts an overgrown log over. What keeps it from that is no reason to fail anything: the next write tries again.
    pub(super) fn bound_log(&mut self) {
        let size = fs::metadata(&self.log).map_or(0, |log| log.len());
        if size <= self.try_from {
            return;
        }
        let patience = if size > HUGE_LOG {
            super::BUSY_TIMEOUT
        } else {
            MOMENT
        };
        match self.start_log_over(patience) {
            Ok(true) => self.try_from = LARGE_LOG,
            Ok(false) => self.try_from = size + LARGE_LOG / 4,
            Err(error) => {
                self.try_from = size + LARGE_LOG / 4;
                tracing::warn!(%error, log = %self.log.display(), bytes = size, "the write-ahead log could not be copied");
            }
        }
    }

    fn start_log_over(&self, patience: Duration) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(patience)?;
        let busy = self
            .connection
            .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| {
                row.get::<_, i64>(0)
            });
        self.connection.busy_timeout(super::BUSY_TIMEOUT)?;
        Ok(busy? == 0)
    }
}
