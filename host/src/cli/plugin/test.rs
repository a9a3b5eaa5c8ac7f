//! `plugin test`: a crate's tests twice, natively and against the compiled component.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Serialize;

use super::build;
use super::crates::{self, PluginCrate};
use super::run_component::CACHE_VARIABLE;
use crate::cli::output::{self, Output};
use crate::cli::toolchain;

/// Options of `plugin test`.
#[derive(Args)]
pub(in crate::cli) struct Options {
    /// Only these crates; without names all but those whose `package.metadata.foldhost` says `test-only`.
    names: Vec<String>,
    /// The folder of plugin crates; may be given several times.
    #[arg(
        long,
        env = "FOLDHOST_SOURCES",
        value_name = "DIR",
        default_value = "plugins"
    )]
    sources: Vec<PathBuf>,
}

/// How the tests of one crate ended.
#[derive(Debug, Serialize)]
struct Tested {
    name: String,
    native: bool,
    /// `None` where there is no component to test.
    component: Option<bool>,
}

impl Tested {
    fn passed(&self) -> bool {
        self.native && self.component == Some(true)
    }
}

impl fmt::Display for Tested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |passed: bool| if passed { "passed" } else { "FAILED" };
        let component = self.component.map_or("does not build", word);
        write!(
            f,
            "{}: natively {}, as a component {component}",
            self.name,
            word(self.native)
        )
    }
}

/// Runs all tests, whatever fails, then says what has.
pub(super) fn run(options: &Options, output: Output) -> Result<()> {
    let chosen = crates::choose(&options.sources, &options.names)?;
    if chosen.is_empty() {
        bail!(
            "there is no plugin crate in {}; write one with foldhost plugin new",
            crates::list(&options.sources)
        );
    }
    let runner = std::env::current_exe().context("cannot tell where this program is")?;
    let mut tested = Vec::new();
    for plugin in &chosen {
        output::note(format!("testing {} natively", plugin.name));
        tested.push(Tested {
            name: plugin.name.clone(),
            native: test(plugin, None)?,
            component: None,
        });
    }
    let components = build::compile(&chosen)?;
    for (plugin, tested) in chosen.iter().zip(&mut tested) {
        let Some(component) = components.get(&plugin.name) else {
            continue;
        };
        output::note(format!("testing {} as a component", plugin.name));
        tested.component = Some(test(plugin, Some((&runner, component)))?);
    }
    for tested in &tested {
        output.show(tested, tested)?;
    }
    match tested.iter().filter(|tested| !tested.passed()).count() {
        0 => Ok(()),
        failed => bail!(
            "{failed} of {} plugins do not pass their tests",
            tested.len()
        ),
    }
}

/// Runs a crate's tests. What cargo and the tests print goes to stderr: stdout is for the result.
fn test(plugin: &PluginCrate, component: Option<(&Path, &Path)>) -> Result<bool> {
    let mut cargo = toolchain::cargo();
    cargo
        .args(["test", "--quiet", "--package", &plugin.id])
        .current_dir(&plugin.workspace);
    cargo
        .env_remove("FOLDHOST_TEST_RUNNER")
        .env_remove("FOLDHOST_TEST_COMPONENT");
    if let Some((runner, component)) = component {
        cargo
            .env("FOLDHOST_TEST_RUNNER", runner)
            .env("FOLDHOST_TEST_COMPONENT", component);
        cargo.env(CACHE_VARIABLE, plugin.build_folder().join("compiled"));
    }
    succeeds(cargo)
}

fn succeeds(mut cargo: Command) -> Result<bool> {
    let status = cargo
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(|error| toolchain::not_started("cargo", &error))?;
    Ok(status.success())
}
