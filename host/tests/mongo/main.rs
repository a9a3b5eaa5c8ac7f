//! What only the read store on MongoDB can be asked: what is in the database, and what several processes do to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and what only they use"
)]

mod documents;
#[path = "../support/eventually.rs"]
mod eventually;
mod fold;
#[path = "../support/missing.rs"]
mod missing;
mod owners;
mod proxy;
mod queries;
#[path = "../support/mongo.rs"]
mod server;
mod settings;
