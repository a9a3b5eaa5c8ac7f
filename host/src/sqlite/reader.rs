//! Connections that only read.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle};
use tokio::sync::Semaphore;

use super::{Purpose, connect, stopped};

/// Pages that each reader keeps in memory, in KiB.
const CACHE_KIB: u32 = 8 << 10;

/// A bounded set of connections that only read, opened when first needed. Callers beyond the bound wait their turn.
pub(crate) struct Readers {
    path: PathBuf,
    purpose: Purpose,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

/// Stops a query from outside, and only while it still has its connection.
#[derive(Default)]
struct Stop {
    asked: AtomicBool,
    begun: AtomicBool,
    running: Mutex<Option<InterruptHandle>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, purpose: Purpose, most: usize) -> Self {
        Self {
            path,
            purpose,
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(most)),
        }
    }

    /// Runs some work on a reader, in one transaction and so on one state of the database, to its end even when the caller
    /// is gone.
    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
    {
        self.start(work, Arc::default()).await
    }

    /// Runs some work on a reader; interrupts it when the caller is gone, or after `limit`, which the wait for a reader
    /// counts towards.
    pub(crate) async fn read_within<T, E, F>(&self, limit: Duration, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
    {
        let stop = Arc::new(Stop::default());
        let _stop_when_dropped = StopGuard(Arc::clone(&stop));
        let mut answer = Box::pin(self.start(work, Arc::clone(&stop)));
        let Ok(answer) = tokio::time::timeout(limit, &mut answer).await else {
            stop.stop();
            return if stop.begun.load(Ordering::Acquire) {
                answer.await
            } else {
                Err(interrupted().into())
            };
        };
        answer
    }

    async fn start<T, E, F>(&self, work: F, stop: Arc<Stop>) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
    {
        // The semaphore is never closed; without a permit the work would merely be unbounded.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let (idle, path, purpose) = (Arc::clone(&self.idle), self.path.clone(), self.purpose);
        let task = tokio::task::spawn_blocking(move || {
            let reused = lock(&idle).pop();
            let mut connection = reused.map_or_else(|| open(&path, &purpose), Ok)?;
            let answer = stop.watch(&mut connection, work);
            lock(&idle).push(connection);
            drop(permit);
            answer
        });
        task.await
            .unwrap_or_else(|error| Err(stopped(error).into()))
    }
}

impl Stop {
    /// Runs some work that may be stopped. The handle is taken back before the connection can serve anyone else.
    fn watch<T, E, F>(&self, connection: &mut Connection, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E>,
        E: From<rusqlite::Error>,
    {
        self.begun.store(true, Ordering::Release);
        *lock(&self.running) = Some(connection.get_interrupt_handle());
        let answer = if self.asked.load(Ordering::Acquire) {
            Err(interrupted().into())
        } else {
            at_once(connection, work)
        };
        lock(&self.running).take();
        answer
    }

    fn stop(&self) {
        self.asked.store(true, Ordering::Release);
        if let Some(running) = lock(&self.running).as_ref() {
            running.interrupt();
        }
    }
}

/// Stops a query whose caller is gone; stopping a finished one does nothing.
struct StopGuard(Arc<Stop>);

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Shows all of some work one state of the database.
fn at_once<T, E, F>(connection: &mut Connection, work: F) -> Result<T, E>
where
    F: FnOnce(&Connection) -> Result<T, E>,
    E: From<rusqlite::Error>,
{
    let transaction = connection.transaction()?;
    work(&transaction)
}

fn open(path: &std::path::Path, purpose: &Purpose) -> rusqlite::Result<Connection> {
    let connection = connect(path, purpose)?;
    connection.execute_batch(&format!(
        "PRAGMA query_only = ON; PRAGMA cache_size = -{CACHE_KIB};"
    ))?;
    Ok(connection)
}

fn interrupted() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT),
        None,
    )
}

/// What the locks guard is whole at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
