//! Where a page ended, as an opaque text for clients.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Error;
use crate::message::Digest;
use crate::read_store::{Filter, Place, SortKey};

/// A place in one list of one generation.
#[derive(Debug, PartialEq)]
pub(super) struct Cursor {
    pub(super) generation: u64,
    /// Which list: see [`fingerprint`].
    pub(super) fingerprint: u64,
    /// How many documents the former pages gave.
    pub(super) given: usize,
    pub(super) place: Place,
}

/// The longest cursor: a document's id and a few sort values, with room to spare.
const MAX_BYTES: usize = 64 * 1024;

impl Cursor {
    pub(super) fn parse(text: &str, fingerprint: u64) -> Result<Self, Error> {
        let invalid = |reason| Error::InvalidCursor { reason };
        if text.len() > MAX_BYTES {
            return Err(invalid("it is too long"));
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| invalid("it is no base64"))?;
        let parts: Value = serde_json::from_slice(&bytes).map_err(|_| invalid("it is damaged"))?;
        let cursor = Self::from_parts(&parts).ok_or_else(|| invalid("it is damaged"))?;
        if cursor.fingerprint == fingerprint {
            Ok(cursor)
        } else {
            Err(invalid("it belongs to another collection, filter or sort"))
        }
    }

    fn from_parts(parts: &Value) -> Option<Self> {
        let [generation, fingerprint, given, id, values] = parts.as_array()?.as_slice() else {
            return None;
        };
        Some(Self {
            generation: generation.as_u64()?,
            fingerprint: fingerprint.as_u64()?,
            given: usize::try_from(given.as_u64()?).ok()?,
            place: Place {
                values: values.as_array()?.clone(),
                id: id.as_str()?.to_owned(),
            },
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = json!([
            self.generation,
            self.fingerprint,
            self.given,
            self.place.id,
            self.place.values
        ]);
        f.write_str(&URL_SAFE_NO_PAD.encode(parts.to_string()))
    }
}

/// Tells one list from another: its collection, filter and sort.
pub(super) fn fingerprint(collection: &str, filter: &Filter, sort: &[SortKey]) -> u64 {
    let Digest(bytes) = Digest::of(format!("{collection}\n{filter:?}\n{sort:?}").as_bytes());
    bytes
        .iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_is_refused_by_another_list() {
        let place = Place {
            values: vec![json!(3), json!(null)],
            id: "ä\"'".to_owned(),
        };
        let cursor = Cursor {
            generation: 2,
            fingerprint: 7,
            given: 50,
            place,
        };
        let text = cursor.to_string();
        assert_eq!(Cursor::parse(&text, 7).unwrap(), cursor);
        assert!(matches!(
            Cursor::parse(&text, 8),
            Err(Error::InvalidCursor { .. })
        ));
        for bad in ["", "!", "e30", &text[1..]] {
            assert!(
                matches!(Cursor::parse(bad, 7), Err(Error::InvalidCursor { .. })),
                "{bad}"
            );
        }
    }
}
