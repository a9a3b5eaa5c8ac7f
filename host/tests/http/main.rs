//! The HTTP surface: shapes, headers, every problem, event streams, bounds, and the OpenAPI document.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail like tests"
)]
#![allow(clippy::too_many_lines, reason = "inline snapshots are long")]

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod cases;
mod event_streams;
mod events_reader;
mod openapi;
mod pages;
mod problems_of_bodies;
mod problems_of_plugins;
mod problems_of_requests;
mod reading;
mod sending;
