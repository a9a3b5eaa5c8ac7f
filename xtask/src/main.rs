//! Automation of the repository, in Rust: `cargo xtask --help`.

mod bench;
mod services;
mod test;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};

/// Automation of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs every test there is: units, contracts, the host over HTTP and by its command line, plugins natively and as
    /// components. Fails when something a test needs cannot be had.
    Test(test::Options),
    /// Starts, shows and stops the servers of the cluster profile: PostgreSQL, Kafka, and what speaks MongoDB's protocol.
    Services(services::Options),
    /// Measures one of the inner parts, and prints ratios.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Services(options) => services::run(&options),
        Task::Bench(options) => bench::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| ".".into(), Path::to_owned)
}

/// Runs cargo in the repository, with what it prints shown.
fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let shown = format!("cargo {}", arguments.join(" "));
    say(&format!("» {shown}"));
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root());
    // What a shell has for its own host says nothing to tests, which make their own.
    for setting in services::given::SETTINGS {
        command.env_remove(setting);
    }
    let status = command
        .status()
        .with_context(|| format!("{shown} cannot be started"))?;
    if !status.success() {
        bail!("{shown} failed");
    }
    Ok(())
}

#[allow(
    clippy::print_stdout,
    reason = "the task's own words, in order with what cargo prints"
)]
fn say(line: &str) {
    println!("{line}");
}

/// For what people read and programs do not: `services up` prints what a shell evaluates.
#[allow(clippy::print_stderr, reason = "the task's own words")]
fn note(line: &str) {
    eprintln!("{line}");
}
