//! JSON text in canonical form.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// One JSON value as canonical text: no white space, object keys in order of their bytes, no NUL characters.
///
/// Equal values have equal text, so that documents can be compared byte for byte.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Arc<str>);

/// How large and how deep a JSON text may be.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimits {
    /// The most bytes, as given.
    pub bytes: usize,
    /// The most levels of objects and arrays.
    pub depth: usize,
}

/// Why some bytes are not taken as JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    /// The bytes are no JSON at all.
    #[error("not JSON: {reason}")]
    Syntax {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// The text is larger than allowed.
    #[error("{bytes} bytes of JSON where {limit} are the most")]
    TooLarge {
        /// How many bytes there are.
        bytes: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Objects and arrays are nested deeper than allowed.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// How many levels are allowed.
        limit: usize,
    },
    /// A string holds U+0000, which databases refuse.
    #[error("a string holds the character U+0000")]
    Nul,
}

impl JsonLimits {
    /// Allows `bytes` bytes and 64 levels: deeper than any document made by people, shallow enough for any parser.
    pub const fn bytes(bytes: usize) -> Self {
        Self { bytes, depth: 64 }
    }
}

impl Json {
    /// Parses bytes within limits and brings them to canonical form.
    pub fn parse(bytes: &[u8], limits: JsonLimits) -> Result<Self, InvalidJson> {
        if bytes.len() > limits.bytes {
            return Err(InvalidJson::TooLarge {
                bytes: bytes.len(),
                limit: limits.bytes,
            });
        }
        check_depth(bytes, limits.depth)?;
        let value: Value = serde_json::from_slice(bytes).map_err(|error| InvalidJson::Syntax {
            reason: error.to_string(),
        })?;
        if holds_nul(bytes, &value) {
            return Err(InvalidJson::Nul);
        }
        Ok(Self::from(&value))
    }

    /// Takes text that is canonical already, as a store gives it back.
    pub fn from_store(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the text into a value.
    pub fn to_value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }
}

impl From<&Value> for Json {
    /// `serde_json` keeps objects sorted by key, which a test below holds it to.
    fn from(value: &Value) -> Self {
        Self(value.to_string().into())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Counts brackets outside strings before the parser recurses into them.
fn check_depth(bytes: &[u8], limit: usize) -> Result<(), InvalidJson> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match (in_string, *byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return Err(InvalidJson::TooDeep { limit });
        }
    }
    Ok(())
}

/// A NUL can only come from an escape, so most texts are cleared by a scan for it.
fn holds_nul(bytes: &[u8], value: &Value) -> bool {
    fn walk(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(walk),
            Value::Object(fields) => fields
                .iter()
                .any(|(key, value)| key.contains('\0') || walk(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    bytes.windows(6).any(|six| six == b"\\u0000") && walk(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Json, InvalidJson> {
        Json::parse(text.as_bytes(), JsonLimits::bytes(1_000))
    }

    #[test]
    fn keys_are_sorted_at_every_level() {
        let json = parse(r#" {"b": {"z": 1, "a": [ {"y":2,"x":3} ]}, "a": null} "#).unwrap();
        assert_eq!(
            json.as_str(),
            r#"{"a":null,"b":{"a":[{"x":3,"y":2}],"z":1}}"#
        );
    }

    #[test]
    fn a_number_is_the_same_however_often_it_is_parsed() {
        for text in [
            "0.30000000000000004",
            "1.7976931348623155e308",
            "-7.317770170789331e15",
            "9007199254740993",
        ] {
            let once = parse(text).unwrap();
            assert_eq!(parse(once.as_str()).unwrap(), once, "{text}");
            assert_eq!(once.to_value().as_f64(), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn nesting_is_allowed_up_to_the_limit_and_refused_beyond_it() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(&nested(64)).is_ok());
        assert_eq!(parse(&nested(65)), Err(InvalidJson::TooDeep { limit: 64 }));
        assert!(parse(r#"{"text": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}"#).is_ok());
    }

    #[test]
    fn an_escaped_nul_is_refused_and_an_escaped_backslash_before_u0000_is_not() {
        assert_eq!(parse(r#"{"a":"\u0000"}"#), Err(InvalidJson::Nul));
        assert!(parse(r#"{"a":"\\u0000"}"#).is_ok());
    }

    #[test]
    fn size_is_checked_on_both_sides_of_the_limit() {
        let text = format!("\"{}\"", "x".repeat(998));
        assert!(parse(&text).is_ok());
        assert!(matches!(
            parse(&format!("{text} ")),
            Err(InvalidJson::TooLarge { bytes: 1_001, .. })
        ));
    }
}
