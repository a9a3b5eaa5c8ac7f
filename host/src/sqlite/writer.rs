//! The one connection that writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Pages of log after which a commit also copies the log into the database: 16 MiB. Fewer would sync the database more
/// often than the same pages are written again; more would make the one commit that pays for it longer.
const AUTOCHECKPOINT_PAGES: u32 = 4_000;
/// The log starts over by itself when a checkpoint finds no reader in it. Under readers that overlap without end it never
/// does; beyond this many bytes the writer waits for those that are in it.
const LARGE_LOG: u64 = 64 << 20;
/// How many times larger a log is worth holding writes back for as long as a query may run, and not a moment only.
const HUGE: u64 = 8;
/// How long the writer waits for readers of a large log: most are through by then.
const MOMENT: Duration = Duration::from_millis(200);
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
    /// See [`LARGE_LOG`].
    large: u64,
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
            large: LARGE_LOG,
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
        let is_huge = size > HUGE * self.large;
        let patience = if is_huge { super::BUSY_TIMEOUT } else { MOMENT };
        let started_over = self.start_log_over(patience);
        let is_small_again = matches!(started_over, Ok(true));
        self.try_from = if is_small_again {
            self.large
        } else {
            size + self.large / 4
        };
        if let Err(error) = started_over {
            let log = self.log.display();
            tracing::warn!(%error, %log, bytes = size, "the write-ahead log could not be copied");
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use uuid::Uuid;

    use super::*;

    const LARGE: u64 = 4 << 20;

    /// A database with a table, deleted when dropped.
    struct Scene {
        folder: PathBuf,
        writer: Writer,
    }

    impl Scene {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("foldhost-unit-{}", Uuid::now_v7()));
            fs::create_dir_all(&folder).unwrap();
            let path = folder.join("x.db");
            let connection = Connection::open(&path).unwrap();
            connection
                .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)")
                .unwrap();
            let mut writer = Writer::new(connection, &path).unwrap();
            (writer.large, writer.try_from) = (LARGE, LARGE);
            Self { folder, writer }
        }

        fn reader(&self) -> Connection {
            Connection::open(self.folder.join("x.db")).unwrap()
        }

        /// Writes this many times 100 kB and returns the largest size that the log had.
        fn write(&mut self, times: usize) -> u64 {
            let once = |_| {
                let transaction = self.writer.begin(Sync::Normal).unwrap();
                transaction
                    .execute("INSERT INTO t VALUES (zeroblob(100000))", [])
                    .unwrap();
                transaction.commit().unwrap();
                self.writer.bound_log();
                fs::metadata(&self.writer.log).unwrap().len()
            };
            (0..times).map(once).max().unwrap_or_default()
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn the_log_starts_over_beside_readers_that_overlap_without_end() {
        let mut scene = Scene::new();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                let reader = scene.reader();
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let sum = "SELECT sum(length(x)) FROM t";
                        let _: Option<i64> = reader.query_row(sum, [], |row| row.get(0)).unwrap();
                    }
                });
            }
            let largest = scene.write(300);
            stop.store(true, Ordering::Relaxed);
            assert!(largest < 5 * LARGE, "{largest} bytes");
        });
    }

    #[test]
    fn a_reader_that_stays_lets_the_log_grow_until_it_leaves() {
        let mut scene = Scene::new();
        let reader = scene.reader();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM t")
            .unwrap();
        let grown = scene.write(70);
        assert!(grown > LARGE * 3 / 2, "{grown} bytes");
        reader.execute_batch("COMMIT").unwrap();
        assert!(scene.write(300) < grown + LARGE / 2);
    }
}
