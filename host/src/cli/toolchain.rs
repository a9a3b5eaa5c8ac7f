//! Cargo and the target that components are built for.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

use super::output;

/// What plugins are compiled to.
pub(super) const TARGET: &str = "wasm32-wasip2";

/// Begins a cargo command. The cargo that runs us, if one does, is the one to use.
pub(super) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Tells in one line why a program could not be started.
pub(super) fn not_started(program: &str, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            anyhow!("{program} is not installed; get it from https://rustup.rs")
        }
        _ => anyhow!("cannot start {program}: {error}"),
    }
}

/// Tells whether the toolchain that is used in a folder can compile plugins.
pub(super) fn has_target(folder: &Path) -> Result<bool> {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(folder)
        .stderr(Stdio::null())
        .output()
        .map_err(|error| not_started("rustc", &error))?;
    // Older compilers do not know the target at all and say so by failing.
    let libraries = PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim());
    Ok(asked.status.success() && libraries.is_dir())
}

/// Adds the target to the toolchain that is used in a folder, where it is missing.
pub(super) fn ensure_target(folder: &Path) -> Result<()> {
    if has_target(folder)? {
        return Ok(());
    }
    output::note(format!("adding the target {TARGET} to the Rust toolchain"));
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(folder)
        .output();
    let added = match added {
        Ok(added) => added,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!(
                "the Rust target {TARGET} is missing and there is no rustup to add it; install it the way Rust was installed"
            )
        }
        Err(error) => return Err(error).context("cannot start rustup"),
    };
    if added.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&added.stderr);
    let reason = told
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no reason given");
    bail!("rustup target add {TARGET} did not work: {reason}")
}
