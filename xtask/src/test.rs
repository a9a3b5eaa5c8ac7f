//! `cargo xtask test`.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{cargo, root, say};

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Also run what takes longer: all fifty kills instead of five.
    #[arg(long)]
    full: bool,
    /// Go on without what cannot be had, and name every test that did not run.
    #[arg(long)]
    allow_missing: bool,
}

/// Crates whose tests run a second time against their compiled component.
const PLUGINS: &[&str] = &[
    "post", "posts", "authors", "activity", "permit", "permits", "workload", "flow",
];

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    add_target()?;
    let missing = root().join("target").join("missing-tests.txt");
    fs::create_dir_all(root().join("target"))?;
    fs::write(&missing, "").context("the list of tests that do not run cannot be begun")?;
    let list = missing.display().to_string();
    let mut environment = vec![("FOLDHOST_MISSING_LIST", list.as_str())];
    if options.full {
        environment.push(("FOLDHOST_TEST_FULL", "1"));
    }
    if options.allow_missing {
        environment.push(("FOLDHOST_ALLOW_MISSING", "1"));
    }
    cargo(&["test", "--workspace", "--no-fail-fast"], &environment)?;
    let mut plugins = vec!["run", "--package", "foldhost", "--", "plugin", "test"];
    plugins.extend(["--sources", "plugins", "--sources", "examples/permits"]);
    plugins.extend(PLUGINS);
    cargo(&plugins, &environment)?;
    report(&fs::read_to_string(&missing)?, options)
}

fn report(missing: &str, options: &Options) -> anyhow::Result<()> {
    if missing.is_empty() {
        say("every test ran, and passed");
        return Ok(());
    }
    say("these tests did not run:");
    missing.lines().for_each(|line| say(&format!("  {line}")));
    if options.allow_missing {
        return Ok(());
    }
    bail!("something that tests need is missing; --allow-missing goes on without it");
}

/// Plugins are built for WebAssembly by the tests themselves.
fn add_target() -> anyhow::Result<()> {
    let status = Command::new("rustup")
        .args(["target", "add", "wasm32-wasip2"])
        .current_dir(root())
        .status();
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    bail!(
        "rustup cannot add the target wasm32-wasip2, which plugins are built for: install rustup, or add the target"
    );
}
