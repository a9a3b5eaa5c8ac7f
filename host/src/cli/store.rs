//! `store`: moving an event store, comparing it, and giving it a new identity. No host is asked: the stores themselves are.

mod digest;
mod export;
mod import;
mod open;
mod rebase;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use foldhost::transfer::{Progress, Step};
use indicatif::ProgressBar;

use super::output::Output;
use super::progress;
use super::serve::HostOptions;

const BAR: &str = "{spinner} [{bar:32}] {percent:>3} % {wide_msg} {eta}";

/// The commands of `store`.
#[derive(Subcommand)]
pub(super) enum StoreCommand {
    /// Write all events, accepted commands and plugins to a file of JSON lines.
    ///
    /// Hosts may go on meanwhile: what they record after the start is left out. Snapshots, cursors and documents are not
    /// written, since all of them are made again.
    Export(Export),
    /// Make an empty store the one that a file was exported from, identity included.
    ///
    /// The file is checked to its end before anything is written. An import that was interrupted is repeated with the same
    /// file and goes on where it was; until then no host starts on the store. Stop every host of the store first.
    Import(Import),
    /// Print digests of events, commands, active plugins and documents, by which stores can be compared.
    ///
    /// Two stores with the same history print the same. Digests of documents tell something only where the positions are
    /// equal too.
    Digest(Digest),
    /// Give the store a new identity, after its history was rewritten, as by restoring a backup.
    ///
    /// What follows the store begins anew: projections fill new generations, while the old ones serve. Stop every host of
    /// the store first.
    Rebase(Rebase),
}

/// Options of `store export`.
#[derive(Args)]
pub(super) struct Export {
    #[command(flatten)]
    host: HostOptions,
    /// The file, which must not be there yet; - writes to standard output.
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// Options of `store import`.
#[derive(Args)]
pub(super) struct Import {
    #[command(flatten)]
    host: HostOptions,
    /// What `store export` wrote.
    file: PathBuf,
}

/// Options of `store digest`.
#[derive(Args)]
pub(super) struct Digest {
    #[command(flatten)]
    host: HostOptions,
    /// Leave the documents out, and the read store alone.
    #[arg(long)]
    no_documents: bool,
}

/// Options of `store rebase`.
#[derive(Args)]
pub(super) struct Rebase {
    #[command(flatten)]
    host: HostOptions,
    /// Do it, and do not only say what would be done.
    #[arg(long)]
    yes: bool,
}

/// Runs one of them.
pub(super) async fn run(command: StoreCommand, output: Output) -> Result<()> {
    match command {
        StoreCommand::Export(options) => export::run(options, output).await,
        StoreCommand::Import(options) => import::run(options, output).await,
        StoreCommand::Digest(options) => digest::run(options, output).await,
        StoreCommand::Rebase(options) => rebase::run(options, output).await,
    }
}

/// Shows how it goes.
struct Shown(ProgressBar);

impl Shown {
    fn start() -> Self {
        Self(progress::bar(1, BAR))
    }

    fn update(&self, progress: Progress) {
        let what = match progress.step {
            Step::Checking => "checking",
            Step::Writing => "writing",
            Step::Events => "events",
            Step::Commands => "commands",
            Step::Documents => "documents",
        };
        self.0.set_message(match progress.of {
            Some(_) => what.to_owned(),
            None => format!("{} {what}", progress.done),
        });
        self.0
            .set_length(progress.of.unwrap_or(progress.done).max(1));
        self.0.set_position(progress.done);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        progress::finish(&self.0, "");
    }
}
