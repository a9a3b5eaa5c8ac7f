//! `plugin build`: from plugin crates to components in a folder.
//!
//! One cargo run per workspace, in a target folder of its own, so that it never waits for the lock of a build of the
//! host. A component is written beside its place and renamed, and only when its bytes differ from what stands there, so
//! that whoever watches the folder sees whole files and no idle changes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use foldhost::message::Digest;
use serde::Serialize;

use super::cargo_output;
use super::crates::{self, PluginCrate};
use crate::cli::output::Output;
use crate::cli::toolchain::{self, TARGET};

/// How components are compiled, whatever the crate's own workspace says of its release profile.
///
/// Measured on the sample `post` (two cores, dependencies built): 5.6 s and 382 kB; with fat LTO, which cargo only
/// does for a crate that is no `rlib` too, 8.6 s and 333 kB; with 16 codegen units 466 kB.
const PROFILE: [(&str, &str); 5] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    // A sum that wraps would be recorded for ever; a trap is told, and records nothing.
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
];
/// Where the plugins of a workspace are built, below its target folder.
const BELOW_TARGET: &str = "plugins";

/// Options of `plugin build`.
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
    /// The folder for the components, each called after its crate.
    #[arg(long, value_name = "DIR", default_value = "plugins/build")]
    out: PathBuf,
}

/// What came of a build.
#[derive(Debug, Default)]
pub(in crate::cli) struct Report {
    /// The components that are there now, by name.
    pub(in crate::cli) built: Vec<Built>,
    /// The crates that cannot be built; the compiler has said why.
    pub(in crate::cli) failed: Vec<String>,
    /// How long it took.
    pub(in crate::cli) took: Duration,
}

/// One component in its place.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Built {
    /// The crate's name.
    pub(in crate::cli) name: String,
    /// The component's file.
    pub(in crate::cli) file: PathBuf,
    /// The identity of its bytes.
    pub(in crate::cli) digest: String,
    /// How many bytes it has.
    pub(in crate::cli) bytes: usize,
    /// Whether it differs from what stood there before.
    pub(in crate::cli) changed: bool,
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.changed { "written" } else { "unchanged" };
        write!(
            f,
            "{} {} ({} kB, {}, {state})",
            self.name,
            self.file.display(),
            self.bytes / 1000,
            &self.digest[..12]
        )
    }
}

/// Builds and prints what was built.
pub(super) fn run(options: &Options, output: Output) -> Result<()> {
    let chosen = crates::choose(&options.sources, &options.names)?;
    if chosen.is_empty() {
        bail!(
            "there is no plugin crate in {}; write one with foldhost plugin new",
            crates::list(&options.sources)
        );
    }
    let report = build(&chosen, &options.out)?;
    for built in &report.built {
        output.show(built, built)?;
    }
    report.complete()
}

impl Report {
    /// Makes an error of crates that could not be built.
    pub(super) fn complete(&self) -> Result<()> {
        if self.failed.is_empty() {
            return Ok(());
        }
        bail!(
            "cannot build {}; the compiler's messages are above",
            self.failed.join(", ")
        )
    }
}

/// Builds crates and puts their components into a folder. One that does not build keeps none of the others from it.
pub(in crate::cli) fn build(crates: &[PluginCrate], out: &Path) -> Result<Report> {
    let started = Instant::now();
    let components = compile(crates)?;
    let mut report = Report::default();
    for plugin in crates {
        match components.get(&plugin.name) {
            Some(component) => report.built.push(put(&plugin.name, component, out)?),
            None => report.failed.push(plugin.name.clone()),
        }
    }
    report.took = started.elapsed();
    Ok(report)
}

/// Compiles crates and says where the components of those that do compile are, by name.
pub(super) fn compile(crates: &[PluginCrate]) -> Result<BTreeMap<String, PathBuf>> {
    let mut workspaces: BTreeMap<&Path, Vec<&PluginCrate>> = BTreeMap::new();
    for plugin in crates {
        workspaces
            .entry(&plugin.workspace)
            .or_default()
            .push(plugin);
    }
    let mut components = BTreeMap::new();
    for (workspace, members) in workspaces {
        toolchain::ensure_target(workspace)?;
        compile_workspace(workspace, &members, &mut components)?;
    }
    Ok(components)
}

fn compile_workspace(
    workspace: &Path,
    members: &[&PluginCrate],
    components: &mut BTreeMap<String, PathBuf>,
) -> Result<()> {
    let Some(first) = members.first() else {
        return Ok(());
    };
    let mut cargo = toolchain::cargo();
    cargo
        .args([
            "build",
            "--release",
            "--keep-going",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(first.build_folder())
        .args(cargo_output::arguments())
        .args(members.iter().flat_map(|plugin| ["--package", &plugin.id]))
        .envs(PROFILE)
        .current_dir(workspace)
        .stdin(Stdio::null());
    let finished = cargo_output::follow(cargo)?;
    for plugin in members {
        if let Some(component) = finished.artifacts.get(&plugin.id) {
            components.insert(plugin.name.clone(), component.clone());
        }
    }
    let complete = members
        .iter()
        .all(|plugin| finished.artifacts.contains_key(&plugin.id));
    if complete && !finished.success {
        bail!("cargo has failed in {}", workspace.display());
    }
    Ok(())
}

impl PluginCrate {
    /// Returns the target folder of component builds.
    pub(super) fn build_folder(&self) -> PathBuf {
        self.target.join(BELOW_TARGET)
    }
}

/// Puts a component into its place, whole or not at all.
fn put(name: &str, component: &Path, folder: &Path) -> Result<Built> {
    let bytes =
        std::fs::read(component).with_context(|| format!("cannot read {}", component.display()))?;
    let file = folder.join(format!("{name}.wasm"));
    let changed = !std::fs::read(&file).is_ok_and(|present| present == bytes);
    if changed {
        let unfinished = folder.join(format!(".{name}.wasm.{}.tmp", std::process::id()));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&unfinished, &bytes))
            .and_then(|()| std::fs::rename(&unfinished, &file))
            .map_err(|error| anyhow!("cannot write {}: {error}", file.display()))?;
    }
    Ok(Built {
        name: name.to_owned(),
        file,
        digest: Digest::of(&bytes).to_string(),
        bytes: bytes.len(),
        changed,
    })
}
