//! Reading an export, line by line.

use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::Error;
use super::record::{FORMAT, Header, Line, VERSION};
use crate::message::Digest;

/// The most bytes of a line: room for the largest plugin that a host takes.
const MAX_LINE: usize = 96 << 20;
/// The most bytes of a line that is shown.
const BUFFER: usize = 256 << 10;

/// A file under way.
pub(super) struct Lines {
    file: PathBuf,
    input: BufReader<File>,
    line: Vec<u8>,
    /// Whether the line has its end.
    whole: bool,
    /// The number of the line that was read last.
    pub(super) number: u64,
    /// Bytes read so far.
    pub(super) read: u64,
    /// Bytes of the file.
    pub(super) size: u64,
}

impl Lines {
    pub(super) async fn open(file: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Read {
            file: file.to_owned(),
            source,
        };
        let opened = File::open(file).await.map_err(unreadable)?;
        let size = opened.metadata().await.map_err(unreadable)?.len();
        Ok(Self {
            file: file.to_owned(),
            input: BufReader::with_capacity(BUFFER, opened),
            line: Vec::new(),
            whole: false,
            number: 0,
            read: 0,
            size,
        })
    }

    /// Reads the header, and gives it with the digest of its line: which export this is.
    pub(super) async fn header(&mut self) -> Result<(Header, Digest), Error> {
        let no_export = |reason: &str| Error::NotAnExport {
            reason: reason.to_owned(),
        };
        if !self.advance().await? {
            return Err(no_export("it is empty"));
        }
        let header = match serde_json::from_slice(&self.line) {
            Ok(Line::Header(header)) if header.format == FORMAT => header,
            Ok(_) | Err(_) => return Err(no_export("its first line is no header of one")),
        };
        if header.version != VERSION {
            let version = header.version;
            return Err(no_export(&format!(
                "it has version {version} of the format, this host knows {VERSION}"
            )));
        }
        Ok((header, Digest::of(&self.line)))
    }

    /// Reads the next line; `None` at the end of the file.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, Error> {
        if !self.advance().await? {
            return Ok(None);
        }
        match serde_json::from_slice(&self.line) {
            Ok(line) => Ok(Some(line)),
            // What was cut off in the middle of a line is told as that.
            Err(_) if !self.whole => Ok(None),
            Err(error) => Err(self.wrong(format!("not understood: {error}"))),
        }
    }

    /// Returns the line that was read last, without its end.
    pub(super) fn text(&self) -> &[u8] {
        &self.line
    }

    /// Says what is wrong with the line that was read last.
    pub(super) fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Line {
            line: self.number,
            reason: reason.into(),
        }
    }

    async fn advance(&mut self) -> Result<bool, Error> {
        self.line.clear();
        self.number += 1;
        loop {
            let available = self.input.fill_buf().await.map_err(|source| Error::Read {
                file: self.file.clone(),
                source,
            })?;
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            self.line
                .extend_from_slice(&available[..end.unwrap_or(taken)]);
            self.read += taken as u64;
            self.input.consume(taken);
            self.whole = end.is_some();
            if self.whole || taken == 0 {
                return Ok(self.whole || !self.line.is_empty());
            }
            if self.line.len() > MAX_LINE {
                return Err(self.wrong(format!("more than {MAX_LINE} bytes")));
            }
        }
    }
}
