//! Foldhost: an embeddable host for folds over events.
//!
//! It takes commands, has WebAssembly plugins decide them, records what they decide, and folds the recorded events into
//! documents that queries read. Plugins are swapped while it runs.
//!
//! ```text
//! command ──> pipeline ──> aggregate guest ──> event store ──> event log ──> projection engine ──> read store ──> query
//! ```
//!
//! # Layout
//! In the order of the data's way:
//! - [`message`]: the vocabulary, pure types.
//! - [`http`]: the surface for clients, an `axum` router.
//! - [`command`]: the pipeline, from a command to its answer.
//! - [`plugin`]: guests and their bounds.
//! - [`event_store`], [`relay`], [`event_log`]: what has happened, and how it gets around.
//! - [`projection`]: folding events into documents.
//! - [`read_store`], [`query`]: where documents are, and how they are read.
//! - [`catalog`]: which plugins are active.
//! - [`transfer`]: a store as a file, and the digests by which stores are compared.
//! - [`stores`]: the adapters that a configuration names.
//! - [`host`], [`config`]: all of it wired together.
//!
//! # Embedding
//! ```no_run
//! use axum::{Router, routing::get};
//! use foldhost::{Config, Host};
//!
//! # async fn embed() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config { data: "data".into(), plugins: "plugins".into(), ..Config::default() };
//! let host = Host::builder(config).start().await?;
//! let service = Router::new()
//!     .route("/hello", get(|| async { "the embedding service's own" }))
//!     .nest("/foldhost", host.router());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! axum::serve(listener, service).await?;
//! host.shutdown().await;
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]

pub mod catalog;
pub mod command;
pub mod config;
mod crash_point;
pub mod event_log;
pub mod event_store;
pub mod host;
pub mod http;
pub mod message;
pub mod plugin;
pub mod projection;
pub mod query;
pub mod read_store;
mod registry;
pub mod relay;
mod sqlite;
pub mod stores;
pub mod transfer;

pub use config::Config;
pub use host::{Host, HostBuilder};
