//! Plugin `saboteur`: misbehaves in every way there is, so that the host can be seen to contain it.
//!
//! Aggregate and projection of the same name.
//! Everything goes through the typed SDK but what it does not allow: lies about events, which are in `lies`.
//!
//! # Layout
//! - `harm`: what it does to whoever calls it.
//! - `aggregate`: a command for each harm, and a healthy one.
//! - `lies`: events that are malformed, undeclared or too many, by the low-level door.
//! - `projection`: the same harm when a recorded event is folded.

mod aggregate;
mod harm;
mod lies;
mod projection;

pub use aggregate::{Saboteur, SaboteurCommand, SaboteurEvent};
pub use harm::Harm;
pub use lies::LyingSaboteur;
pub use projection::{
    FoldedEvent, HugeDocument, SabotagedProjection, SaboteurDocument, SaboteurQuery,
};

foldhost_plugin_sdk::export_guest!(
    aggregate = LyingSaboteur,
    projection = foldhost_plugin_sdk::guest::Fold<SabotagedProjection>
);
