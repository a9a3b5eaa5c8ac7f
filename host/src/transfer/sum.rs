//! Digests over lines.

use sha2::{Digest as _, Sha256};

use crate::message::Digest;

/// Lines of one kind: how many, and their digest so far.
#[derive(Clone, Default)]
pub(super) struct Sum {
    lines: u64,
    hash: Sha256,
}

impl Sum {
    /// Adds a line, given without its end.
    pub(super) fn add(&mut self, line: &[u8]) {
        self.lines += 1;
        self.hash.update(line);
        self.hash.update(b"\n");
    }

    /// Returns how many lines there were.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Returns their digest.
    pub(super) fn digest(self) -> Digest {
        Digest(self.hash.finalize().into())
    }
}
