//! Writing JSON answers: what the stores keep is canonical text already and is spliced in, never parsed again.

use std::fmt::{Display, Write as _};

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use crate::message::{Json, RecordedEvent};

/// Writes one JSON object into a text.
pub(super) struct Object<'a> {
    out: &'a mut String,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Writes an object whose members `members` writes.
    pub(super) fn write(out: &'a mut String, members: impl FnOnce(&mut Object<'_>)) {
        out.push('{');
        let mut object = Object { out, empty: true };
        members(&mut object);
        object.out.push('}');
    }

    /// Writes a string.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        string(self.out, value);
    }

    /// Writes a string that needs no escapes: an id, a time, a digest.
    pub(super) fn plain(&mut self, name: &str, value: impl Display) {
        self.name(name);
        // Writing to a string does not fail.
        let _ = write!(self.out, "\"{value}\"");
    }

    /// Writes a number.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        // Writing to a string does not fail.
        let _ = write!(self.out, "{value}");
    }

    /// Splices in canonical JSON.
    pub(super) fn json(&mut self, name: &str, value: &Json) {
        self.name(name);
        self.out.push_str(value.as_str());
    }

    /// Writes a string, or null.
    pub(super) fn text_or_null(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(name, value),
            None => {
                self.name(name);
                self.out.push_str("null");
            }
        }
    }

    /// Writes an array, each of whose items `item` writes.
    pub(super) fn array<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut String, T),
    ) {
        self.name(name);
        self.out.push('[');
        for (place, value) in items.into_iter().enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            item(self.out, value);
        }
        self.out.push(']');
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }
}

/// Writes a list as every list is: `{items, next}`.
pub(super) fn list<T>(
    items: impl IntoIterator<Item = T>,
    next: Option<&str>,
    item: impl FnMut(&mut String, T),
) -> String {
    let mut out = String::with_capacity(1_024);
    Object::write(&mut out, |list| {
        list.array("items", items, item);
        list.text_or_null("next", next);
    });
    out
}

/// Writes a recorded event with its whole envelope.
pub(super) fn event(out: &mut String, event: &RecordedEvent) {
    Object::write(out, |object| {
        object.plain("event_id", event.event_id);
        object.text("stream", event.stream.as_str());
        object.number("version", event.version.0);
        object.number("position", event.position.0);
        object.text("type", &event.event_type);
        object.number("schema_version", event.schema_version.into());
        object.plain("time", event.time);
        object.text("correlation_id", &event.correlation_id);
        object.text("causation_id", &event.causation_id);
        object.text("actor", &event.actor);
        object.plain("plugin", event.plugin);
        object.json("metadata", &event.metadata);
        object.json("data", &event.data);
    });
}

/// Answers with JSON text.
pub(super) fn answer(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Copies runs that need no escape at once; multi-byte characters stand as they are.
fn string(out: &mut String, value: &str) {
    out.push('"');
    let mut rest = value;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            control => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{control:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_survives_a_parser() {
        for text in [
            "",
            "plain",
            "a\"b\\c\nd\u{1}e",
            "ünïcödé \u{2028}😀",
            "\"",
            "\\",
        ] {
            let mut out = String::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn a_list_has_items_and_next() {
        let number = |out: &mut String, number: i32| out.push_str(&number.to_string());
        assert_eq!(list([1, 2], None, number), r#"{"items":[1,2],"next":null}"#);
        assert_eq!(
            list([], Some("x\""), number),
            r#"{"items":[],"next":"x\""}"#
        );
    }
}
