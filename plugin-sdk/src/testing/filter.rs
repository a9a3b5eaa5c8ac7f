//! The portable filter over documents in memory, for looking at what a planned query would give.
//!
//! Written for tests: it follows the host's rules for values of one kind
//! and makes no statement about the order of values of different kinds.

use std::cmp::Ordering;

use serde_json::Value;

use super::rig::Collection;
use crate::Find;

/// The documents that a find request gives, in order.
#[track_caller]
pub(super) fn find(documents: &Collection, request: &Find) -> Vec<Value> {
    let mut found: Vec<_> = documents
        .iter()
        .filter(|(_, document)| matches(&request.filter, document))
        .collect();
    // The map gives them by id, and the sort is stable: the id is the last key.
    found.sort_by(|(_, left), (_, right)| {
        let by_key = request.sort.iter().map(|key| {
            let order = compare_or_missing(field(left, &key.path), field(right, &key.path));
            if key.descending {
                order.reverse()
            } else {
                order
            }
        });
        by_key.fold(Ordering::Equal, Ordering::then)
    });
    let most = request.most.map_or(usize::MAX, |most| most as usize);
    found
        .into_iter()
        .take(most)
        .map(|(_, document)| document.clone())
        .collect()
}

#[track_caller]
fn matches(filter: &Value, document: &Value) -> bool {
    let Some(filter) = filter.as_object() else {
        panic!("a filter is an object, not {filter}");
    };
    filter
        .iter()
        .all(|(key, condition)| match (key.as_str(), condition) {
            ("and", Value::Array(filters)) => {
                filters.iter().all(|filter| matches(filter, document))
            }
            ("or", Value::Array(filters)) => filters.iter().any(|filter| matches(filter, document)),
            (path, Value::Object(operators)) => operators
                .iter()
                .all(|(operator, operand)| holds(operator, field(document, path), operand)),
            (path, other) => {
                panic!("the filter on `{path}` is {other}, not {{\"operator\": value}}")
            }
        })
}

#[track_caller]
fn holds(operator: &str, value: Option<&Value>, operand: &Value) -> bool {
    let ordered = |wanted: fn(Ordering) -> bool| {
        value
            .and_then(|value| compare(value, operand))
            .is_some_and(wanted)
    };
    match operator {
        "eq" => value.unwrap_or(&Value::Null) == operand || ordered(Ordering::is_eq),
        "ne" => !holds("eq", value, operand),
        "lt" => ordered(Ordering::is_lt),
        "lte" => ordered(Ordering::is_le),
        "gt" => ordered(Ordering::is_gt),
        "gte" => ordered(Ordering::is_ge),
        "in" => operand
            .as_array()
            .is_some_and(|values| values.iter().any(|one| holds("eq", value, one))),
        "exists" => value.is_some() == (operand == &Value::Bool(true)),
        "prefix" => match (value.and_then(Value::as_str), operand.as_str()) {
            (Some(text), Some(prefix)) => text.starts_with(prefix),
            _ => false,
        },
        other => panic!("there is no filter operator `{other}`"),
    }
}

/// The value at a dotted path.
pub(super) fn field<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(document, |value, key| value.get(key))
}

/// Compares two values of one kind.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// What is missing or null sorts first.
fn compare_or_missing(left: Option<&Value>, right: Option<&Value>) -> Ordering {
    let present = |value: Option<&Value>| value.is_some_and(|value| !value.is_null());
    match (left, right) {
        (Some(left), Some(right)) => compare(left, right),
        _ => None,
    }
    .unwrap_or_else(|| present(left).cmp(&present(right)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Filter;

    fn documents() -> Collection {
        let documents = [
            ("a", json!({ "n": 1, "text": "one", "in": { "n": 5 } })),
            ("b", json!({ "n": 2, "text": "two" })),
            ("c", json!({ "n": 2.5, "text": null })),
        ];
        documents
            .map(|(id, document)| (id.to_owned(), document))
            .into()
    }

    #[track_caller]
    fn check(filter: Filter, expected: &[f64]) {
        let found = find(&documents(), &Find::matching(filter));
        let numbers: Vec<_> = found
            .iter()
            .filter_map(|document| document["n"].as_f64())
            .collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn filters_find_what_they_say() {
        check(Filter::eq("n", 2), &[2.0]);
        check(Filter::ne("n", 2), &[1.0, 2.5]);
        check(Filter::gt("n", 1.5), &[2.0, 2.5]);
        check(Filter::lte("n", 2), &[1.0, 2.0]);
        check(Filter::eq("in.n", 5), &[1.0]);
        check(Filter::exists("in.n", false), &[2.0, 2.5]);
        check(Filter::eq("text", Value::Null), &[2.5]);
        check(Filter::prefix("text", "t"), &[2.0]);
        check(Filter::one_of("n", [1, 2]), &[1.0, 2.0]);
        check(Filter::eq("n", 1).or(Filter::gt("n", 2)), &[1.0, 2.5]);
        check(Filter::gte("n", 2).and(Filter::lt("n", 2.5)), &[2.0]);
    }

    #[test]
    fn documents_are_sorted_and_bounded() {
        let found = find(&documents(), &Find::all().sort(["-text"]).most(2));
        assert_eq!(
            found,
            [json!({ "n": 2, "text": "two" }), documents()["a"].clone()]
        );
    }
}
