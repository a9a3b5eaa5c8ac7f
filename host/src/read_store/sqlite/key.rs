//! Scalars in the form in which SQLite orders and compares them as the port wants it.
//!
//! SQLite orders numbers by exact value, then texts by their bytes, then blobs, in any column without a declared affinity.
//! So `null` becomes minus infinity, which JSON has no number for, and a bool becomes a blob of one byte: then the order is
//! null, numbers, strings, bools, everything is comparable, and no condition needs a second thought for SQL's NULL.

use rusqlite::types::{Value as Sql, ValueRef};
use serde_json::{Number, Value};

/// What `null` and missing become.
pub(super) const NULL: Sql = Sql::Real(f64::NEG_INFINITY);

/// Which scalars a comparison stays among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Between minus infinity and the empty text.
    Number,
    /// Between the empty text and the empty blob.
    String,
    /// From the empty blob on.
    Bool,
}

impl Kind {
    /// The kind of an encoded scalar.
    pub(super) fn of(key: &Sql) -> Self {
        match key {
            Sql::Null | Sql::Integer(_) | Sql::Real(_) => Self::Number,
            Sql::Text(_) => Self::String,
            Sql::Blob(_) => Self::Bool,
        }
    }

    /// The condition that an encoded scalar is not of a lower kind.
    pub(super) fn above(self, column: &str) -> String {
        match self {
            Self::Number => format!("{column} > -9e999"),
            Self::String => format!("{column} >= ''"),
            Self::Bool => format!("{column} >= x''"),
        }
    }

    /// The condition that an encoded scalar is not of a higher kind.
    pub(super) fn below(self, column: &str) -> String {
        match self {
            Self::Number => format!("{column} < ''"),
            Self::String => format!("{column} < x''"),
            Self::Bool => "1".into(),
        }
    }
}

/// Encodes a scalar; anything else counts as `null`.
pub(super) fn encode(value: &Value) -> Sql {
    match value {
        Value::Bool(bool) => Sql::Blob(vec![u8::from(*bool)]),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Sql::Integer(integer),
            (None, Some(float)) => Sql::Real(float),
            (None, None) => NULL,
        },
        Value::String(text) => Sql::Text(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => NULL,
    }
}

/// Takes an encoded scalar back.
pub(super) fn decode(key: ValueRef<'_>) -> Value {
    match key {
        ValueRef::Integer(integer) => integer.into(),
        // Infinity is no JSON number and becomes what it stands for.
        ValueRef::Real(float) => Number::from_f64(float).map_or(Value::Null, Value::Number),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => Value::Bool(bytes.first().is_some_and(|byte| *byte != 0)),
        ValueRef::Null => Value::Null,
    }
}

/// Returns the smallest text above all texts with a prefix; there is none above the largest.
pub(super) fn after_prefix(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // The bytes of UTF-8 are ordered as the characters are; the gap of the surrogates is none among texts.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            _ => char::from_u32(last as u32 + 1),
        };
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use rusqlite::Connection;
    use serde_json::json;

    use super::*;
    use crate::read_store::filter::compare;

    /// In the order that the port wants.
    fn ladder() -> Vec<Value> {
        vec![
            json!(null),
            json!(-1e300),
            json!(i64::MIN),
            json!(-1.5),
            json!(0),
            json!(0.1),
            json!(9_007_199_254_740_992.0),
            json!(9_007_199_254_740_993_i64),
            json!(i64::MAX),
            json!(1e300),
            json!(""),
            json!("1"),
            json!("Z"),
            json!("a"),
            json!("a\u{1}"),
            json!("é"),
            json!("\u{ffff}"),
            json!("😀"),
            json!(false),
            json!(true),
        ]
    }

    #[test]
    fn encoded_scalars_are_ordered_as_the_port_wants() {
        let connection = Connection::open_in_memory().unwrap();
        let less = |a: &Value, b: &Value| -> bool {
            connection
                .query_row("SELECT ?1 < ?2", [encode(a), encode(b)], |row| row.get(0))
                .unwrap()
        };
        let ladder = ladder();
        for (low, a) in ladder.iter().enumerate() {
            for (high, b) in ladder.iter().enumerate() {
                assert_eq!(less(a, b), low < high, "{a} < {b}");
                if let Some(order) = compare(a, b) {
                    assert_eq!(order, low.cmp(&high), "{a} and {b}");
                }
            }
        }
    }

    #[test]
    fn a_scalar_survives_its_encoding() {
        for value in ladder() {
            assert_eq!(decode(ValueRef::from(&encode(&value))), value);
        }
    }

    #[test]
    fn the_text_after_a_prefix_is_above_all_that_begin_with_it() {
        for prefix in ["a", "az", "é", "\u{d7ff}", "a\u{10ffff}", "\u{7f}"] {
            let above = after_prefix(prefix).unwrap();
            assert_eq!(
                above
                    .as_bytes()
                    .cmp(format!("{prefix}\u{10ffff}").as_bytes()),
                Ordering::Greater
            );
            assert!(!above.starts_with(prefix));
        }
        assert_eq!(after_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!((after_prefix("\u{10ffff}"), after_prefix("")), (None, None));
    }
}
