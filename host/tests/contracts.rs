//! The contract of each port, held to by each of its adapters.
//!
//! A behaviour is written once, against `dyn Port`, and made a test per adapter by the macros below. An adapter brings a
//! function that makes a fresh, isolated place for one store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and what only they use"
)]
#![allow(dead_code, reason = "each test file uses a part of the helpers")]

mod support {
    #[macro_use]
    mod contract;
    pub(crate) mod entries;
    #[macro_use]
    pub(crate) mod event_log_contract;
    #[macro_use]
    pub(crate) mod event_store_contract;
    mod folder;
    pub(crate) mod kafka;
    mod missing;
    pub(crate) mod mongo;
    pub(crate) mod postgres;
    #[macro_use]
    pub(crate) mod read_store_contract;
    pub(crate) mod sqlite;
}

use std::sync::Arc;

use async_trait::async_trait;
use foldhost::message::Position;
use foldhost::read_store::ReadStore;
use support::entries::fill;
use support::event_log_contract::EventLogPlace as _;
use support::read_store_contract::ReadStorePlace;
use support::{kafka, mongo, postgres, sqlite};

event_store_contract!(sqlite_event_store, sqlite::place);
event_store_contract!(postgres_event_store, postgres::place);
event_log_contract!(tail_of_sqlite, sqlite::tail);
event_log_contract!(kafka_event_log, kafka::place);
read_store_contract!(sqlite_read_store, sqlite::place);
read_store_contract!(mongo_read_store, mongo::place);

#[async_trait]
impl ReadStorePlace for mongo::Place {
    async fn open(&self) -> Arc<dyn ReadStore> {
        Arc::new(self.store().await)
    }
}

/// What only a tail can be asked, whose store can be tampered with.
#[tokio::test]
async fn a_missing_event_is_reported_and_not_skipped() {
    let tail = sqlite::tail().await.unwrap();
    fill(&tail.store(), "a", 3).await;
    tail.tamper("DROP TRIGGER events_are_never_deleted; DELETE FROM events WHERE position = 2");
    let error = tail.log().next(Position(0), 10).await.unwrap_err();
    assert!(
        error.to_string().contains("position 2 is missing"),
        "{error}"
    );
    let events = tail.log().next(Position(2), 10).await.unwrap();
    assert_eq!(events[0].position, Position(3));
}
