//! The contract of each port, held to by each of its adapters.
//!
//! A behaviour is written once, against `dyn Port`, and made a test per adapter by the macros below. An adapter brings a
//! function that makes a fresh, isolated place for one store.

#![allow(clippy::unwrap_used, reason = "tests and what only they use")]

mod support {
    #[macro_use]
    mod contract;
    mod entries;
    #[macro_use]
    pub(crate) mod event_log_contract;
    #[macro_use]
    pub(crate) mod event_store_contract;
    mod folder;
    #[macro_use]
    pub(crate) mod read_store_contract;
    pub(crate) mod sqlite;
}

use support::sqlite;

event_store_contract!(sqlite_event_store, sqlite::place);
event_log_contract!(tail_of_sqlite, sqlite::tail);
read_store_contract!(sqlite_read_store, sqlite::place);
