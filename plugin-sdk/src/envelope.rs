//! What is known of a recorded event beside its data.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{Failure, Time};

/// Identity of a recorded event, a UUID.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The id of these bytes, in the order of the text form.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id, in the order of the text form.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let dash = if matches!(place, 4 | 6 | 8 | 10) {
                "-"
            } else {
                ""
            };
            write!(formatter, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The envelope of a recorded event; its texts are borrowed from the batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope<'a> {
    /// Identity of the event.
    pub event_id: EventId,
    /// Place in the whole store, from 1, dense and in commit order; 0 in `evolve`, where it is not known yet.
    pub position: u64,
    /// Place in its stream, from 1.
    pub version: u64,
    /// When its command was accepted; never earlier than that of the event before it in the stream.
    pub time: Time,
    /// The schema version in which it was recorded; its data comes upcast to the newest.
    pub schema_version: u32,
    /// `<aggregate>-<aggregate id>`.
    pub stream: &'a str,
    /// The event type, without the aggregate's name.
    pub event_type: &'a str,
    /// The same on everything that one outside request set in motion.
    pub correlation_id: &'a str,
    /// The id of the command that caused it.
    pub causation_id: &'a str,
    /// Who sent that command.
    pub actor: &'a str,
    /// A JSON object; read it with [`Envelope::metadata`].
    pub raw_metadata: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// The aggregate's name: the stream id up to its first dash.
    pub fn aggregate(&self) -> &'a str {
        split_stream(self.stream).0
    }

    /// The aggregate id: the stream id after its first dash.
    pub fn aggregate_id(&self) -> &'a str {
        split_stream(self.stream).1
    }

    /// Reads the metadata as a type of the plugin's own.
    ///
    /// # Errors
    /// When the metadata does not have that form.
    pub fn metadata<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(self.raw_metadata)
            .map_err(|error| Failure::new(format!("metadata: {error}")))
    }
}

/// Cuts a stream id at its first dash.
pub(crate) fn split_stream(stream: &str) -> (&str, &str) {
    stream.split_once('-').unwrap_or((stream, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_is_written_as_a_uuid() {
        let id = EventId::from_bytes(
            *b"\x01\x92\xab\xcd\xef\x01\x70\x00\x80\x00\x00\x00\x00\x00\x00\x0f",
        );
        assert_eq!(id.to_string(), "0192abcd-ef01-7000-8000-00000000000f");
    }

    #[test]
    fn a_stream_id_is_cut_at_its_first_dash() {
        assert_eq!(split_stream("post-2026-11"), ("post", "2026-11"));
        assert_eq!(split_stream("post"), ("post", ""));
    }
}
