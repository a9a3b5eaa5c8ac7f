//! Write Foldhost plugins: aggregates and projections as plain Rust types.
//!
//! A plugin is a library with one export line, compiled to a WebAssembly component.
//! It depends on this crate alone, needs no `cfg`, and its tests run natively like any other library's.
//!
//! - An [`Aggregate`] decides commands over one stream of events and folds those events into its state.
//! - A [`Projection`] folds the events of all streams into documents and plans queries over them.
//!
//! Everything else, recording, ordering, replaying, swapping and bounding, is the host's.
//! Plugins are pure: there is no clock, no randomness, no file; time comes with the command and the event.
//!
//! # An aggregate
//!
//! ```
//! use foldhost_plugin_sdk::{Aggregate, Command, Context, Envelope, Event, Json, Rejection};
//!
//! /// The state of one counter.
//! #[derive(Default, Json)]
//! pub struct Counter {
//!     total: u32,
//! }
//!
//! #[derive(Command)]
//! pub enum CounterCommand {
//!     /// Adds to the counter.
//!     Add { amount: u32 },
//! }
//!
//! #[derive(Event)]
//! pub enum CounterEvent {
//!     Added { amount: u32 },
//! }
//!
//! impl Aggregate for Counter {
//!     const NAME: &'static str = "counter";
//!     type Command = CounterCommand;
//!     type Event = CounterEvent;
//!
//!     fn decide(&self, command: CounterCommand, _: &Context<'_>) -> Result<Vec<CounterEvent>, Rejection> {
//!         match command {
//!             CounterCommand::Add { amount } if self.total.checked_add(amount).is_none() => {
//!                 Err(Rejection::new("too-much", "the counter cannot hold that"))
//!             }
//!             CounterCommand::Add { amount } => Ok(vec![CounterEvent::Added { amount }]),
//!         }
//!     }
//!
//!     fn evolve(&mut self, event: CounterEvent, _: &Envelope<'_>) {
//!         match event {
//!             CounterEvent::Added { amount } => self.total += amount,
//!         }
//!     }
//! }
//!
//! foldhost_plugin_sdk::export_aggregate!(Counter);
//!
//! // In the plugin's tests:
//! use foldhost_plugin_sdk::testing::{aggregate_laws, given};
//!
//! given::<Counter>([CounterEvent::Added { amount: u32::MAX }])
//!     .when(CounterCommand::Add { amount: 1 })
//!     .then_rejected("too-much");
//! # // Sums of made-up amounts stay small, so that the laws hold for the counter as it stands.
//! aggregate_laws::<Counter>();
//! ```
//!
//! # A projection
//!
//! [`testing::given_recorded`] shows one with its tests. It declares, each by a derive,
//! the [`Event`]s that it wants, the [`Document`]s that it keeps and the [`Query`]s that it answers.
//!
//! # Layout
//! In the order in which a command's way leads through a plugin:
//! - [`guest`]: a plugin as the host sees it, in bytes; the low-level door.
//! - `aggregate`: [`Aggregate`], [`Command`], [`Context`].
//! - `event`: [`Event`] with its [`Upcaster`]s.
//! - [`packed`], `envelope`: a batch of recorded events, read without copying; [`Envelope`].
//! - `projection`, `document`: [`Projection`], [`Document`], [`Documents`].
//! - `query`, `find`: [`Query`], [`Find`], [`Filter`].
//! - `rejection`: [`Rejection`] and [`Failure`], the two ways to say no.
//! - `time`, `names`: [`Time`] and [`Day`]; [`fold_name`].
//! - `payload`, `schema`, [`describe`]: JSON in, JSON schemas out, descriptors.
//! - `export`, `wasm`: the export macros and the component they lead to.
//! - [`log`], [`testing`]: beside the way.
//!
//! # Features of Rust that a plugin may use
//! All of them; what the sandbox lacks is missing at run time: files, sockets and environment are empty,
//! clocks stand still and random numbers are seeded, so that a replay decides the same.
//! A panic is a trap: the host logs its message and place, answers the command with an error that names the plugin,
//! and makes the instance anew.

// The derives name this crate by its name, in its own tests too.
extern crate self as foldhost_plugin_sdk;

mod aggregate;
pub mod describe;
mod document;
mod envelope;
mod event;
mod export;
mod find;
pub mod guest;
pub mod log;
mod names;
pub mod packed;
mod payload;
mod projection;
mod query;
mod rejection;
mod schema;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod time;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod wasm;

pub use foldhost_plugin_sdk_macros::{Command, Document, Event, Json, Query};

pub use aggregate::{Aggregate, Command, Context};
pub use document::{Collections, Document, Documents};
pub use envelope::{Envelope, EventId};
pub use event::{Event, ForeignEvent, Upcaster};
pub use find::{Filter, Find, SortKey};
pub use names::fold_name;
pub use projection::Projection;
pub use query::{NoQueries, Parameter, Query};
pub use rejection::{Failure, Rejection};
/// What upcasters turn into another.
pub use serde_json::{Value, json};
pub use time::{Day, ParseTimeError, Time};

/// What the derives expand to.
#[doc(hidden)]
pub mod __private {
    pub use crate::payload::{read_data, read_parameters, read_payload, unknown, write_json};
    pub use crate::schema::{schema_of_input, schema_of_output};
    pub use schemars;
    pub use serde;
}
