//! The real binary: what its commands do, what they print, and how they end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail like tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod authoring;
mod checking;
mod developing;
mod program;
mod sending;
mod serving;
mod storing;
mod tailing;
mod usage;
mod workspace;
