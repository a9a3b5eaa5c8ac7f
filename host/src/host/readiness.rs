//! Whether a host is ready, and what is in the way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::Host;
use crate::event_store::EventStore;
use crate::projection::RunState;
use crate::query;
use crate::read_store::ReadStore;
use crate::relay::RelayState;

/// How often the stores are asked whether they are there.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long a store that is there may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Whether the active plugins serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Nothing is in the way.
    pub ready: bool,
    /// What is.
    pub reasons: Vec<String>,
    /// What is wrong without being in the way: commands and queries are answered.
    pub warnings: Vec<String>,
}

/// Whether the stores answered when they were asked last, and what they said if they did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Health {
    event_store: Option<String>,
    read_store: Option<String>,
}

/// Asks the stores for ever.
pub(super) async fn watch_stores(
    store: Arc<dyn EventStore>,
    read_store: Arc<dyn ReadStore>,
    health: watch::Sender<Health>,
) {
    loop {
        // The cheapest questions that only the servers themselves can answer.
        let asked = timeout(PATIENCE, store.load_cursor("readiness"));
        let asked_too = timeout(PATIENCE, read_store.projections());
        let (store, read_store) = tokio::join!(asked, asked_too);
        let now = Health {
            event_store: complaint("event store", store),
            read_store: complaint("read store", read_store),
        };
        let before = health.send_replace(now.clone());
        if before != now {
            tracing::info!(event_store = ?now.event_store, read_store = ?now.read_store, "the health of the stores has changed");
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn complaint<T, E: std::fmt::Display>(
    which: &str,
    answer: Result<Result<T, E>, tokio::time::error::Elapsed>,
) -> Option<String> {
    match answer {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!(
            "the {which} does not answer within {} s",
            PATIENCE.as_secs()
        )),
    }
}

impl Host {
    /// Tells what has to happen before it is known what there is and what there is not.
    pub(super) fn not_started(&self) -> Option<String> {
        let reason = if !*self.inner.converged.borrow() {
            "the event store was not reached yet"
        } else if !*self.inner.looked.borrow() {
            "the plugins folder is being looked through"
        } else {
            return None;
        };
        Some(reason.to_owned())
    }

    /// What is unknown while the host starts may be known in a moment.
    pub(super) fn unless_starting<T>(
        &self,
        found: Result<T, query::Error>,
    ) -> Result<T, query::Error> {
        use query::Error as E;
        let is_unknown = matches!(
            found,
            Err(E::UnknownCollection { .. } | E::UnknownQuery { .. } | E::UnknownProjection { .. })
        );
        match self.not_started().filter(|_| is_unknown) {
            Some(reason) => Err(E::Unavailable { reason }),
            None => found,
        }
    }

    /// Tells whether the active plugins serve, and what is in the way.
    pub fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        for refusal in self.inner.catalogs.load().refusals() {
            if refusal.leaves_gap {
                reasons.push(format!("plugin {}: {}", refusal.source, refusal.reason));
            }
        }
        for projection in self.projections() {
            if let RunState::Faulted { reason } = projection.state {
                reasons.push(format!("projection {}: {reason}", projection.name));
            }
        }
        reasons.extend(self.not_started());
        let health = self.inner.health.borrow().clone();
        reasons.extend(
            [health.event_store, health.read_store]
                .into_iter()
                .flatten(),
        );
        if *self.inner.stopping.borrow() {
            reasons.push("the host is stopping".to_owned());
        }
        let mut warnings = Vec::new();
        if let Some(relay) = self.relay() {
            let told = relay.last_error.as_deref().unwrap_or("no reason is known");
            match relay.state {
                RelayState::Faulted => reasons.push(format!("relay: {told}")),
                RelayState::Waiting => warnings.push(format!("relay: {told}")),
                RelayState::Starting
                | RelayState::Standby
                | RelayState::Live
                | RelayState::Stopped => {}
            }
        }
        Readiness {
            ready: reasons.is_empty(),
            reasons,
            warnings,
        }
    }
}
