//! A folder of an author: a cargo workspace that takes what is in `plugins`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::foldhost;
use crate::support::root;

/// Where an author works. The same place in every run, so that cargo has less to do.
pub(crate) struct Workspace {
    pub(crate) folder: PathBuf,
}

impl Workspace {
    /// Begins again from nothing.
    pub(crate) fn begin(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // It may not have been there.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let sdk = root().join("plugin-sdk");
        // The profile of our own workspace: what it has compiled is compiled.
        let manifest = format!(
            r#"
            [workspace]
            resolver = "3"
            members = ["plugins/*"]
            exclude = ["plugins/build"]

            [workspace.dependencies]
            foldhost-plugin-sdk = {{ path = {sdk:?} }}

            [workspace.lints.clippy]
            all = "deny"

            [profile.dev]
            debug = "line-tables-only"

            [profile.dev.package."*"]
            opt-level = 2
            debug = false
            "#
        );
        std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        std::fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        Self { folder }
    }

    pub(crate) fn foldhost(&self, arguments: &[&str]) -> Command {
        let mut command = foldhost(&self.folder, arguments);
        command.env("CARGO_TARGET_DIR", root().join("target"));
        command
    }

    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).current_dir(&self.folder);
        command.env("CARGO_TARGET_DIR", root().join("target"));
        command
    }
}
