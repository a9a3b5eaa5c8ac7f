//! Following a cargo build: its progress as one bar, its diagnostics as they come, its artifacts at the end.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, anyhow};
use indicatif::ProgressBar;
use serde::Deserialize;

use crate::cli::{output, progress, toolchain};

/// What cargo must be told so that its output can be followed on a terminal.
const COLORED_ARGUMENTS: [&str; 2] = ["--message-format", "json-diagnostic-rendered-ansi"];
/// The same without colors, for a file or a pipe.
const PLAIN_ARGUMENTS: [&str; 2] = ["--message-format", "json"];
const BAR: &str = "{spinner} building plugins [{bar:24}] {pos}/{len} {wide_msg}";

/// What a cargo build has left behind.
pub(super) struct Finished {
    /// The component of each package, by cargo's identity of it.
    pub(super) artifacts: HashMap<String, PathBuf>,
    /// Whether all of it has worked.
    pub(super) success: bool,
}

#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-artifact")]
    Artifact {
        package_id: String,
        filenames: Vec<PathBuf>,
    },
    #[serde(rename = "compiler-message")]
    Diagnostic { message: Diagnostic },
    #[serde(other)]
    Else,
}

#[derive(Deserialize)]
struct Diagnostic {
    rendered: Option<String>,
}

/// Returns what cargo must be told so that its output can be followed.
pub(super) fn arguments() -> [&'static str; 2] {
    if std::io::stderr().is_terminal() {
        COLORED_ARGUMENTS
    } else {
        PLAIN_ARGUMENTS
    }
}

/// Runs a cargo build to its end.
pub(super) fn follow(mut cargo: Command) -> Result<Finished> {
    let mut running = cargo
        // The bar that cargo would draw tells how much there is to do; it is read, not shown.
        .envs([
            ("CARGO_TERM_PROGRESS_WHEN", "always"),
            ("CARGO_TERM_PROGRESS_WIDTH", "200"),
            ("CARGO_TERM_COLOR", "never"),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| toolchain::not_started("cargo", &error))?;
    let bar = progress::bar(0, BAR);
    let artifacts = read_both(&mut running, &bar);
    progress::finish(&bar, "");
    let status = running.wait().context("cargo was lost")?;
    Ok(Finished {
        artifacts: artifacts?,
        success: status.success(),
    })
}

fn read_both(running: &mut Child, bar: &ProgressBar) -> Result<HashMap<String, PathBuf>> {
    let (Some(messages), Some(words)) = (running.stdout.take(), running.stderr.take()) else {
        return Err(anyhow!("cargo has no output"));
    };
    std::thread::scope(|scope| {
        scope.spawn(|| read_words(words, bar));
        read_messages(messages)
    })
}

/// Reads the JSON messages: prints diagnostics and keeps artifacts.
fn read_messages(messages: impl Read) -> Result<HashMap<String, PathBuf>> {
    let mut artifacts = HashMap::new();
    for line in BufReader::new(messages).lines() {
        let line = line.context("cannot read what cargo says")?;
        match serde_json::from_str(&line) {
            Ok(Message::Artifact {
                package_id,
                filenames,
            }) => {
                let component = filenames
                    .into_iter()
                    .find(|file| file.extension().is_some_and(|it| it == "wasm"));
                artifacts.extend(component.map(|component| (package_id, component)));
            }
            Ok(Message::Diagnostic {
                message:
                    Diagnostic {
                        rendered: Some(rendered),
                    },
            }) => {
                output::note(rendered.trim_end());
            }
            Ok(Message::Diagnostic { .. } | Message::Else) | Err(_) => {}
        }
    }
    Ok(artifacts)
}

/// Reads what cargo says to people. It draws its bar again and again over one line, behind a carriage return.
fn read_words(words: impl Read, bar: &ProgressBar) {
    let mut words = BufReader::new(words);
    let mut line = Vec::new();
    while let Ok(read) = words.read_until(b'\n', &mut line) {
        if read == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        text.split(['\r', '\n'])
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .for_each(|word| say(word, bar));
        line.clear();
    }
}

fn say(word: &str, bar: &ProgressBar) {
    if let Some((done, all, what)) = steps(word) {
        bar.set_length(all);
        bar.set_position(done);
        bar.set_message(what.to_owned());
    } else if is_status(word) {
        bar.set_message(word.to_owned());
    } else {
        output::note(word);
    }
}

/// Reads `Building [===>   ] 12/34: serde, post`.
fn steps(word: &str) -> Option<(u64, u64, &str)> {
    let (_, rest) = word.strip_prefix("Building [")?.split_once("] ")?;
    let (count, what) = rest.split_once(':').unwrap_or((rest, ""));
    let (done, all) = count.split_once('/')?;
    Some((
        done.trim().parse().ok()?,
        all.trim().parse().ok()?,
        what.trim(),
    ))
}

/// Tells cargo's remarks on what it does from what it complains about.
fn is_status(word: &str) -> bool {
    const STATUS: [&str; 12] = [
        "Adding",
        "Blocking",
        "Building",
        "Checking",
        "Compiling",
        "Dirty",
        "Downloaded",
        "Downloading",
        "Finished",
        "Fresh",
        "Locking",
        "Updating",
    ];
    word.split_whitespace()
        .next()
        .is_some_and(|first| STATUS.contains(&first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_that_cargo_draws_is_read() {
        assert_eq!(
            steps("Building [=====>     ] 12/34: serde, post(lib)"),
            Some((12, 34, "serde, post(lib)"))
        );
        assert_eq!(steps("Building [===========] 34/34"), Some((34, 34, "")));
        assert_eq!(steps("Compiling post v0.1.0"), None);
    }

    #[test]
    fn complaints_are_told_from_remarks() {
        assert!(is_status("Compiling post v0.1.0 (/somewhere)"));
        assert!(!is_status(
            "error: could not compile `post` (lib) due to 1 previous error"
        ));
        assert!(!is_status("warning: unused manifest key"));
    }
}
