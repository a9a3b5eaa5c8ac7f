//! Given / when / then for plugins, and the laws that every plugin keeps.
//!
//! # Aggregates
//! [`given`] takes the events of a stream; `when` a command; `then` says what comes of it.
//!
//! # Projections
//! [`given_recorded`] takes recorded events of any streams, each from [`on`]; `then_document` and its likes look at
//! what came of them.
//!
//! # What comes for free
//! Every scenario also checks that
//! - folding the events again, and folding them after a snapshot taken at any cut, gives the same state;
//! - deciding the command again gives the same events, and the state can fold them;
//! - however the events are cut into batches, the documents are the same.
//!
//! [`aggregate_laws`] and [`projection_laws`] check the same over histories made up from the schemas.
//!
//! # Against the compiled component
//! The same tests run a second time inside the compiled component when two environment variables are set,
//! as `foldhost plugin test` does: `FOLDHOST_TEST_COMPONENT`, the path of the `.wasm` file,
//! and `FOLDHOST_TEST_RUNNER`, the path of the `foldhost` binary.
//! The kit then starts `$FOLDHOST_TEST_RUNNER plugin run-component $FOLDHOST_TEST_COMPONENT`
//! and speaks JSON lines with it.

mod aggregate;
mod component;
mod filter;
mod generated;
mod laws;
mod made_up;
mod native;
mod projection;
mod recorded;
mod rig;

pub use aggregate::{Given, When, given};
pub use generated::{aggregate_laws, projection_laws};
pub use projection::{Projected, given_recorded};
pub use recorded::{Recorded, on};
