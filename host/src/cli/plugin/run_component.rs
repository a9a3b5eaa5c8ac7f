//! `plugin run-component`: one component for the SDK's test kit.
//!
//! A request a line on standard input, its answer a line on standard output: `{"ok": ..}`, what the plugin refused
//! (`rejected`, `malformed`, `failure`), `{"trap": ".."}` for whatever broke, `{"error": ".."}` for a request that is none.
//! States are known by number. The documents of a projection live as long as the process.

mod protocol;
mod served;

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use foldhost::plugin::{CodeCache, Limits, Plugin};
use serde_json::json;

use super::check;
use protocol::Request;
use served::Served;

/// Milliseconds for any call: tests run on busy machines, and a loop that never ends still does.
const DEADLINE: u64 = 10_000;

/// Options of `plugin run-component`.
#[derive(Args)]
pub(in crate::cli) struct Options {
    /// The component, a .wasm file.
    file: PathBuf,
    /// A folder that keeps compiled code: the kit starts this process very often.
    #[arg(long, env = CACHE_VARIABLE)]
    cache: Option<PathBuf>,
}

/// Says where compiled code is kept.
pub(super) const CACHE_VARIABLE: &str = "FOLDHOST_TEST_CACHE";

/// Serves until the input ends.
pub(super) fn run(options: &Options) -> Result<()> {
    let bytes = std::fs::read(&options.file)
        .with_context(|| format!("cannot read {}", options.file.display()))?;
    let cache = options
        .cache
        .as_deref()
        .map_or_else(CodeCache::none, CodeCache::in_folder);
    let limits = Limits {
        deadline_ms: DEADLINE,
        project_deadline_ms: DEADLINE,
        ..Limits::default()
    };
    let plugin = Plugin::load(&check::sandbox()?, &cache, &bytes, |_| limits)
        .with_context(|| options.file.display().to_string())?;
    let mut served = Served::new(&Arc::new(plugin));
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.context("cannot read a request")?;
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(request) => served.answer(request),
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}
