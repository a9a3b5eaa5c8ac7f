//! Projection `activity`: what happened on each day.

mod activity;

pub use activity::{Activity, ActivityQuery, DayOfActivity, PostEvent};

foldhost_plugin_sdk::export_projection!(Activity);
