//! Reading a file of commands line by line, however long it is.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use foldhost::message::CommandId;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};

use super::delivery::Outgoing;

/// The longest line: a body of one mebibyte, which is the most a host takes by default, and what stands around it.
const MAX_LINE: usize = 2 * 1024 * 1024;

/// Read from a file at a time: each read is a trip to another thread.
const BUFFER: usize = 256 * 1024;

/// Reads lines; waiting for one can be given up and taken up again.
pub(super) struct Lines {
    input: Box<dyn AsyncBufRead + Send + Unpin>,
    line: Vec<u8>,
    number: u64,
    /// How many bytes the input has, where that is known.
    pub(super) size: Option<u64>,
}

/// One line of the file.
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    /// How many bytes it has, with its end.
    pub(super) bytes: usize,
    /// The command; or why there is none.
    pub(super) command: Result<Outgoing, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    aggregate: String,
    id: String,
    command: String,
    payload: Option<Box<RawValue>>,
    command_id: Option<String>,
}

impl Lines {
    /// Opens a file, or standard input for `-`.
    pub(super) async fn open(file: &str) -> Result<Self> {
        if file == "-" {
            return Ok(Self::new(
                Box::new(BufReader::new(tokio::io::stdin())),
                None,
            ));
        }
        let open = tokio::fs::File::open(Path::new(file))
            .await
            .with_context(|| format!("cannot open {file}"))?;
        let about = open
            .metadata()
            .await
            .with_context(|| format!("cannot read {file}"))?;
        Ok(Self::new(
            Box::new(BufReader::with_capacity(BUFFER, open)),
            about.is_file().then_some(about.len()),
        ))
    }

    fn new(input: Box<dyn AsyncBufRead + Send + Unpin>, size: Option<u64>) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
            size,
        }
    }

    /// Reads the next line that is not blank; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Line>> {
        loop {
            let more = self.read_line().await?;
            if !more && self.line.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            let line = std::mem::take(&mut self.line);
            if !line.trim_ascii().is_empty() {
                return Ok(Some(Line {
                    number: self.number,
                    bytes: line.len(),
                    command: parse(&line),
                }));
            }
        }
    }

    /// Reads to the end of the line; tells whether there was one. What was read before stays when it is given up.
    async fn read_line(&mut self) -> Result<bool> {
        loop {
            let available = self
                .input
                .fill_buf()
                .await
                .context("cannot read the commands")?;
            if available.is_empty() {
                return Ok(false);
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            if self.line.len() + taken > MAX_LINE {
                bail!("line {} has more than {MAX_LINE} bytes", self.number + 1);
            }
            self.line.extend_from_slice(&available[..taken]);
            self.input.consume(taken);
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

fn parse(line: &[u8]) -> Result<Outgoing, String> {
    let written: Written = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    Ok(Outgoing {
        aggregate: written.aggregate,
        id: written.id,
        command: written.command,
        payload: written.payload,
        command_id: written
            .command_id
            .unwrap_or_else(|| CommandId::random().to_string()),
        expect: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &'static str) -> Vec<(u64, Result<String, String>)> {
        let mut lines = Lines::new(Box::new(text.as_bytes()), None);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push((line.number, line.command.map(|command| command.command_id)));
        }
        all
    }

    #[tokio::test]
    async fn blank_lines_are_skipped_and_the_last_line_needs_no_end() {
        let read = all(concat!(
            "{\"aggregate\":\"post\",\"id\":\"1\",\"command\":\"like\",\"command_id\":\"a\"}\n",
            "\n",
            "{\"aggregate\":\"post\",\"id\":\"1\",\"command\":\"like\",\"command_id\":\"b\",\"payload\":{}}",
        ));
        assert_eq!(
            read.await,
            [(1, Ok("a".to_owned())), (3, Ok("b".to_owned()))]
        );
    }

    #[tokio::test]
    async fn a_line_that_is_no_command_says_why() {
        let read = all(
            "{\"aggregate\":\"post\",\"id\":\"1\",\"command\":\"like\",\"comand_id\":\"a\"}\nno\n",
        )
        .await;
        assert!(
            read[0]
                .1
                .as_ref()
                .unwrap_err()
                .contains("unknown field `comand_id`"),
            "{read:?}"
        );
        assert!(read[1].1.is_err());
    }
}
