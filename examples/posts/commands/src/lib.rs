//! Commands of the sample domain as its users might send them, the same for the same seed.
//!
//! [`generate`] gives commands that a test can send to a running host, in their order per post.
//! They are made to find what simple ones do not:
//! - few posts and few people get most of the commands (Zipf), so streams and author documents become hot;
//! - commands are sent again with the same id: at once, later, after their post is gone,
//!   and refused ones after the reason has gone away;
//! - every refusal of the domain occurs;
//! - names are written in different cases, and some that look alike are different people;
//! - texts and ids hold what breaks encoders: emoji, combining marks, right-to-left, quotes, slashes, line breaks.
//!
//! The file `examples/posts/commands.jsonl` is what `generate(SEED, COUNT)` gives, a line each; a test keeps it so.
//!
//! # Layout
//! - `text`: people with their spellings, messages, ids.
//! - `random`: the seeded numbers.
//! - `author`: what is known of the posts so far and which command comes next; `refusals` are asked for.

mod author;
mod random;
mod text;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Seed of the committed file.
pub const SEED: u64 = 20_261_123;

/// Lines of the committed file.
pub const COUNT: usize = 6_000;

/// One command, a line of the file that `foldhost command send --file` takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Always `post`.
    pub aggregate: String,
    /// Which post.
    pub id: String,
    /// The command's name in kebab-case.
    pub command: String,
    /// The payload; keys are in alphabetical order.
    pub payload: Value,
    /// Identity of the command; a repetition has that of the first.
    pub command_id: String,
}

/// Makes up so many commands, repetitions among them.
pub fn generate(seed: u64, count: usize) -> Vec<Command> {
    author::Author::new(seed).write(count)
}

/// Writes commands as JSON lines.
///
/// # Errors
/// When the output cannot be written.
pub fn write_lines(commands: &[Command], mut out: impl std::io::Write) -> std::io::Result<()> {
    for command in commands {
        serde_json::to_writer(&mut out, command)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Reads JSON lines.
///
/// # Errors
/// When a line is no command.
pub fn read_lines(text: &str) -> serde_json::Result<Vec<Command>> {
    text.lines().map(serde_json::from_str).collect()
}
