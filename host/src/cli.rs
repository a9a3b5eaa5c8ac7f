//! The command line: what each command is called, what it takes, and what the process's exit code means.
//!
//! Output goes to stdout, one line a thing, as JSON with `--json`; logs, progress and errors go to stderr.
//! Commands about plugins' sources speak to cargo, commands about a running host to its HTTP API; `serve` and `dev` are
//! the host itself.

mod command;
mod dev;
mod doctor;
mod events;
mod failure;
mod logging;
mod output;
mod plugin;
mod progress;
mod remote;
mod serve;
mod store;
mod toolchain;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use output::Output;

/// Stands at the end of every `--help`.
const EXIT_CODES: &str =
    "Exit codes: 0 it worked, 1 it did not, 2 the command line or the configuration is wrong.";
/// What is still running in the background when a command is done has this long to end.
const LEFTOVERS: Duration = Duration::from_secs(2);

/// An embeddable host for folds over events, with hot-swappable WebAssembly plugins.
#[derive(Parser)]
#[command(name = "foldhost", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Group,
}

#[derive(Args)]
struct Global {
    /// Print JSON, one value a line; errors too, on stderr.
    #[arg(long, global = true)]
    json: bool,
    /// Write the log as JSON lines. FOLDHOST_LOG says what is logged, such as `info` or `foldhost=debug`.
    #[arg(long, global = true)]
    log_json: bool,
}

#[derive(Subcommand)]
enum Group {
    /// Build the plugins of a folder, serve them, and build and swap again whatever changes.
    Dev(dev::Options),
    /// Serve the plugins that are active in a data folder.
    Serve(serve::Options),
    /// Write, build, test and check plugins.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Send commands to a running host.
    #[command(subcommand)]
    Command(command::CommandCommand),
    /// Read the events of a running host.
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Move an event store, compare it, and give it a new identity.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Look at what Foldhost needs, and say what to do where something is missing.
    Doctor(doctor::Options),
}

/// Parses the command line and runs it.
pub(crate) fn main() -> ExitCode {
    let matches = with_exit_codes(Cli::command()).get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let output = Output {
        json: cli.global.json,
    };
    let serves = matches!(cli.command, Group::Dev(_) | Group::Serve(_));
    let done = logging::start(cli.global.log_json, serves).and_then(|()| run(cli.command, output));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error, output),
    }
}

fn run(command: Group, output: Output) -> Result<()> {
    match command {
        Group::Plugin(command) => plugin::run(command, output),
        Group::Dev(options) => in_runtime(dev::run(options, output)),
        Group::Serve(options) => in_runtime(serve::run(options, output)),
        Group::Command(command) => in_runtime(command::run(command, output)),
        Group::Events(command) => in_runtime(events::run(command, output)),
        Group::Store(command) => in_runtime(store::run(command, output)),
        Group::Doctor(options) => in_runtime(doctor::run(options, output)),
    }
}

fn in_runtime(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let done = runtime.block_on(work);
    // A thread may still wait for standard input.
    runtime.shutdown_timeout(LEFTOVERS);
    done
}

/// Tells the exit codes at the end of every command's help.
fn with_exit_codes(command: clap::Command) -> clap::Command {
    command
        .after_help(EXIT_CODES)
        .mut_subcommands(with_exit_codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        with_exit_codes(Cli::command()).debug_assert();
    }
}
