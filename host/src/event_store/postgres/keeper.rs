//! The keeper: one task that listens to the store, looks at it every second, and comes back after an outage.
//!
//! Notifications are what makes followers quick, looks are what makes them right: a notification that is lost costs a
//! second at most. The session is a direct one, and a look that is not answered ends it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::{PgListener, PgPoolOptions, PgRow};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use super::super::{Cursor, Error};
use super::address::Address;
use super::connections::{CONNECT, connect};
use super::failure::unavailable;
use super::migration;
use super::state::{Found, State};
use super::value::{signed, unsigned, uuid};
use crate::message::{Position, StoreId};

/// How often the store is looked at when nothing is heard of it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a look may take before its session is given up: a server that is merely slow is not one that was away, after
/// which everyone who follows has to verify where they are.
const LOOK: Duration = Duration::from_secs(5);
/// How long opening waits for a server that does not answer, before the store is opened unreached.
const OPEN: Duration = Duration::from_secs(5);
/// How long a migration may take, this host's or the one that it waits for.
const MIGRATION: Duration = Duration::from_mins(5);
/// Pauses between attempts to reach the server.
const RETRY: Duration = Duration::from_millis(250);
/// Payload of a notification that another plugin version is active.
const PLUGINS: &str = "plugins";
/// Everything that a look wants to know, in one statement and thus of one moment.
const LOOK_AT: &str = r#"SELECT s.id, h.position, h.event_id,
        (SELECT event_id FROM "{schema}".events WHERE position = $1),
        (SELECT coalesce(string_agg(name || ' ' || encode(digest, 'hex'), ',' ORDER BY name), '')
            FROM "{schema}".active_plugins)
    FROM "{schema}".store s
    LEFT JOIN LATERAL (SELECT position, event_id FROM "{schema}".events ORDER BY position DESC LIMIT 1) h ON true"#;

/// Tries to reach the store for a while; an error says that it can never be opened like this.
pub(super) async fn open(address: &Address, state: &State) -> Result<Option<PgListener>, Error> {
    let give_up = Instant::now() + OPEN;
    loop {
        match begin(address, state).await {
            Ok(listener) => return Ok(Some(listener)),
            Err(error) if !error.is_transient() => return Err(error),
            Err(error) if Instant::now() + RETRY > give_up => {
                tracing::warn!(%error, "the host starts without its event store and keeps trying to reach it");
                return Ok(None);
            }
            Err(_) => sleep(RETRY).await,
        }
    }
}

/// Follows the store until the task is ended from outside.
pub(super) async fn keep(address: Address, state: Arc<State>, mut first: Option<PgListener>) {
    loop {
        let listener = match first.take() {
            Some(listener) => listener,
            None => {
                let listener = begin_patiently(&address, &state).await;
                tracing::info!("the event store is reached");
                state.next_epoch();
                listener
            }
        };
        let error = follow(listener, &address, &state).await;
        tracing::warn!(%error, "the event store is out of reach");
    }
}

async fn begin_patiently(address: &Address, state: &State) -> PgListener {
    let mut said = false;
    loop {
        match begin(address, state).await {
            Ok(listener) => return listener,
            Err(error) => {
                if !said && !error.is_transient() {
                    tracing::error!(%error, "the event store cannot be used");
                    said = true;
                }
                sleep(RETRY).await;
            }
        }
    }
}

/// Brings the schema up to date, listens, and only then looks, so that nothing is missed in between.
async fn begin(address: &Address, state: &State) -> Result<PgListener, Error> {
    let result = try_begin(address, state).await;
    if let Err(error) = &result {
        let trouble = match error {
            Error::Unavailable { reason } => reason.clone(),
            other => other.to_string(),
        };
        state.note_trouble(trouble);
    }
    result
}

async fn try_begin(address: &Address, state: &State) -> Result<PgListener, Error> {
    let opening = |error| address.opening(error);
    let mut connection = connect(&address.direct()).await.map_err(opening)?;
    let is_current = timeout(CONNECT, migration::is_current(&mut connection, address)).await;
    if !is_current.map_err(|_| silent())?? {
        let migrating = timeout(MIGRATION, migration::migrate(&mut connection, address)).await;
        migrating.map_err(|_| silent())??;
    }
    drop(connection);
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(address.direct());
    let mut listener = PgListener::connect_with(&pool).await.map_err(opening)?;
    listener.eager_reconnect(false);
    let listening = timeout(CONNECT, listener.listen(address.schema())).await;
    listening.map_err(|_| silent())?.map_err(opening)?;
    look(&mut listener, address, state).await?;
    Ok(listener)
}

/// Listens and looks until the session ends.
async fn follow(mut listener: PgListener, address: &Address, state: &State) -> Error {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = listener.try_recv() => match heard {
                Ok(Some(notification)) => hear(notification.payload(), state),
                Ok(None) => return unavailable("the session was ended"),
                Err(error) => return error.into(),
            },
            () = state.look_wanted() => {
                if let Err(error) = look(&mut listener, address, state).await {
                    return error;
                }
            }
            _ = ticks.tick() => {
                if let Err(error) = look(&mut listener, address, state).await {
                    return error;
                }
            }
        }
    }
}

/// Takes a notification; one that is not ours is nobody's fault.
fn hear(payload: &str, state: &State) {
    if payload == PLUGINS {
        state.ask_for_a_look();
        return;
    }
    let mut parts = payload.split(' ');
    let mut cursor = || -> Option<Cursor> {
        Some(Cursor {
            position: Position(parts.next()?.parse().ok()?),
            event_id: parts.next()?.parse().ok()?,
        })
    };
    if let (Some(newest), Some(before)) = (cursor(), cursor()) {
        state.notified(newest, before);
    }
}

async fn look(listener: &mut PgListener, address: &Address, state: &State) -> Result<(), Error> {
    let sought = state.newest();
    let statement = sqlx::query(address.sql(LOOK_AT)).bind(signed(sought.position.0));
    let row = match timeout(LOOK, statement.fetch_one(listener)).await {
        Ok(row) => row?,
        Err(_) => return Err(silent()),
    };
    state.looked(found(&row, sought)?);
    Ok(())
}

/// A session that hears nothing is as good as ended.
fn silent() -> Error {
    unavailable("the server did not answer in time")
}

fn found(row: &PgRow, sought: Cursor) -> sqlx::Result<Found> {
    let event_id: Option<Uuid> = row.try_get(2)?;
    let newest = match event_id {
        Some(event_id) => Some(Cursor {
            position: Position(unsigned(row, 1)?),
            event_id,
        }),
        None => None,
    };
    Ok(Found {
        id: StoreId(uuid(row, 0)?),
        newest,
        sought,
        event_there: row.try_get(3)?,
        plugins: row.try_get(4)?,
    })
}
