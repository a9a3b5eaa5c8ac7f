//! The sample domain once more, in plain Rust: what a correct host has to answer and to show.
//!
//! It shares nothing with the plugins, the SDK or the host, and works another way:
//! it keeps the posts as they stand and computes every document from all of them when asked,
//! so that a mistake in folding is not made twice.
//!
//! There are two uses.
//! - [`Reference::apply`] takes commands in their order per post and says what the host has to answer.
//!   Neither the times nor the order across posts change an answer.
//! - [`Reference::record`] takes what the host has recorded, in the order of the positions,
//!   and [`Reference::documents`] gives the documents that its read models then have to hold.
//!
//! ```
//! use posts_reference::{Outcome, Reference};
//! use serde_json::json;
//!
//! let line = r#"{"aggregate":"post","id":"p1","command":"like","payload":{},"command_id":"c-1"}"#;
//! let like = posts_commands::read_lines(line).unwrap().remove(0);
//!
//! let mut reference = Reference::default();
//! let outcome = reference.apply(&like, "2026-11-23T09:30:00.000Z");
//! assert_eq!(outcome, Outcome::Refused { code: "no-such-post" });
//! assert!(reference.documents()["posts"].is_empty());
//! ```
//!
//! # Layout
//! - `domain`: which command is accepted, and what it changes.
//! - `read_models`: the documents of the three projections.

mod domain;
mod read_models;

use std::collections::BTreeMap;

pub use posts_commands::Command;
use serde_json::Value;

use domain::Post;

/// Documents by collection and id.
pub type Documents = BTreeMap<&'static str, BTreeMap<String, Value>>;

/// What the host has to answer to a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// 200 with this one event, which is now the last of its stream.
    Accepted {
        /// The version of the stream with the event.
        version: u64,
        /// The event.
        event: Event,
    },
    /// 200 with the answer that the command got when it was accepted first; nothing happens.
    Repeated {
        /// The version that was answered then.
        version: u64,
    },
    /// 422 with this code; nothing happens.
    Refused {
        /// The code.
        code: &'static str,
    },
}

/// An event that has to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The type, such as `PostCreated`.
    pub kind: &'static str,
    /// The data.
    pub data: Value,
}

/// Where a recorded event is not what its command had to lead to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// The command had to be refused, or to be answered from the first time.
    #[error("{stream}: {command_id} had to lead to no event: {outcome:?}")]
    NotAccepted {
        /// The post.
        stream: String,
        /// The command.
        command_id: String,
        /// What it had to lead to.
        outcome: Outcome,
    },
    /// The command had to lead to another event, or to one at another version.
    #[error("{stream}: {command_id} had to lead to {expected} and led to {recorded}")]
    AnotherEvent {
        /// The post.
        stream: String,
        /// The command.
        command_id: String,
        /// `type`, `version` and `data` as they had to be.
        expected: Value,
        /// The same as they were recorded.
        recorded: Value,
    },
}

/// All posts, and what happened to them.
#[derive(Debug, Default)]
pub struct Reference {
    posts: BTreeMap<String, Post>,
    /// Which version each accepted command led to.
    accepted: BTreeMap<String, u64>,
    /// Who has written a post and when it was created, in order.
    names: Vec<String>,
    /// What happened on which day.
    happened: Vec<(String, &'static str)>,
}

impl Reference {
    /// Takes the next command of its post, at a time in RFC 3339, UTC, with milliseconds.
    ///
    /// A comment without an id of its own gets `derived:<command id>`: the real one is the plugin's to derive,
    /// so use [`Reference::record`] before comparing documents.
    pub fn apply(&mut self, command: &Command, time: &str) -> Outcome {
        self.decide(command, time, None)
    }

    /// Takes an event as the host gives it (`type`, `version`, `time`, `data`) with the command that caused it,
    /// in the order of the positions.
    ///
    /// Events of commands that were refused or repeated do not exist, so those commands need not be given.
    ///
    /// # Errors
    /// When the command had to lead to something else.
    pub fn record(&mut self, command: &Command, event: &Value) -> Result<(), Mismatch> {
        let time = event["time"].as_str().unwrap_or_default();
        let comment_id = event["data"]["comment_id"].as_str();
        let outcome = self.decide(command, time, comment_id);
        let stream = command.id.clone();
        let command_id = command.command_id.clone();
        let Outcome::Accepted {
            version,
            event: expected,
        } = outcome
        else {
            return Err(Mismatch::NotAccepted {
                stream,
                command_id,
                outcome,
            });
        };
        let expected = serde_json::json!({
            "type": expected.kind, "version": version, "data": expected.data
        });
        let recorded = serde_json::json!({
            "type": event["type"], "version": event["version"], "data": event["data"]
        });
        if expected == recorded {
            return Ok(());
        }
        Err(Mismatch::AnotherEvent {
            stream,
            command_id,
            expected,
            recorded,
        })
    }

    /// The documents of `posts`, `authors` and `activity`, as canonical JSON values.
    pub fn documents(&self) -> Documents {
        BTreeMap::from([
            ("posts", read_models::posts(&self.posts)),
            ("authors", read_models::authors(&self.posts, &self.names)),
            ("activity", read_models::activity(&self.happened)),
        ])
    }

    /// How many events each post has, by its id.
    pub fn versions(&self) -> BTreeMap<&str, u64> {
        let versions = self.posts.iter();
        versions
            .map(|(id, post)| (id.as_str(), post.version))
            .collect()
    }

    fn decide(&mut self, command: &Command, time: &str, comment_id: Option<&str>) -> Outcome {
        if let Some(version) = self.accepted.get(&command.command_id) {
            return Outcome::Repeated { version: *version };
        }
        let post = self.posts.get(&command.id);
        let event = match domain::decide(post, command, comment_id) {
            Ok(event) => event,
            Err(code) => return Outcome::Refused { code },
        };
        let post = self.posts.entry(command.id.clone()).or_default();
        post.take(&event, time);
        if event.kind == "PostCreated" {
            self.names.push(post.author.clone());
        }
        self.happened.push((time.to_owned(), event.kind));
        let version = post.version;
        self.accepted.insert(command.command_id.clone(), version);
        Outcome::Accepted { version, event }
    }
}
