//! Reads payloads, event data and parameters, with errors that name the field.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Rejection, Upcaster};

/// Reads a command's payload; nothing and `null` stand for `{}`.
///
/// # Errors
/// Naming the field and the cause.
pub fn read_payload<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    let payload = if matches!(payload.trim_ascii(), b"" | b"null") {
        b"{}"
    } else {
        payload
    };
    read_json(payload)
}

/// Reads a query's parameters.
///
/// # Errors
/// Naming the parameter and the cause.
pub fn read_parameters<T: DeserializeOwned>(parameters: &[u8]) -> Result<T, Rejection> {
    read_payload(parameters).map_err(|message| Rejection::new("invalid-parameter", message))
}

/// Reads the data of an event, upcast to its newest schema version where it was recorded in an older one.
///
/// # Errors
/// Naming the event and the cause.
pub fn read_data<T: DeserializeOwned>(
    event: &str,
    newest: u32,
    upcasters: &[(u32, Upcaster)],
    recorded: u32,
    data: &[u8],
) -> Result<T, String> {
    if recorded == newest {
        return read_json(data).map_err(|error| format!("{event}: {error}"));
    }
    let Some(first) = upcasters.iter().position(|(from, _)| *from == recorded) else {
        let reads: Vec<u32> = upcasters
            .iter()
            .map(|(from, _)| *from)
            .chain([newest])
            .collect();
        return Err(format!(
            "{event}: schema version {recorded} is not among those this plugin reads, {reads:?}"
        ));
    };
    let upcast = || {
        let mut value = read_json(data)?;
        for (_, upcaster) in &upcasters[first..] {
            value = upcaster(value)?;
        }
        serde_json::from_value(value).map_err(|error| error.to_string())
    };
    upcast()
        .map_err(|error: String| format!("{event}, upcast from schema version {recorded}: {error}"))
}

/// Writes what derives produced; only a map whose keys are no texts cannot be written.
pub fn write_json<T: Serialize>(value: &T) -> Vec<u8> {
    match serde_json::to_vec(value) {
        Ok(json) => json,
        Err(error) => panic!(
            "{} cannot be written as JSON: {error}",
            std::any::type_name::<T>()
        ),
    }
}

/// The message for a name that is not among the known ones.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!("there is no {what} `{name}`");
    }
    format!(
        "there is no {what} `{name}`; there is `{}`",
        known.join("`, `")
    )
}

fn read_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|error| explain(json, &error))
}

/// Says where in the JSON an error is, by the path of the field rather than by line and column.
#[cold]
fn explain(json: &[u8], error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let cause = text.strip_suffix(&place).unwrap_or(&text);
    if error.is_syntax() || error.is_eof() {
        return format!("not JSON: {text}");
    }
    match path_at(json, error.line(), error.column()) {
        path if path.is_empty() => cause.to_owned(),
        path => format!("field `{path}`: {cause}"),
    }
}

/// One step down into a document: the last key seen in an object, or the place in an array.
enum Step {
    Object(Option<String>),
    Array(usize),
}

