//! The log: to stderr, as text or as JSON lines, as much as `FOLDHOST_LOG` says.

use std::io::{self, IsTerminal as _};

use anyhow::Result;
use tracing_subscriber::EnvFilter;

use super::failure::Usage;
use super::progress;

/// The variable that says what is logged.
const VARIABLE: &str = "FOLDHOST_LOG";

/// Starts the log. A command that serves tells what it does; any other only what is wrong.
pub(super) fn start(json: bool, serves: bool) -> Result<()> {
    // What the file watcher says at `info` is of no use to anybody.
    let default = if serves { "info,notify=error" } else { "warn" };
    let wanted = std::env::var(VARIABLE).unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(&wanted)
        .map_err(|error| Usage(format!("{VARIABLE}={wanted}: {error}")))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(|| BesideBars);
    if json {
        log.json().init();
    } else {
        log.with_target(false).init();
    }
    Ok(())
}

/// Writes to stderr above the progress bars.
struct BesideBars;

impl io::Write for BesideBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::beside(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
