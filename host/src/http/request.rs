//! Reading requests strictly: whatever is not understood is refused by name, never ignored.

mod body;
mod headers;
mod params;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::{Kind, Problem};
pub(super) use body::{is_json, read as read_body};
pub(super) use headers::{
    command_id, correlation_id, expected, media_type, one as one_header, traceparent,
};
pub(super) use params::{Params, write_cursor};

/// The variable parts of a path, decoded.
pub(super) struct Segments<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Segments<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if !has_sound_escapes(parts.uri.path()) {
            return Err(Problem::new(
                Kind::MalformedPath,
                "the path has a % that is not followed by two hexadecimal digits",
            ));
        }
        let Path(segments) = Path::<T>::from_request_parts(parts, state).await?;
        Ok(Self(segments))
    }
}

/// Tells whether every `%` begins an escape: decoders let others stand, so that one name would have two spellings.
fn has_sound_escapes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_escape = |at: usize| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte != b'%' || is_escape(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_is_a_percent_and_two_digits() {
        for (text, sound) in [
            ("", true),
            ("a%20b", true),
            ("%C3%A4", true),
            ("%", false),
            ("a%2", false),
            ("%zz", false),
        ] {
            assert_eq!(has_sound_escapes(text), sound, "{text}");
        }
    }
}
