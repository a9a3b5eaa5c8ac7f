//! Finding plugin crates: the folders under a folder that cargo knows as libraries on the plugin SDK.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Result, anyhow, bail};
use serde::Deserialize;

use crate::cli::failure::Usage;
use crate::cli::toolchain;

/// The SDK's package name.
pub(super) const SDK: &str = "foldhost-plugin-sdk";

/// A crate that can be built to a component.
#[derive(Clone, Debug)]
pub(in crate::cli) struct PluginCrate {
    /// The package's name, and the component's file name.
    pub(in crate::cli) name: String,
    /// Cargo's identity of the package.
    pub(super) id: String,
    /// The folder of the workspace it belongs to; its own folder where it belongs to none.
    pub(super) workspace: PathBuf,
    /// Where that workspace's build output goes.
    pub(super) target: PathBuf,
    /// Built only when it is asked for by name.
    pub(super) test_only: bool,
}

/// What `cargo metadata` says of one workspace, as far as we need it.
#[derive(Debug, Deserialize)]
pub(super) struct Workspace {
    packages: Vec<Package>,
    pub(super) workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    id: String,
    manifest_path: PathBuf,
    metadata: Option<serde_json::Value>,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
}

/// Finds the plugin crates in folders and in the folders directly below them, by name.
///
/// A crate that cargo cannot read is an error: its plugin would be missing without a word.
fn find(sources: &[PathBuf]) -> Result<Vec<PluginCrate>> {
    let mut manifests = BTreeSet::new();
    for folder in sources {
        manifests.append(&mut manifests_in(folder)?);
    }
    let (mut found, mut known) = (BTreeMap::new(), HashSet::new());
    for manifest in &manifests {
        if known.contains(manifest) {
            continue;
        }
        let workspace = Workspace::of(manifest)?;
        for package in &workspace.packages {
            known.insert(package.manifest_path.clone());
            // A workspace has members elsewhere, too.
            if package.is_plugin() && manifests.contains(&package.manifest_path) {
                found.insert(package.name.clone(), workspace.plugin(package));
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Finds the plugin crates to work on: those named, or all but the ones that are for tests only.
pub(in crate::cli) fn choose(sources: &[PathBuf], names: &[String]) -> Result<Vec<PluginCrate>> {
    let found = find(sources)?;
    if names.is_empty() {
        return Ok(found
            .into_iter()
            .filter(|plugin| !plugin.test_only)
            .collect());
    }
    let choose = |name: &String| {
        found
            .iter()
            .find(|plugin| plugin.name == *name)
            .cloned()
            .ok_or_else(|| {
                let known: Vec<&str> = found.iter().map(|plugin| plugin.name.as_str()).collect();
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                Usage(format!(
                    "there is no plugin crate {name} in {}; there are: {known}",
                    list(sources)
                ))
            })
    };
    Ok(names.iter().map(choose).collect::<Result<_, Usage>>()?)
}

/// Lists folders for people.
pub(super) fn list(folders: &[PathBuf]) -> String {
    let folders: Vec<String> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    folders.join(", ")
}

/// Lists the manifests in a folder and directly below it, as cargo names them.
fn manifests_in(sources: &Path) -> Result<BTreeSet<PathBuf>> {
    let unreadable = |error: io::Error| {
        Usage(format!(
            "--sources {}: cannot be read: {error}; foldhost plugin new writes a first plugin",
            sources.display()
        ))
    };
    let sources = sources.canonicalize().map_err(unreadable)?;
    let entries = std::fs::read_dir(&sources)
        .map_err(unreadable)?
        .collect::<io::Result<Vec<_>>>()
        .map_err(unreadable)?;
    let folders = entries
        .into_iter()
        .map(|entry| entry.path())
        .chain([sources]);
    Ok(folders
        .map(|folder| folder.join("Cargo.toml"))
        .filter(|manifest| manifest.is_file())
        .collect())
}

impl Workspace {
    /// Asks cargo for the workspace that a manifest belongs to. The error says what cargo says.
    pub(super) fn of(manifest: &Path) -> Result<Self> {
        let asked = toolchain::cargo()
            .args([
                "metadata",
                "--no-deps",
                "--format-version",
                "1",
                "--manifest-path",
            ])
            .arg(manifest)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| toolchain::not_started("cargo", &error))?;
        if !asked.status.success() {
            let told = String::from_utf8_lossy(&asked.stderr);
            let told: Vec<&str> = told
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .collect();
            bail!(
                "cargo cannot read {}: {}",
                manifest.display(),
                told.join(" ")
            );
        }
        serde_json::from_slice(&asked.stdout)
            .map_err(|error| anyhow!("cargo metadata is not understood: {error}"))
    }

    fn plugin(&self, package: &Package) -> PluginCrate {
        PluginCrate {
            name: package.name.clone(),
            id: package.id.clone(),
            workspace: self.workspace_root.clone(),
            target: self.target_directory.clone(),
            test_only: package
                .foldhost()
                .is_some_and(|ours| ours["test-only"] == true),
        }
    }
}

impl Package {
    /// Tells whether it is a plugin: it says so itself, or it is a dynamic library on the SDK.
    fn is_plugin(&self) -> bool {
        let library = self
            .targets
            .iter()
            .any(|target| target.crate_types.iter().any(|kind| kind == "cdylib"));
        let uses_sdk = self
            .dependencies
            .iter()
            .any(|dependency| dependency.name == SDK);
        library && (uses_sdk || self.foldhost().is_some())
    }

    /// Returns the table `package.metadata.foldhost`.
    fn foldhost(&self) -> Option<&serde_json::Value> {
        self.metadata.as_ref()?.get("foldhost")
    }
}
