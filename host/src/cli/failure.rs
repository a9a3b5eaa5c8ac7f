//! How a command ends that did not work: one line, and an exit code.

use std::io;
use std::process::ExitCode;

use foldhost::config::InvalidConfig;
use serde_json::json;

use super::output::{self, Output};
use super::remote::Problem;

/// The command line or the configuration is wrong; the process ends with 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// Prints an error in one line and gives the process's exit code.
pub(super) fn report(error: &anyhow::Error, output: Output) -> ExitCode {
    if is_broken_pipe(error) {
        // Whoever read our output has seen enough.
        return ExitCode::SUCCESS;
    }
    let line = format!("{error:#}")
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ");
    let told = if output.json {
        let problem = error.downcast_ref::<Problem>();
        let (code, status) = (
            problem.map(|it| it.code.as_str()),
            problem.map(|it| it.status),
        );
        json!({ "error": { "detail": line, "code": code, "status": status } }).to_string()
    } else {
        format!("error: {line}")
    };
    output::note(&told);
    let usage = error
        .chain()
        .any(|cause| cause.is::<Usage>() || cause.is::<InvalidConfig>());
    ExitCode::from(if usage { 2 } else { 1 })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
