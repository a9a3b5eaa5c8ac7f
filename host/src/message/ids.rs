//! Names, identities and numbers.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The most bytes of an aggregate id: room for any natural key, small enough for an index row.
const MAX_AGGREGATE_ID: usize = 200;
/// The most bytes of an aggregate's name.
const MAX_NAME: usize = 64;
/// The most bytes of a command id.
const MAX_COMMAND_ID: usize = 200;

/// Place of an event in the whole store, from 1, dense and in commit order; 0 stands before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// Place of an event in its stream, from 1; 0 means that there is no stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// Returns the place behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Version {
    /// No stream.
    pub const NONE: Self = Self(0);

    /// Returns the version behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A name or id that does not have the form it must have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} is not valid: {rule}")]
pub struct InvalidId {
    /// Which kind of name or id.
    pub what: &'static str,
    /// What was given, shortened.
    pub given: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl InvalidId {
    fn new(what: &'static str, given: &str, rule: &'static str) -> Self {
        let given = given.chars().take(60).collect();
        Self { what, given, rule }
    }
}

/// The name of an aggregate type; equals the category of its streams.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregateName(Arc<str>);

impl AggregateName {
    /// Parses a lower-case letter followed by lower-case letters, digits or `_`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        const RULE: &str = "a lower-case letter, then lower-case letters, digits or _, 64 at most";
        let mut characters = text.chars();
        let first = characters.next().is_some_and(|c| c.is_ascii_lowercase());
        let rest = characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if first && rest && text.len() <= MAX_NAME {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::new("aggregate", text, RULE))
        }
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AggregateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which stream: `<category>-<aggregate id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// Names the stream of one aggregate instance.
    pub fn new(aggregate: &AggregateName, id: &str) -> Result<Self, InvalidId> {
        const RULE: &str = "1 to 200 bytes without control characters";
        if id.is_empty() || id.len() > MAX_AGGREGATE_ID || id.chars().any(char::is_control) {
            return Err(InvalidId::new("aggregate id", id, RULE));
        }
        Ok(Self(format!("{aggregate}-{id}").into()))
    }

    /// Parses the whole form.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let Some((category, id)) = text.split_once('-') else {
            return Err(InvalidId::new(
                "stream id",
                text,
                "<aggregate>-<aggregate id>",
            ));
        };
        Self::new(&AggregateName::parse(category)?, id)
    }

    /// Takes a stream id that the store has given out.
    pub fn from_store(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the part before the first dash: the aggregate's name.
    pub fn category(&self) -> &str {
        self.0
            .split_once('-')
            .map_or(&*self.0, |(category, _)| category)
    }

    /// Returns the part behind the first dash.
    pub fn aggregate_id(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, id)| id)
    }

    /// Returns the whole id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The client's identity for one command; sending it twice has the effect of sending it once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(Arc<str>);

impl CommandId {
    /// Parses 1 to 200 bytes without control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        const RULE: &str = "1 to 200 bytes without control characters";
        if text.is_empty() || text.len() > MAX_COMMAND_ID || text.chars().any(char::is_control) {
            return Err(InvalidId::new("command id", text, RULE));
        }
        Ok(Self(text.into()))
    }

    /// Makes one up, for a client that gave none.
    pub fn random() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of one event store; a restored or rebased store has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub Uuid);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// SHA-256 of a component's bytes: the identity of one plugin version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Computes the digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Parses 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::new("digest", text, "64 hexadecimal digits");
        if text.len() != 64 || !text.is_ascii() {
            return Err(invalid());
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| invalid())?;
        }
        Ok(Self(bytes))
    }

    /// Returns the first twelve digits, enough for people to tell versions apart.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_splits_at_its_first_dash() {
        let stream = StreamId::parse("post-a-b").unwrap();
        assert_eq!((stream.category(), stream.aggregate_id()), ("post", "a-b"));
    }

    #[test]
    fn an_aggregate_id_without_text_or_with_control_characters_is_refused() {
        let post = AggregateName::parse("post").unwrap();
        for id in ["", "a\0b", "a\nb", &"x".repeat(201)] {
            assert!(StreamId::new(&post, id).is_err(), "{id:?}");
        }
        assert!(StreamId::new(&post, &"x".repeat(200)).is_ok());
    }

    #[test]
    fn a_digest_survives_its_text_form() {
        let digest = Digest::of(b"component");
        assert_eq!(Digest::parse(&digest.to_string()), Ok(digest));
        assert!(Digest::parse("xyz").is_err());
    }
}
