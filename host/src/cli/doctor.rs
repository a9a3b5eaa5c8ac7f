//! `doctor`: looks at everything that Foldhost needs, one line each, and says what to do.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;
use foldhost::config::Config;
use serde::Serialize;
use serde_json::Value;

use super::failure::Usage;
use super::output::Output;
use super::plugin;
use super::remote::{Client, Problem, Remote};
use super::serve::HostOptions;
use super::toolchain::{self, TARGET};

/// Options of `doctor`.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    host: HostOptions,
}

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it has to be.
    Ok,
    /// Good to know; some things will not work.
    Note,
    /// Has to be mended.
    Wrong,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    says: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Ok => "ok   ",
            State::Note => "note ",
            State::Wrong => "WRONG",
        };
        write!(f, "{state}  {:<13}  {}", self.what, self.says)
    }
}

fn finding(what: &'static str, state: State, says: impl Into<String>) -> Finding {
    Finding {
        what,
        state,
        says: says.into(),
    }
}

/// Looks at everything; an error when something is wrong.
pub(super) async fn run(options: Options, output: Output) -> Result<()> {
    let client = options.remote.client()?;
    let mut findings = vec![cargo(), target()];
    match options.host.read() {
        Ok(config) => {
            findings.push(finding("configuration", State::Ok, "sound"));
            findings.push(data(&config.data));
            findings.push(port(&config).await);
            findings.push(plugins(config).await);
        }
        Err(error) => findings.push(finding("configuration", State::Wrong, format!("{error:#}"))),
    }
    findings.push(host(&client).await);
    for finding in &findings {
        output.show(finding, finding)?;
    }
    match findings
        .iter()
        .filter(|finding| finding.state == State::Wrong)
        .count()
    {
        0 => Ok(()),
        wrong => bail!("{wrong} of {} are wrong", findings.len()),
    }
}

fn cargo() -> Finding {
    match toolchain::cargo().arg("--version").output() {
        Ok(told) if told.status.success() => finding(
            "cargo",
            State::Ok,
            String::from_utf8_lossy(&told.stdout).trim(),
        ),
        Ok(_) => finding(
            "cargo",
            State::Wrong,
            "does not run; install Rust from https://rustup.rs",
        ),
        Err(error) => {
            let says = format!(
                "{:#}; serving does not need it",
                toolchain::not_started("cargo", &error)
            );
            finding("cargo", State::Note, says)
        }
    }
}

fn target() -> Finding {
    const WHAT: &str = "wasm target";
    match toolchain::has_target(Path::new(".")) {
        Ok(true) => finding(WHAT, State::Ok, format!("{TARGET} is installed")),
        Ok(false) if Command::new("rustup").arg("--version").output().is_ok() => finding(
            WHAT,
            State::Note,
            format!("{TARGET} is missing; foldhost dev adds it, or rustup target add {TARGET}"),
        ),
        Ok(false) => finding(
            WHAT,
            State::Wrong,
            format!("{TARGET} is missing, and so is rustup; install it the way Rust was"),
        ),
        Err(error) => finding(
            WHAT,
            State::Note,
            format!("{error:#}; serving does not need it"),
        ),
    }
}

fn data(folder: &Path) -> Finding {
    const WHAT: &str = "data folder";
    let shown = folder.display();
    if !folder.exists() {
        return finding(
            WHAT,
            State::Ok,
            format!("{shown} is not there yet; the first start makes it"),
        );
    }
    let probe = folder.join(format!(".doctor.{}", std::process::id()));
    let written = File::create(&probe).and_then(|_| std::fs::remove_file(&probe));
    if let Err(error) = written {
        return finding(
            WHAT,
            State::Wrong,
            format!("{shown} cannot be written: {error}; choose another with --data"),
        );
    }
    match is_locked(&folder.join("lock")) {
        Ok(false) => finding(
            WHAT,
            State::Ok,
            format!("{shown} can be written, and no host has it"),
        ),
        Ok(true) => finding(
            WHAT,
            State::Note,
            format!("{shown} is in use by a running host"),
        ),
        Err(error) => finding(
            WHAT,
            State::Wrong,
            format!("the lock of {shown} cannot be tried: {error}"),
        ),
    }
}

fn is_locked(lock: &Path) -> io::Result<bool> {
    let file = match File::open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

async fn port(config: &Config) -> Finding {
    const WHAT: &str = "port";
    let listen = config.listen;
    match tokio::net::TcpListener::bind(listen).await {
        Ok(_) => finding(WHAT, State::Ok, format!("{listen} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let says = format!(
                "{listen} is taken, by a running host or by something else; --listen chooses another"
            );
            finding(WHAT, State::Note, says)
        }
        Err(error) => finding(
            WHAT,
            State::Wrong,
            format!("{listen}: {error}; choose another with --listen"),
        ),
    }
}

/// Takes every component of the folder through the host's checks.
async fn plugins(config: Config) -> Finding {
    const WHAT: &str = "plugins";
    let shown = config.plugins.display().to_string();
    let checked = tokio::task::spawn_blocking(move || plugin::check_folder(&config)).await;
    match checked {
        Ok(Ok(checked)) if checked.names.is_empty() && checked.refused.is_empty() => finding(
            WHAT,
            State::Note,
            format!("no component in {shown}; build some with foldhost plugin build or dev"),
        ),
        Ok(Ok(checked)) if checked.refused.is_empty() => finding(
            WHAT,
            State::Ok,
            format!("{shown} holds {}", checked.names.join(", ")),
        ),
        Ok(Ok(checked)) => finding(WHAT, State::Wrong, checked.refused.join("; ")),
        Ok(Err(error)) => finding(WHAT, State::Wrong, format!("{error:#}")),
        Err(error) => finding(WHAT, State::Wrong, error.to_string()),
    }
}

async fn host(client: &Client) -> Finding {
    const WHAT: &str = "running host";
    let base = client.base();
    match ready(client).await {
        Ok(()) => finding(WHAT, State::Ok, format!("{base} is ready")),
        Err(error) => match error.downcast_ref::<Problem>() {
            Some(problem) => finding(
                WHAT,
                State::Wrong,
                format!("{base} is not ready: {}", problem.detail),
            ),
            None => finding(
                WHAT,
                State::Note,
                format!("{error:#}; start one with foldhost dev or serve, or name it with --url"),
            ),
        },
    }
}

async fn ready(client: &Client) -> Result<()> {
    let url = client
        .url(&["readyz"])
        .map_err(|Usage(reason)| anyhow::anyhow!(reason))?;
    client.read::<Value>(client.get(url)).await.map(|_| ())
}
