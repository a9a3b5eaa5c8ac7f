//! What is printed: results to stdout, remarks to stderr, both beside a progress bar that may be drawn.

use std::fmt::Display;
use std::io::{self, Write as _};

use serde::Serialize;

use super::progress;

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// As JSON, one value a line.
    pub(super) json: bool,
}

impl Output {
    /// Prints a result in the form that was asked for.
    pub(super) fn show(self, text: impl Display, value: &impl Serialize) -> io::Result<()> {
        if self.json {
            line(serde_json::to_string(value)?)
        } else {
            line(text)
        }
    }
}

/// Prints one line to stdout at once, whoever reads it.
pub(super) fn line(text: impl Display) -> io::Result<()> {
    progress::beside(|| {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    })
}

/// Prints one line to stderr; there is nobody to tell when that fails.
pub(super) fn note(text: impl Display) {
    progress::beside(|| {
        let _ = writeln!(io::stderr().lock(), "{text}");
    });
}
