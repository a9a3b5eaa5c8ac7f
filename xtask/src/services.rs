//! `cargo xtask services`: the servers of the cluster profile, on every machine.
//!
//! Each server is, in this order: what the environment names (`FOLDHOST_EVENT_STORE`, `FOLDHOST_EVENT_LOG`,
//! `FOLDHOST_READ_STORE`), what `up` started before, a container where Docker works, or a process of its own with
//! programs from a package registry. Everything lies under `target/services`: programs, `data/`, `logs/`, and
//! `state.json`, which names what runs. `down` stops exactly what is named there.
//!
//! - `given`: what the environment names, and what the tests are told.
//! - `docker`: containers, through `docker-compose.yml`.
//! - `start`: processes of our own.
//! - `state`: what runs, from one call to the next.

mod docker;
pub(crate) mod given;
mod start;
mod state;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use foldhost_test_servers::Kind;

use crate::{note, root, say};
use state::Locked;

/// What to do with the servers.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Makes all three available, in the background, and prints three lines for a shell: `eval "$(cargo xtask services up)"`.
    Up,
    /// Gets the programs of what `up` would start as processes, and starts nothing.
    Prepare,
    /// Shows each server. The exit code is 1 when one does not answer.
    Status,
    /// Stops what `up` started, and nothing else. Data and logs stay.
    Down {
        /// Also delete the data.
        #[arg(long)]
        delete: bool,
    },
    /// Stops what a run of the tests has started, when its input ends: however that run ends.
    #[command(hide = true)]
    StopAfterTests,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match options.action {
        Action::Up => up(),
        Action::Prepare => prepare(),
        Action::Status => status(),
        Action::Down { delete } => Locked::open()?.down(delete),
        Action::StopAfterTests => {
            std::io::stdin().read_to_end(&mut Vec::new())?;
            Locked::open()?.stop_after_tests()
        }
    }
}

/// Where everything of the servers lies.
pub(crate) fn folder() -> PathBuf {
    root().join("target").join("services")
}

/// The servers that answer, by their URLs, and why the others do not.
pub(crate) struct Available {
    /// URLs as the host's settings take them.
    pub(crate) urls: BTreeMap<Kind, String>,
    /// What went wrong, for those that are not there.
    pub(crate) failed: BTreeMap<Kind, anyhow::Error>,
}

impl Available {
    /// Fails, naming all that could not be had.
    pub(crate) fn or_fail(&self) -> anyhow::Result<()> {
        let reasons = self.failed.iter();
        let reasons = reasons.map(|(kind, error)| format!("{}: {error:#}", kind.name()));
        match reasons.collect::<Vec<_>>() {
            none if none.is_empty() => Ok(()),
            some => bail!("not every server is to be had\n{}", some.join("\n")),
        }
    }
}

/// Makes the servers available. What is started for tests only is marked, so that it is stopped after them.
pub(crate) fn make_available(for_tests: bool) -> anyhow::Result<Available> {
    let mut locked = Locked::open()?;
    let mut available = Available {
        urls: BTreeMap::new(),
        failed: BTreeMap::new(),
    };
    let mut wanted = Vec::new();
    for kind in Kind::ALL {
        match locked.already(kind) {
            Ok(Some(url)) => _ = available.urls.insert(kind, url),
            Ok(None) => wanted.push(kind),
            Err(error) => _ = available.failed.insert(kind, error),
        }
    }
    if !wanted.is_empty() && docker::works() {
        match docker::up(&mut locked, &wanted, for_tests) {
            Ok(urls) => {
                available.urls.extend(urls);
                wanted.clear();
            }
            Err(error) => note(&format!("Docker is there, but: {error:#}")),
        }
    }
    for (kind, started) in start::all(&mut locked, &wanted, for_tests) {
        match started {
            Ok(url) => _ = available.urls.insert(kind, url),
            Err(error) => _ = available.failed.insert(kind, error),
        }
    }
    Ok(available)
}

fn up() -> anyhow::Result<()> {
    let available = make_available(false)?;
    available.or_fail()?;
    for (kind, url) in &available.urls {
        say(&format!("export {}={}", given::setting(*kind), quoted(url)));
    }
    Ok(())
}

fn prepare() -> anyhow::Result<()> {
    // Two calls at a time would fetch everything twice.
    let _locked = Locked::open()?;
    let is_given = |kind: &Kind| given::url(*kind).is_some();
    let wanted = Kind::ALL.into_iter().filter(|kind| !is_given(kind));
    if docker::works() {
        return Ok(());
    }
    start::prepare(&wanted.collect::<Vec<_>>())
}

/// As a shell reads it back: a URL's options are joined by what a shell takes for itself.
fn quoted(url: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ":/@.,_-%".contains(c);
    if url.chars().all(is_plain) {
        return url.to_owned();
    }
    format!("'{}'", url.replace('\'', "'\\''"))
}

fn status() -> anyhow::Result<()> {
    let locked = Locked::open()?;
    let mut all_answer = true;
    for kind in Kind::ALL {
        let line = match (locked.started(kind), given::url(kind)) {
            (Some(entry), _) => {
                all_answer &= entry.answers(kind);
                entry.describe(kind)
            }
            (None, Some(url)) => {
                let answers = given::answers(kind, &url);
                all_answer &= answers;
                let setting = given::setting(kind);
                format!("named by {setting}, {}", state::answering(answers))
            }
            (None, None) => {
                all_answer = false;
                "not up".to_owned()
            }
        };
        say(&format!("{:<9} {line}", kind.name()));
    }
    if !all_answer {
        bail!("not every server answers");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_url_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted("kafka://a:1,b:2/topic"), "kafka://a:1,b:2/topic");
        assert_eq!(quoted("mongodb://a/b?c=d&e=f"), "'mongodb://a/b?c=d&e=f'");
        assert_eq!(quoted("x'y"), "'x'\\''y'");
    }
}
