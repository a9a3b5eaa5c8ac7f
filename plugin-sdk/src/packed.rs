//! Reads and writes batches of recorded events in the form in which they cross the boundary.
//!
//! The form is described in `wit/foldhost.wit`, under `packed-events`, and nowhere else.
//! Reading borrows everything from the batch: no event costs an allocation here.
//! Fields that a later host adds behind the last one are skipped.

use std::fmt;

use crate::{Envelope, EventId, Time};

/// One event of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedEvent<'a> {
    /// Everything but the data.
    pub envelope: Envelope<'a>,
    /// A JSON value, in the schema version that the envelope names.
    pub data: &'a [u8],
}

/// The batch is not in the form that the contract describes: the host's fault, not the event's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpackError {
    /// What could not be read.
    pub field: &'static str,
}

impl fmt::Display for UnpackError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the batch ends early or is malformed at {}",
            self.field
        )
    }
}

impl std::error::Error for UnpackError {}

/// Reads the events of a batch one by one; after an error there is nothing more.
pub fn unpack(batch: &[u8]) -> Unpack<'_> {
    Unpack { rest: batch }
}

/// The events of a batch, see [`unpack`].
#[derive(Clone, Debug)]
pub struct Unpack<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Unpack<'a> {
    type Item = Result<PackedEvent<'a>, UnpackError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let event = read_event(&mut self.rest);
        if event.is_err() {
            self.rest = &[];
        }
        Some(event)
    }
}

fn read_event<'a>(batch: &mut &'a [u8]) -> Result<PackedEvent<'a>, UnpackError> {
    let length = read_u32(batch, "length")?;
    let mut event = read_bytes(batch, length as usize, "length")?;
    let event = &mut event;
    let envelope = Envelope {
        event_id: EventId::from_bytes(read_array(event, "event id")?),
        position: u64::from_le_bytes(read_array(event, "position")?),
        version: u64::from_le_bytes(read_array(event, "version")?),
        time: Time::from_micros(i64::from_le_bytes(read_array(event, "time")?)),
        schema_version: read_u32(event, "schema version")?,
        stream: read_text(event, "stream id")?,
        event_type: read_text(event, "type")?,
        correlation_id: read_text(event, "correlation id")?,
        causation_id: read_text(event, "causation id")?,
        actor: read_text(event, "actor")?,
        raw_metadata: read_counted(event, "metadata")?,
    };
    let data = read_counted(event, "data")?;
    Ok(PackedEvent { envelope, data })
}

#[inline]
fn read_bytes<'a>(
    from: &mut &'a [u8],
    length: usize,
    field: &'static str,
) -> Result<&'a [u8], UnpackError> {
    let (bytes, rest) = from.split_at_checked(length).ok_or(UnpackError { field })?;
    *from = rest;
    Ok(bytes)
}

#[inline]
fn read_array<const N: usize>(
    from: &mut &[u8],
    field: &'static str,
) -> Result<[u8; N], UnpackError> {
    let (bytes, rest) = from.split_first_chunk().ok_or(UnpackError { field })?;
    *from = rest;
    Ok(*bytes)
}

#[inline]
fn read_u32(from: &mut &[u8], field: &'static str) -> Result<u32, UnpackError> {
    read_array(from, field).map(u32::from_le_bytes)
}

#[inline]
fn read_counted<'a>(from: &mut &'a [u8], field: &'static str) -> Result<&'a [u8], UnpackError> {
    let length = read_u32(from, field)?;
    read_bytes(from, length as usize, field)
}

#[inline]
fn read_text<'a>(from: &mut &'a [u8], field: &'static str) -> Result<&'a str, UnpackError> {
    let bytes = read_counted(from, field)?;
    std::str::from_utf8(bytes).map_err(|_| UnpackError { field })
}

