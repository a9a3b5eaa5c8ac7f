//! Ownership: advisory locks of one direct session, kept by one task.
//!
//! A lock lives as long as its session. The task asks the session every second whether it is still there; when it is not,
//! every ownership given out from it is lost, and the server gives the locks to whoever asks next.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Row as _};
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
        let result = timeout(ANSWER, session.connection.ping()).await;
        if !matches!(result, Ok(Ok(()))) {
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
        row.try_get(0)
    }
}
