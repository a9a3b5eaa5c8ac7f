//! The receipts file: what was answered, one JSON line a command, there as soon as the answer is.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::cli::remote::Problem;

/// Writes receipts. Without a file it writes nothing.
pub(super) struct Receipts(Option<File>);

/// One answered command.
#[derive(Serialize)]
pub(super) struct Receipt<'a> {
    pub(super) command_id: &'a str,
    pub(super) status: u16,
    pub(super) position: Option<u64>,
    pub(super) version: Option<u64>,
    pub(super) code: Option<&'a str>,
}

impl<'a> Receipt<'a> {
    /// The receipt of a command that was not accepted.
    pub(super) fn of_problem(command_id: &'a str, problem: &'a Problem) -> Self {
        let (status, code) = (problem.status, Some(problem.code.as_str()));
        Self {
            command_id,
            status,
            position: None,
            version: None,
            code,
        }
    }
}

impl Receipts {
    /// Opens a file to add to: a run that goes on where another one ended keeps the receipts of both.
    pub(super) fn open(file: Option<&Path>) -> Result<Self> {
        let open = |file: &Path| {
            let opened = OpenOptions::new().create(true).append(true).open(file);
            opened.with_context(|| format!("cannot write {}", file.display()))
        };
        Ok(Self(file.map(open).transpose()?))
    }

    /// Writes a line with one write, so that whoever reads the file sees whole lines.
    pub(super) fn write(&mut self, receipt: &Receipt<'_>) -> Result<()> {
        let Some(file) = &mut self.0 else {
            return Ok(());
        };
        let mut line = serde_json::to_string(receipt)?;
        line.push('\n');
        file.write_all(line.as_bytes())
            .context("cannot write the receipts")
    }
}
