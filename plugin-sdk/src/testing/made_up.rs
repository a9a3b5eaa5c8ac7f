//! Values made up from JSON schemas, the same for the same seed.
//!
//! They come from small ranges on purpose: texts that occur twice and ids that were seen before
//! are what histories go wrong on.

use serde_json::{Map, Value};

use super::recorded::{Entry, MINUTE, time_after};
use crate::Time;

/// Blank, equal but for their case, and beyond ASCII: what names and messages are compared by.
const TEXTS: [&str; 8] = ["", " ", "anna", "Anna ", "bert", "ÄRGER", "ärger", "1"];

/// How deep values nest before everything optional is left out.
const DEEPEST: usize = 5;

/// A source of made-up values.
pub(super) struct MadeUp {
    state: u64,
    texts: Vec<String>,
}

impl MadeUp {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            texts: TEXTS.map(String::from).to_vec(),
        }
    }

    /// SplitMix64, see <https://prng.di.unimi.it/splitmix64.c>.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0, below this one.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// One of these, if there are any.
    pub(super) fn choose<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let place = self.below(of.len() as u64);
        of.get(usize::try_from(place).unwrap_or_default())
    }

    /// One of the texts known so far.
    pub(super) fn text(&mut self) -> String {
        let texts = std::mem::take(&mut self.texts);
        let text = self.choose(&texts).cloned().unwrap_or_default();
        self.texts = texts;
        text
    }

    /// A time at or after the last one: at once, minutes or days later.
    pub(super) fn time_after(&mut self, history: &[Entry]) -> Time {
        let later = match self.below(3) {
            0 => 0,
            1 => self.below(90),
            _ => self.below(4 * 24 * 60),
        };
        let next = time_after(history).as_micros();
        Time::from_micros(next + i64::try_from(later).unwrap_or_default() * MINUTE)
    }

    /// Takes over the texts in a value, so that later values may hold them too.
    pub(super) fn remember(&mut self, value: &Value) {
        match value {
            Value::String(text) if !self.texts.contains(text) => self.texts.push(text.clone()),
            Value::Array(values) => values.iter().for_each(|value| self.remember(value)),
            Value::Object(fields) => fields.values().for_each(|value| self.remember(value)),
            _ => {}
        }
    }

    /// A value of this schema.
    pub(super) fn value(&mut self, schema: &[u8]) -> Value {
        let root = super::recorded::parse(schema);
        self.of(&root, &root, 0)
    }

    fn of(&mut self, schema: &Value, root: &Value, depth: usize) -> Value {
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            return self.choose(choices).cloned().unwrap_or_default();
        }
        if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
            let target = path
                .strip_prefix('#')
                .and_then(|pointer| root.pointer(pointer));
            return target.map_or(Value::Null, |target| self.of(target, root, depth + 1));
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(choices) = schema.get(key).and_then(Value::as_array) {
                let choices = choices.clone();
                return self
                    .choose(&choices)
                    .map_or(Value::Null, |choice| self.of(choice, root, depth + 1));
            }
        }
        self.of_type(schema, root, depth)
    }

    fn of_type(&mut self, schema: &Value, root: &Value, depth: usize) -> Value {
        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => self.choose(kinds).cloned(),
            kind => kind.cloned(),
        };
        match kind.as_ref().and_then(Value::as_str) {
            Some("object") => self.object(schema, root, depth),
            Some("array") => self.array(schema, root, depth),
            Some("string") => self.string(schema),
            Some("integer") => self.integer(schema).into(),
            Some("number") => (self.below(40) as f64 / 4.0).into(),
            Some("boolean") => (self.below(2) == 0).into(),
            Some("null") => Value::Null,
            // A schema without a type takes anything.
            _ => self.text().into(),
        }
    }

    fn object(&mut self, schema: &Value, root: &Value, depth: usize) -> Value {
        let mut fields = Map::new();
        let required: Vec<_> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) || (depth < DEEPEST && self.below(2) == 0) {
                fields.insert(name.clone(), self.of(property, root, depth + 1));
            }
        }
        // A map: its schema speaks of the values of any further fields.
        if let Some(values) = schema
            .get("additionalProperties")
            .filter(|values| values.is_object())
        {
            for _ in 0..self.length(depth) {
                fields.insert(self.text(), self.of(values, root, depth + 1));
            }
        }
        Value::Object(fields)
    }

    fn array(&mut self, schema: &Value, root: &Value, depth: usize) -> Value {
        if let Some(tuple) = schema.get("prefixItems").and_then(Value::as_array) {
            return tuple
                .iter()
                .map(|item| self.of(item, root, depth + 1))
                .collect();
        }
        let least = schema["minItems"].as_u64().unwrap_or_default();
        let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
        let length = self.length(depth).clamp(least, most.max(least));
        let items = schema.get("items").cloned().unwrap_or(Value::Bool(true));
        (0..length)
            .map(|_| self.of(&items, root, depth + 1))
            .collect()
    }

    fn length(&mut self, depth: usize) -> u64 {
        if depth < DEEPEST { self.below(3) } else { 0 }
    }

    fn string(&mut self, schema: &Value) -> Value {
        let first_day = time_after(&[]).as_micros();
        let time = Time::from_micros(first_day + self.below(10_000) as i64 * MINUTE);
        match schema["format"].as_str() {
            Some("date-time") => time.into(),
            Some("date") => time.day().into(),
            _ => self.text().into(),
        }
    }

    /// Small numbers, and the bounds where there are any.
    fn integer(&mut self, schema: &Value) -> i64 {
        let least = schema["minimum"].as_i64().unwrap_or(-2);
        let most = schema["maximum"].as_i64().unwrap_or(i64::MAX);
        match self.below(16) {
            0 => least,
            _ => least.max(0).saturating_add(self.below(5) as i64).min(most),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(schema: Value) -> Vec<Value> {
        let mut made_up = MadeUp::new(7);
        let schema = schema.to_string();
        (0..200).map(|_| made_up.value(schema.as_bytes())).collect()
    }

    #[test]
    fn the_same_seed_makes_up_the_same_values() {
        let schema = br#"{"type":"array","items":{"type":"string"}}"#;
        let series = |seed| {
            let mut made_up = MadeUp::new(seed);
            (0..20).map(|_| made_up.value(schema)).collect::<Vec<_>>()
        };
        assert_eq!(series(1), series(1));
        assert_ne!(series(1), series(2));
    }

    #[test]
    fn optional_fields_are_there_and_not_there() {
        let schema = json!({ "type": "object", "required": ["a"],
            "properties": { "a": { "type": "boolean" }, "b": { "type": ["integer", "null"] } } });
        let values = values(schema);
        assert!(values.iter().all(|value| value["a"].is_boolean()));
        assert!(values.iter().any(|value| value.get("b").is_none()));
        assert!(values.iter().any(|value| value["b"].is_i64()));
    }

    #[test]
    fn integers_keep_their_bounds() {
        let values = values(json!({ "type": "integer", "minimum": 3, "maximum": 4 }));
        assert!(values.iter().all(|value| value == 3 || value == 4));
    }

    #[test]
    fn a_schema_that_refers_to_itself_comes_to_an_end() {
        let values = values(json!({ "$ref": "#/$defs/tree", "$defs": { "tree": {
            "type": "object", "required": ["of"],
            "properties": { "of": { "type": "array", "items": { "$ref": "#/$defs/tree" } } } } } }));
        assert!(values.iter().all(Value::is_object));
    }
}
