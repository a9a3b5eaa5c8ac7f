//! `plugin`: what authors need.

pub(super) mod build;
mod cargo_output;
mod check;
pub(super) mod crates;
mod new;
mod run_component;
mod test;

use anyhow::Result;
use clap::Subcommand;

use super::output::Output;
pub(super) use check::check_folder;

/// The commands of `plugin`.
#[derive(Subcommand)]
pub(super) enum PluginCommand {
    /// Write the crate of a new plugin, which builds, passes its tests and runs.
    New(new::Options),
    /// Build plugin crates to components.
    Build(build::Options),
    /// Run the tests of plugin crates, natively and against the compiled component.
    Test(test::Options),
    /// Take a component through the checks of the host.
    Check(check::Options),
    /// Serve a component to the SDK's test kit: JSON lines on standard input and output.
    #[command(hide = true)]
    RunComponent(run_component::Options),
}

/// Runs one of them.
pub(super) fn run(command: PluginCommand, output: Output) -> Result<()> {
    match command {
        PluginCommand::New(options) => new::run(&options, output),
        PluginCommand::Build(options) => build::run(&options, output),
        PluginCommand::Test(options) => test::run(&options, output),
        PluginCommand::Check(options) => check::run(&options, output),
        PluginCommand::RunComponent(options) => run_component::run(&options),
    }
}