/// Appends one event to a batch, for tests and for hosts.
///
/// # Errors
/// When a text or the whole event is 4 GiB long or longer.
pub fn pack(batch: &mut Vec<u8>, event: &PackedEvent<'_>) -> Result<(), UnpackError> {
    let envelope = &event.envelope;
    let start = batch.len();
    batch.extend([0; 4]);
    batch.extend(envelope.event_id.as_bytes());
    batch.extend(envelope.position.to_le_bytes());
    batch.extend(envelope.version.to_le_bytes());
    batch.extend(envelope.time.as_micros().to_le_bytes());
    batch.extend(envelope.schema_version.to_le_bytes());
    for text in [
        envelope.stream.as_bytes(),
        envelope.event_type.as_bytes(),
        envelope.correlation_id.as_bytes(),
        envelope.causation_id.as_bytes(),
        envelope.actor.as_bytes(),
        envelope.raw_metadata,
        event.data,
    ] {
        batch.extend(length(text.len())?);
        batch.extend(text);
    }
    let written = length(batch.len() - start - 4)?;
    batch[start..start + 4].copy_from_slice(&written);
    Ok(())
}

fn length(bytes: usize) -> Result<[u8; 4], UnpackError> {
    u32::try_from(bytes)
        .map(u32::to_le_bytes)
        .map_err(|_| UnpackError { field: "length" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(version: u64) -> PackedEvent<'static> {
        PackedEvent {
            envelope: Envelope {
                event_id: EventId::from_bytes([7; 16]),
                position: version + 40,
                version,
                time: Time::from_micros(-5),
                schema_version: 3,
                stream: "post-ä",
                event_type: "PostLiked",
                correlation_id: "c",
                causation_id: "",
                actor: "anna",
                raw_metadata: b"{}",
            },
            data: br#"{"a":1}"#,
        }
    }

    fn batch(events: &[PackedEvent<'_>]) -> Vec<u8> {
        let mut batch = Vec::new();
        for event in events {
            pack(&mut batch, event).unwrap();
        }
        batch
    }

    #[test]
    fn what_is_packed_is_unpacked_again() {
        let events = [event(1), event(2)];
        let batch = batch(&events);
        let unpacked: Result<Vec<_>, _> = unpack(&batch).collect();
        assert_eq!(unpacked.unwrap(), events);
    }

    #[test]
    fn an_empty_batch_holds_no_events() {
        assert_eq!(unpack(&[]).count(), 0);
    }

    #[test]
    fn the_form_is_the_one_of_the_contract() {
        let batch = batch(&[event(1)]);
        assert_eq!(batch[..4], (batch.len() as u32 - 4).to_le_bytes());
        assert_eq!(batch[4..20], [7; 16]);
        assert_eq!(batch[20..28], 41u64.to_le_bytes());
        assert_eq!(batch[28..36], 1u64.to_le_bytes());
        assert_eq!(batch[36..44], (-5i64).to_le_bytes());
        assert_eq!(batch[44..48], 3u32.to_le_bytes());
        assert_eq!(batch[48..59], *b"\x07\x00\x00\x00post-\xc3\xa4");
        assert_eq!(batch[batch.len() - 11..], *b"\x07\x00\x00\x00{\"a\":1}");
    }

    #[test]
    fn fields_behind_the_last_one_are_skipped() {
        let mut longer = batch(&[event(1)]);
        longer.extend(b"later");
        let length = longer.len() as u32 - 4;
        longer[..4].copy_from_slice(&length.to_le_bytes());
        longer.extend(batch(&[event(2)]));
        let unpacked: Result<Vec<_>, _> = unpack(&longer).collect();
        assert_eq!(unpacked.unwrap(), [event(1), event(2)]);
    }

    #[test]
    fn a_batch_cut_anywhere_is_an_error_and_the_end() {
        let whole = batch(&[event(1)]);
        for end in 1..whole.len() {
            let mut events = unpack(&whole[..end]);
            assert!(events.next().unwrap().is_err(), "cut at {end}");
            assert!(events.next().is_none());
        }
    }

    #[test]
    fn text_that_is_not_utf_8_is_an_error() {
        let mut batch = batch(&[event(1)]);
        batch[52] = 0xff;
        assert_eq!(
            unpack(&batch).next(),
            Some(Err(UnpackError { field: "stream id" }))
        );
    }
}
