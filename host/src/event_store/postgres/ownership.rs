//! Ownership: advisory locks of one direct session, kept by one task.
//!
//! A lock lives as long as its session. The task asks the session every second whether it is still there; when it is not,
//! every ownership given out from it is lost, and the server gives the locks to whoever asks next.
//!
//! A process that stands still keeps its session, since its machine answers for it. The server sees that it asks no more,
//! and who wants the lock then has that session ended. What the former owner does when it goes on is no danger: what must
//! happen once is guarded where it takes effect.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::{PgConnection, Row as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::super::{Error, Ownership};
use super::address::Address;
use super::connections::connect;
use super::failure::unavailable;
use crate::message::Digest;

/// How often the session is asked whether it is still there.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take before the session is given up.
const ANSWER: Duration = Duration::from_millis(1500);

/// How long a session may ask nothing before its process counts as standing still: several times [`ASK_EVERY`].
const STANDS_STILL: &str = "6 seconds";
/// Ends the session that holds a lock and has asked nothing for a while; one row when there was such a one.
const END_STANDING: &str = "SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.classid::bigint = $1 AND l.objid::bigint = $2
        AND a.query_start < clock_timestamp() - $3::text::interval";

/// Hands requests to the task that keeps the locks.
pub(super) struct Owners {
    requests: mpsc::UnboundedSender<Request>,
}

enum Request {
    Own {
        work: String,
        reply: oneshot::Sender<Result<Option<Ownership>, Error>>,
    },
    GiveBack(Held),
}

/// A lock that was taken: in which session, and which.
#[derive(Clone, Copy)]
struct Held {
    session: u64,
    key: i64,
}

/// Gives a lock back when it is dropped.
struct Guard {
    held: Held,
    requests: mpsc::UnboundedSender<Request>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // When the task is gone, so is its session and the lock with it.
        let _ = self.requests.send(Request::GiveBack(self.held));
    }
}

impl Owners {
    /// Makes the handle and its task, which begins a session when it is first needed.
    pub(super) fn new(address: Address) -> (Self, impl Future<Output = ()> + Send) {
        let (requests, received) = mpsc::unbounded_channel();
        let keeper = Locks {
            address,
            // Weak, so that the task ends with the last ownership and the store.
            requests: requests.downgrade(),
            session: None,
            sessions: 0,
        };
        (Self { requests }, keeper.run(received))
    }

    /// Tries to own some work.
    pub(super) async fn own(&self, work: &str) -> Result<Option<Ownership>, Error> {
        let (reply, answer) = oneshot::channel();
        let work = work.to_owned();
        let closed = || unavailable("the store is closed");
        self.requests
            .send(Request::Own { work, reply })
            .map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

/// Names a lock of a schema. Locks are the database's, so that the schema belongs to the name.
pub(super) fn key(schema: &str, name: &str) -> i64 {
    let digest = Digest::of(format!("foldhost {schema} {name}").as_bytes());
    digest
        .0
        .iter()
        .take(8)
        .fold(0, |key, byte| (key << 8) | i64::from(*byte))
}

struct Locks {
    address: Address,
    requests: mpsc::WeakUnboundedSender<Request>,
    session: Option<Session>,
    /// How many sessions there have been: what belongs to an earlier one is not given back in a later one.
    sessions: u64,
}

struct Session {
    number: u64,
    connection: PgConnection,
    keys: HashSet<i64>,
    /// Told when the session ends, by value or by being dropped.
    lost: watch::Sender<bool>,
}

impl Locks {
    async fn run(mut self, mut received: mpsc::UnboundedReceiver<Request>) {
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                request = received.recv() => match request {
                    Some(Request::Own { work, reply }) => {
                        let answer = self.own(&work).await;
                        // Who does not wait for it any more gives it back by dropping it.
                        let _ = reply.send(answer);
                    }
                    Some(Request::GiveBack(held)) => self.give_back(held).await,
                    None => return,
                },
                _ = ticks.tick(), if self.session.is_some() => self.ask().await,
            }
        }
    }

    async fn own(&mut self, work: &str) -> Result<Option<Ownership>, Error> {
        let key = key(self.address.schema(), &format!("own {work}"));
        let session = match self.session.take() {
            Some(session) => session,
            None => self.begin().await?,
        };
        let session = self.session.insert(session);
        if session.keys.contains(&key) {
            return Ok(None);
        }
        let taken = match timeout(ANSWER, session.try_lock(key)).await {
            Ok(Ok(taken)) => taken,
            Ok(Err(error)) => {
                self.session = None;
                return Err(error.into());
            }
            Err(_) => {
                self.session = None;
                return Err(unavailable("the server did not answer in time"));
            }
        };
        let Some(requests) = self.requests.upgrade().filter(|_| taken) else {
            return Ok(None);
        };
        session.keys.insert(key);
        let held = Held {
            session: session.number,
            key,
        };
        Ok(Some(Ownership::new(
            session.lost.subscribe(),
            Guard { held, requests },
        )))
    }

    async fn begin(&mut self) -> Result<Session, Error> {
        let connection = connect(&self.address.direct()).await?;
        self.sessions += 1;
        Ok(Session {
            number: self.sessions,
            connection,
            keys: HashSet::new(),
            lost: watch::Sender::new(false),
        })
    }

    async fn give_back(&mut self, held: Held) {
        let Some(session) = self
            .session
            .as_mut()
            .filter(|session| session.number == held.session)
        else {
            return;
        };
        session.keys.remove(&held.key);
        let unlock = sqlx::query("SELECT pg_advisory_unlock($1)").bind(held.key);
        let result = timeout(ANSWER, unlock.execute(&mut session.connection)).await;
        if !matches!(result, Ok(Ok(_))) {
            // Ending the session is the other way to give a lock back; all others are lost with it.
            self.session = None;
        }
    }

    async fn ask(&mut self) {
        let Some(session) = self.session.as_mut() else {
            return;
        };
        // A statement, and no mere sign of life of the connection: the server notes when it was asked.
        let asked = sqlx::query("SELECT 1").execute(&mut session.connection);
        if !matches!(timeout(ANSWER, asked).await, Ok(Ok(_))) {
            if !session.keys.is_empty() {
                tracing::warn!(
                    "the session that holds this host's locks is gone, and what it owned with it"
                );
            }
            self.session = None;
        }
    }
}

impl Session {
    async fn try_lock(&mut self, key: i64) -> sqlx::Result<bool> {
        let row = sqlx::query("SELECT pg_try_advisory_lock($1)")
            .bind(key)
            .fetch_one(&mut self.connection)
            .await?;
        let taken: bool = row.try_get(0)?;
        if !taken {
            self.end_standing(key).await?;
        }
        Ok(taken)
    }

    /// Frees a lock whose owner stands still; it can be taken when its session has ended.
    async fn end_standing(&mut self, key: i64) -> sqlx::Result<()> {
        let (high, low) = ((key as u64) >> 32, key as u64 & u64::from(u32::MAX));
        let ended = sqlx::query(END_STANDING)
            .bind(high as i64)
            .bind(low as i64)
            .bind(STANDS_STILL)
            .fetch_optional(&mut self.connection)
            .await?;
        if ended.is_some() {
            tracing::warn!("a process that stands still was relieved of what it owned");
        }
        Ok(())
    }
}
