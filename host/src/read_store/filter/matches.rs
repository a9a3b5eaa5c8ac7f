//! What a comparison means for one document.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::Comparison;

/// Tells whether anything that a path leads to compares so; without a path, the value itself.
pub(super) fn field(value: &Value, path: Option<&str>, comparison: &Comparison) -> bool {
    let ordered = |bound: &Value, wanted: fn(Ordering) -> bool| {
        any(value, path, &mut |found| {
            found
                .and_then(|found| compare(found, bound))
                .is_some_and(wanted)
        })
    };
    match comparison {
        Comparison::Eq(wanted) => any(value, path, &mut |found| equals(found, wanted)),
        Comparison::Ne(unwanted) => !any(value, path, &mut |found| equals(found, unwanted)),
        Comparison::In(wanted) => any(value, path, &mut |found| {
            wanted.iter().any(|wanted| equals(found, wanted))
        }),
        Comparison::Lt(bound) => ordered(bound, Ordering::is_lt),
        Comparison::Lte(bound) => ordered(bound, Ordering::is_le),
        Comparison::Gt(bound) => ordered(bound, Ordering::is_gt),
        Comparison::Gte(bound) => ordered(bound, Ordering::is_ge),
        Comparison::Exists(exists) => any(value, path, &mut |found| found.is_some()) == *exists,
        Comparison::Prefix(prefix) => any(value, path, &mut |found| {
            found
                .and_then(Value::as_str)
                .is_some_and(|text| text.starts_with(prefix.as_str()))
        }),
    }
}

/// Tells whether any value that a path leads to passes a test; `None` stands for missing.
fn any(value: &Value, path: Option<&str>, test: &mut dyn FnMut(Option<&Value>) -> bool) -> bool {
    let Some(path) = path else {
        let elements = value.as_array().map(Vec::as_slice).unwrap_or_default();
        return elements.iter().any(|element| test(Some(element))) || test(Some(value));
    };
    let (name, rest) = path
        .split_once('.')
        .map_or((path, None), |(name, rest)| (name, Some(rest)));
    match value {
        Value::Object(fields) => match fields.get(name) {
            Some(value) => any(value, rest, test),
            None => test(None),
        },
        Value::Array(elements) => elements
            .iter()
            .filter(|element| element.is_object())
            .any(|element| any(element, Some(path), test)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => test(None),
    }
}

fn equals(found: Option<&Value>, wanted: &Value) -> bool {
    match found {
        None | Some(Value::Null) => wanted.is_null(),
        Some(found) => compare(found, wanted) == Some(Ordering::Equal),
    }
}

/// Orders two scalars of one kind; anything else has no order.
pub(crate) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        _ => None,
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (Some(a), None) => compare_with_float(a, b.as_f64()?),
        (None, Some(b)) => compare_with_float(b, a.as_f64()?).map(Ordering::reverse),
        (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from))
}

