//! Dotted paths into documents.

use std::fmt;

use serde_json::Value;

use super::InvalidFilter;

/// Deeper than any document that people filter by.
const MAX_PARTS: usize = 8;
/// Bounds what an error repeats and an index is named after.
const MAX_BYTES: usize = 256;

/// A dotted path into a document, or `_id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath(String);

impl FieldPath {
    /// Parses a path.
    pub fn parse(text: &str) -> Result<Self, InvalidFilter> {
        let refuse = |rule| {
            Err(InvalidFilter::Path {
                path: text.chars().take(60).collect(),
                rule,
            })
        };
        let is_name = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        };
        if text.len() > MAX_BYTES || text.split('.').count() > MAX_PARTS {
            return refuse("it has more than 8 names or 256 bytes");
        }
        if !text.split('.').all(is_name) {
            return refuse("names are ASCII letters, digits, _ and -, joined by dots");
        }
        if text
            .split('.')
            .any(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return refuse("a name of digits alone would address an array's element");
        }
        match text.split('.').next() {
            Some("_foldhost") => refuse("_foldhost is the host's"),
            Some("_id") if text != "_id" => refuse("_id is a string and has no fields"),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether it is the document's id.
    pub fn is_id(&self) -> bool {
        self.0 == "_id"
    }

    /// Returns the one scalar that the path leads to, `null` when it is missing; `None` when there is an array on the way
    /// or an array or object at the end. What is indexed must be a scalar; in a sort anything else counts as `null`.
    pub fn scalar<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        let mut value = document;
        for name in self.0.split('.') {
            value = match value {
                Value::Object(fields) => fields.get(name).unwrap_or(&Value::Null),
                Value::Array(_) => return None,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => &Value::Null,
            };
        }
        if value.is_array() || value.is_object() {
            None
        } else {
            Some(value)
        }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_names_joined_by_dots() {
        for path in [
            "a",
            "_id",
            "a.b",
            "a-b.c_d.E1",
            "a._id",
            "a._foldhost",
            "a.b.c.d.e.f.g.h",
        ] {
            assert_eq!(FieldPath::parse(path).unwrap().as_str(), path);
        }
    }

    #[test]
    fn what_could_mean_something_else_is_no_path() {
        let long = "a".repeat(257);
        let hostile = [
            "", ".", "a.", ".a", "a..b", "$where", "a.$b", "a b", "a\"b", "a'b", "é", "a\0",
        ];
        let reserved = [
            "_foldhost",
            "_foldhost.seq",
            "_id.x",
            "0",
            "a.17",
            "a.b.c.d.e.f.g.h.i",
            &long,
        ];
        for path in hostile.into_iter().chain(reserved) {
            assert!(FieldPath::parse(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn the_scalar_under_a_path_is_null_when_missing_and_none_when_it_is_no_scalar() {
        let document = json!({"a": {"b": 1}, "n": 5, "list": [{"b": 1}]});
        let scalar = |path| FieldPath::parse(path).unwrap().scalar(&document).cloned();
        assert_eq!(scalar("a.b"), Some(json!(1)));
        assert_eq!(
            (scalar("x"), scalar("a.x.y"), scalar("n.x")),
            (Some(json!(null)), Some(json!(null)), Some(json!(null)))
        );
        assert_eq!(
            (scalar("a"), scalar("list"), scalar("list.b")),
            (None, None, None)
        );
    }
}