/// The path of the value in which the byte before a line and column (both from 1) lies.
fn path_at(json: &[u8], line: usize, column: usize) -> String {
    let before_line: usize = json
        .split_inclusive(|byte| *byte == b'\n')
        .take(line.saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    let end = (before_line + column.saturating_sub(1)).min(json.len());
    let mut steps = Vec::new();
    let mut at = 0;
    while at < end {
        match json[at] {
            b'"' => {
                let length = string_length(&json[at..]);
                // A text in the place of a key; one in the place of a value is overwritten or not looked at.
                if let Some(Step::Object(key @ None)) = steps.last_mut() {
                    *key = serde_json::from_slice(&json[at..at + length]).ok();
                }
                at += length;
                continue;
            }
            b'{' => steps.push(Step::Object(None)),
            b'[' => steps.push(Step::Array(0)),
            b'}' | b']' => drop(steps.pop()),
            b',' => match steps.last_mut() {
                Some(Step::Object(key)) => *key = None,
                Some(Step::Array(place)) => *place += 1,
                None => {}
            },
            _ => {}
        }
        at += 1;
    }
    joined(&steps)
}

fn joined(steps: &[Step]) -> String {
    let names = steps.iter().filter_map(|step| match step {
        Step::Object(key) => key.clone(),
        Step::Array(place) => Some(place.to_string()),
    });
    names.collect::<Vec<_>>().join(".")
}

/// The length of the JSON text at the start, with its quotes.
fn string_length(json: &[u8]) -> usize {
    let mut at = 1;
    while at < json.len() {
        match json[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Outer {
        name: String,
        #[serde(default)]
        lines: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Inner {
        amount: u32,
    }

    #[track_caller]
    fn check(payload: &str, expected: &str) {
        assert_eq!(
            read_payload::<Outer>(payload.as_bytes()).unwrap_err(),
            expected
        );
    }

    #[test]
    fn the_field_that_cannot_be_read_is_named() {
        check(
            r#"{"name":1}"#,
            "field `name`: invalid type: integer `1`, expected a string",
        );
        check(
            r#"{"name": null }"#,
            "field `name`: invalid type: null, expected a string",
        );
        check(
            r#"{"name":{}}"#,
            "field `name`: invalid type: map, expected a string",
        );
        check(
            "{\n \"lines\": [],\n \"name\": true}",
            "field `name`: invalid type: boolean `true`, expected a string",
        );
        check(
            r#"{"name":"a","lines":"b"}"#,
            "field `lines`: invalid type: string \"b\", expected a sequence",
        );
    }

    #[test]
    fn a_field_deep_inside_is_named_by_its_path() {
        check(
            r#"{"name":"a, \"b\" {","lines":[{"amount":1},{"amount":-2}]}"#,
            "field `lines.1.amount`: invalid value: integer `-2`, expected u32",
        );
        check(
            r#"{"name":"a","lines":[{}]}"#,
            "field `lines.0`: missing field `amount`",
        );
    }

    #[test]
    fn missing_and_unknown_fields_are_named() {
        check("{}", "missing field `name`");
        check("", "missing field `name`");
        check(
            r#"{"title":"a"}"#,
            "field `title`: unknown field `title`, expected `name` or `lines`",
        );
        check(
            r#"{"name":"a","name":"b"}"#,
            "field `name`: duplicate field `name`",
        );
    }

    #[test]
    fn what_is_no_object_or_no_json_is_said_so() {
        check("[", "not JSON: EOF while parsing a list at line 1 column 1");
        check(
            "{\"name\":\"a\"}}",
            "not JSON: trailing characters at line 1 column 13",
        );
        check("3", "invalid type: integer `3`, expected struct Outer");
    }

    fn rename(mut value: Value) -> Result<Value, String> {
        let amount = value.get_mut("sum").map(Value::take).ok_or("no sum")?;
        Ok(json!({ "total": amount }))
    }

    fn double(value: Value) -> Result<Value, String> {
        Ok(json!({ "total": value["total"].as_i64().unwrap_or_default() * 2 }))
    }

    const UPCASTERS: &[(u32, Upcaster)] = &[(1, rename), (2, double)];

    #[track_caller]
    fn read(version: u32, data: &str) -> Result<BTreeMap<String, i64>, String> {
        read_data("Paid", 3, UPCASTERS, version, data.as_bytes())
    }

    #[test]
    fn upcasters_are_chained_up_to_the_newest_version() {
        assert_eq!(read(1, r#"{"sum":2}"#).unwrap()["total"], 4);
        assert_eq!(read(2, r#"{"total":2}"#).unwrap()["total"], 4);
        assert_eq!(read(3, r#"{"total":2}"#).unwrap()["total"], 2);
    }

    #[test]
    fn a_failing_upcaster_names_event_and_version() {
        assert_eq!(
            read(1, "{}").unwrap_err(),
            "Paid, upcast from schema version 1: no sum"
        );
    }

    #[test]
    fn a_schema_version_that_is_not_read_is_an_error() {
        let error = read(4, "{}").unwrap_err();
        assert_eq!(
            error,
            "Paid: schema version 4 is not among those this plugin reads, [1, 2, 3]"
        );
    }
}