/// Compares by exact value: turning the integer into a float would make neighbors beyond 2^53 equal.
fn compare_with_float(integer: i128, float: f64) -> Option<Ordering> {
    // Saturates far beyond any 64-bit integer, and is exact within.
    let whole = float.trunc();
    let ordering = integer.cmp(&(whole as i128));
    Some(ordering.then(0.0_f64.partial_cmp(&(float - whole))?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Filter;
    use super::*;

    #[track_caller]
    fn check(filter: Value, document: Value, expected: bool) {
        let parsed = Filter::parse(&filter).unwrap();
        assert_eq!(
            parsed.matches("the-id", &document),
            expected,
            "{filter} on {document}"
        );
        let again = Filter::parse_again(&parsed.to_value()).unwrap();
        assert_eq!(
            again.matches("the-id", &document),
            expected,
            "{} on {document}",
            parsed.to_value()
        );
    }

    #[track_caller]
    fn matches(filter: Value, document: Value) {
        check(filter, document, true);
    }

    #[track_caller]
    fn differs(filter: Value, document: Value) {
        check(filter, document, false);
    }

    #[test]
    fn numbers_are_equal_by_value_and_kinds_never_mix() {
        matches(json!({"n": {"eq": 1}}), json!({"n": 1.0}));
        differs(json!({"n": {"eq": 1}}), json!({"n": "1"}));
        differs(json!({"n": {"eq": 1}}), json!({"n": true}));
        differs(json!({"n": {"gt": 1}}), json!({"n": "2"}));
        differs(json!({"n": {"lt": "2"}}), json!({"n": 1}));
        differs(json!({"n": {"gte": false}}), json!({"n": 1}));
        matches(json!({"n": {"gt": false}}), json!({"n": true}));
    }

    #[test]
    fn large_integers_are_compared_exactly() {
        matches(
            json!({"n": {"lt": 9_007_199_254_740_993_i64}}),
            json!({"n": 9_007_199_254_740_992.0}),
        );
        differs(
            json!({"n": {"eq": 9_007_199_254_740_993_i64}}),
            json!({"n": 9_007_199_254_740_992_i64}),
        );
        matches(json!({"n": {"lt": 9.3e18}}), json!({"n": i64::MAX}));
        matches(json!({"n": {"gt": -1e300}}), json!({"n": i64::MIN}));
        matches(json!({"n": {"gt": -2.5}}), json!({"n": -2}));
        matches(json!({"n": {"lt": -1.5}}), json!({"n": -2}));
    }

    #[test]
    fn null_equals_missing_and_nothing_else() {
        for document in [json!({"a": null}), json!({}), json!({"a": [null]})] {
            matches(json!({"a": {"eq": null}}), document.clone());
            differs(json!({"a": {"ne": null}}), document);
        }
        matches(json!({"a.b": {"eq": null}}), json!({"a": 5}));
        matches(json!({"a.b": {"eq": null}}), json!({"a": [{"b": 1}, {}]}));
        differs(json!({"a.b": {"eq": null}}), json!({"a": []}));
        differs(json!({"a.b": {"eq": null}}), json!({"a": [1, 2]}));
        differs(json!({"a": {"eq": null}}), json!({"a": 0}));
        differs(json!({"a": {"lte": ""}}), json!({"a": null}));
    }

    #[test]
    fn ne_matches_everything_that_eq_does_not() {
        matches(json!({"a": {"ne": 1}}), json!({}));
        matches(json!({"a": {"ne": 1}}), json!({"a": "1"}));
        differs(json!({"a": {"ne": 1}}), json!({"a": [2, 1]}));
    }

    #[test]
    fn any_element_of_an_array_will_do() {
        matches(json!({"a": {"eq": 2}}), json!({"a": [1, 2]}));
        matches(json!({"a": {"gt": 1, "lt": 2}}), json!({"a": [0, 3]}));
        matches(
            json!({"a.b": {"in": [7, 3]}}),
            json!({"a": [{"b": 1}, {"b": [2, 3]}]}),
        );
        differs(json!({"a": {"eq": 1}}), json!({"a": [[1]]}));
        differs(json!({"a.b": {"eq": 1}}), json!({"a": [[{"b": 1}]]}));
    }

    #[test]
    fn a_field_exists_even_when_it_is_null_or_empty() {
        matches(json!({"a": {"exists": true}}), json!({"a": null}));
        matches(json!({"a": {"exists": true}}), json!({"a": []}));
        matches(json!({"a.b": {"exists": false}}), json!({"a": []}));
        matches(json!({"a": {"exists": false}}), json!({}));
        differs(json!({"a": {"exists": false}}), json!({"a": {}}));
    }

    #[test]
    fn strings_are_ordered_by_their_bytes() {
        matches(json!({"s": {"gt": "Z"}}), json!({"s": "a"}));
        matches(json!({"s": {"gt": "z"}}), json!({"s": "é"}));
        matches(json!({"s": {"gt": "\u{ffff}"}}), json!({"s": "😀"}));
        matches(json!({"s": {"prefix": "é"}}), json!({"s": "été"}));
        matches(json!({"s": {"prefix": ""}}), json!({"s": ""}));
        differs(json!({"s": {"prefix": ""}}), json!({"s": 1}));
        differs(json!({"s": {"prefix": "%"}}), json!({"s": "a%"}));
    }

    #[test]
    fn filters_are_joined_by_and_and_or() {
        matches(json!({}), json!({"a": 1}));
        matches(
            json!({"a": {"eq": 1}, "or": [{"b": {"eq": 1}}, {"b": {"eq": 2}}]}),
            json!({"a": 1, "b": 2}),
        );
        differs(
            json!({"a": {"eq": 1}, "b": {"eq": 1}}),
            json!({"a": 1, "b": 2}),
        );
        differs(
            json!({"and": [{"a": {"eq": 1}}, {"a": {"eq": 2}}]}),
            json!({"a": 1}),
        );
        differs(json!({"a": {"in": []}}), json!({"a": 1}));
    }

    #[test]
    fn the_id_is_compared_like_a_string() {
        matches(json!({"_id": {"eq": "the-id"}}), json!({"_id": "another"}));
        matches(json!({"_id": {"prefix": "the"}}), json!({}));
        differs(json!({"_id": {"eq": null}}), json!({}));
        matches(json!({"_id": {"ne": 3}}), json!({}));
        matches(json!({"_id": {"exists": true}}), json!({}));
    }
}
