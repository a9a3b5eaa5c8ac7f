//! `plugin new`: the crate of a plugin that builds, passes its tests and runs at once.

mod names;
mod placing;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cli::failure::Usage;
use crate::cli::output::Output;
use names::Names;
use placing::Dependencies;

const AGGREGATE: [&str; 2] = [
    include_str!("new/aggregate.lib.rs.template"),
    include_str!("new/aggregate.test.rs.template"),
];
const PROJECTION: [&str; 2] = [
    include_str!("new/projection.lib.rs.template"),
    include_str!("new/projection.test.rs.template"),
];

/// Options of `plugin new`.
#[derive(Args)]
pub(in crate::cli) struct Options {
    /// What the plugin is called: a lower-case letter, then lower-case letters, digits, _ or -.
    name: String,
    /// What it defines.
    #[arg(long, value_enum)]
    kind: Kind,
    /// The folder of the new crate [default: plugins/NAME].
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// For a projection: the aggregate whose events it folds. The default is the one that `plugin new counter --kind
    /// aggregate` writes.
    #[arg(long, value_name = "AGGREGATE", default_value = "counter")]
    of: String,
    /// The folder of the plugin SDK, where it is not in a folder above.
    #[arg(long, env = "FOLDHOST_SDK", value_name = "DIR")]
    sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Decides commands over one stream.
    Aggregate,
    /// Folds the events of all streams into documents.
    Projection,
}

/// Writes the crate. What cannot be finished is taken away again.
pub(super) fn run(options: &Options, output: Output) -> Result<()> {
    let names = Names::of(&options.name, &options.of)?;
    let folder = options
        .path
        .clone()
        .unwrap_or_else(|| Path::new("plugins").join(&options.name));
    if std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Usage(format!(
            "{} is not empty; choose another --path",
            folder.display()
        ))
        .into());
    }
    let sdk = placing::find_sdk(options.sdk.as_deref(), &folder)?;
    let written = write(&folder, options.kind, &names, &sdk);
    if written.is_err() {
        // It was empty before; the error that is told is the first one.
        let _ = std::fs::remove_dir_all(&folder);
    }
    written?;
    let told = format!(
        "wrote {}\ntry: {}",
        folder.display(),
        next_step(&options.name, &folder)
    );
    output.show(told, &json!({ "name": options.name, "folder": folder, "next": next_step(&options.name, &folder) }))?;
    Ok(())
}

fn write(folder: &Path, kind: Kind, names: &Names, sdk: &Path) -> Result<()> {
    let [library, test] = match kind {
        Kind::Aggregate => AGGREGATE,
        Kind::Projection => PROJECTION,
    };
    let files = [
        (folder.join("src/lib.rs"), names.fill(library)),
        (
            folder.join(format!("tests/{}.rs", names.crate_name)),
            names.fill(test),
        ),
    ];
    for (file, text) in &files {
        put(file, text)?;
    }
    placing::place(folder, sdk, &|dependencies| {
        manifest(kind, names, dependencies)
    })?;
    // A name that makes a line too long; without rustfmt it stays so.
    let _ = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .args(files.iter().map(|(file, _)| file))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    Ok(())
}

/// Writes a file and the folders it is in.
fn put(file: &Path, text: &str) -> Result<()> {
    let parent = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)
        .and_then(|()| std::fs::write(file, text))
        .with_context(|| format!("cannot write {}", file.display()))
}

fn manifest(kind: Kind, names: &Names, dependencies: &Dependencies) -> String {
    let (kind, about) = match kind {
        Kind::Aggregate => ("aggregate", format!("Aggregate {}.", names.aggregate)),
        Kind::Projection => (
            "projection",
            format!("The streams of {} as they stand.", names.of),
        ),
    };
    let name = &names.name;
    let Dependencies {
        sdk,
        serde_json,
        rest,
    } = dependencies;
    format!(
        r#"[package]
name = "{name}"
description = "{about}"
version = "0.1.0"
edition = "2024"
publish = false

[package.metadata.foldhost]
kind = "{kind}"

[lib]
crate-type = ["cdylib", "rlib"]
doctest = false

[dependencies]
foldhost-plugin-sdk{sdk}

[dev-dependencies]
serde_json{serde_json}
{rest}"#
    )
}

fn next_step(name: &str, folder: &Path) -> String {
    let sources = folder.parent().unwrap_or(Path::new("."));
    if sources == Path::new("plugins") {
        format!("foldhost plugin test {name}")
    } else {
        format!(
            "foldhost plugin test {name} --sources {}",
            sources.display()
        )
    }
}
