//! A few sessions, each running one statement at a time.
//!
//! A session is taken out for each statement and given back only when its answer has been read to the end. Whatever ends
//! early — an error of the connection, a time-out, a caller that stopped waiting — ends the session, so that no answer is
//! ever taken for another's. There is no ping before each use: an idle session is asked first only when it has rested.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::Query;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Postgres};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::super::Error;
use super::failure::{ends_session, unavailable};
use super::state::State;

/// A statement with its arguments.
pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// How long a caller waits for everything: a free session, the connection, the answer. A little longer than the server
/// works on a statement, so that it is mostly the server that ends it.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(3);
/// A session that rested longer than this is asked whether it is still there.
const RESTED: Duration = Duration::from_secs(1);

/// A bounded number of sessions.
pub(super) struct Connections {
    options: PgConnectOptions,
    permits: Semaphore,
    idle: Mutex<Vec<(PgConnection, Instant)>>,
    state: Arc<State>,
}

impl Connections {
    /// Makes room for `most` sessions; none is begun yet.
    pub(super) fn new(options: PgConnectOptions, most: usize, state: Arc<State>) -> Self {
        Self {
            options,
            permits: Semaphore::new(most),
            idle: Mutex::default(),
            state,
        }
    }

    /// Runs a statement and returns all its rows.
    pub(super) async fn rows(&self, statement: Statement<'_>) -> Result<Vec<PgRow>, Error> {
        self.state.check_reached()?;
        match timeout(PATIENCE, self.run(statement)).await {
            Ok(result) => result,
            Err(_) => Err(unavailable("the server did not answer in time")),
        }
    }

    /// Runs a statement and returns its first row, if it has any.
    pub(super) async fn row(&self, statement: Statement<'_>) -> Result<Option<PgRow>, Error> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    async fn run(&self, statement: Statement<'_>) -> Result<Vec<PgRow>, Error> {
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(unavailable("the store is closed"));
        };
        let mut connection = match self.take_idle().await {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        let result = statement.fetch_all(&mut connection).await;
        match &result {
            // The others have most likely been lost with it.
            Err(error) if ends_session(error) => self.idle().clear(),
            _ => self.idle().push((connection, Instant::now())),
        }
        Ok(result?)
    }

    async fn take_idle(&self) -> Option<PgConnection> {
        let (mut connection, since) = self.idle().pop()?;
        if since.elapsed() < RESTED {
            return Some(connection);
        }
        match timeout(CONNECT, connection.ping()).await {
            Ok(Ok(())) => Some(connection),
            _ => {
                self.idle().clear();
                None
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(PgConnection, Instant)>> {
        // Nothing is done under the lock that could leave the list half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins a session, or says soon that it cannot.
pub(super) async fn connect(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    match timeout(CONNECT, options.connect()).await {
        Ok(result) => result,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}
