//! Documents between canonical JSON and BSON.
//!
//! People read them with ordinary tools, so they are what they look like: numbers are numbers, declared dates are dates.
//! Nearly every document comes back from that byte for byte. One that would not — it holds an array in an array or a
//! negative zero, which FerretDB does not keep, or a name that databases refuse — keeps its canonical text beside, under
//! `_foldhost.json`, and its readable form stands in for queries and people only.

use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::{Map, Number, Value};

use super::super::Error;
use crate::message::{Json, Time};

/// The field for all bookkeeping.
pub(super) const OURS: &str = "_foldhost";
/// What of BSON's levels and of MongoDB's 16 MiB is left when our own are taken off.
const MAX_DEPTH: usize = 64;
const MAX_BYTES: usize = 15 * 1024 * 1024;

/// Encodes a document as it is stored; the error is the rule that it breaks.
pub(super) fn encode(
    id: &str,
    json: &Json,
    value: &Value,
    (dates, seq): (&[Vec<String>], u64),
) -> Result<Document, String> {
    let mut encoder = Encoder { exact: true };
    let mut stored = doc! {"_id": id};
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "_id" || name == OURS {
                    encoder.exact = false;
                    continue;
                }
                stored.insert(encoder.name(name), encoder.value(value, 1)?);
            }
        }
        _ => encoder.exact = false,
    }
    for path in dates {
        to_date(&mut stored, path);
    }
    let mut ours = doc! {"seq": seq as i64};
    if !encoder.exact {
        ours.insert("json", json.as_str());
    }
    stored.insert(OURS, ours);
    let bytes = json.as_str().len();
    if bytes > MAX_BYTES / 2
        && stored.to_vec().map_or(usize::MAX, |stored| stored.len()) > MAX_BYTES
    {
        return Err(format!(
            "its {bytes} bytes are more than the database takes"
        ));
    }
    Ok(stored)
}

/// What stands in a document's place once it is deleted.
pub(super) fn tombstone(id: &str, seq: u64) -> Document {
    doc! {"_id": id, OURS: {"seq": seq as i64, "deleted": true}}
}

/// Takes a stored document back: its id and the document, which a tombstone has none of.
pub(super) fn decode(mut stored: Document) -> Result<(String, Option<(Json, Value)>), Error> {
    let id = match stored.remove("_id") {
        Some(Bson::String(id)) => id,
        other => {
            let reason = format!("a document has {other:?} for an id");
            return Err(Error::Refused { reason });
        }
    };
    let ours = match stored.remove(OURS) {
        Some(Bson::Document(ours)) => ours,
        _ => Document::new(),
    };
    if ours.get_bool("deleted").unwrap_or_default() {
        return Ok((id, None));
    }
    if let Ok(text) = ours.get_str("json") {
        let json = Json::from_store(text);
        let value = json.to_value();
        return Ok((id, Some((json, value))));
    }
    let value = Value::Object(object(stored));
    Ok((id, Some((Json::from(&value), value))))
}

/// Returns the form in which a time is kept, if it is one in the form that documents have it in.
pub(super) fn date(text: &str) -> Option<DateTime> {
    // Years before 0 begin with a sign: as text they are ordered before all others, as dates too, but not among themselves.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let time = Time::parse(text).filter(|time| time.to_string() == text)?;
    Some(DateTime::from_millis(time.0.div_euclid(1_000)))
}

/// Returns a scalar as BSON has it; anything else is no scalar.
pub(super) fn scalar(value: &Value) -> Option<Bson> {
    match value {
        Value::Null => Some(Bson::Null),
        Value::Bool(bool) => Some(Bson::Boolean(*bool)),
        Value::Number(number) => self::number(number),
        Value::String(text) => Some(Bson::String(text.clone())),
        Value::Array(_) | Value::Object(_) => None,
    }
}

struct Encoder {
    /// Whether the readable form holds everything.
    exact: bool,
}

impl Encoder {
    fn value(&mut self, value: &Value, depth: usize) -> Result<Bson, String> {
        if depth > MAX_DEPTH {
            // No path leads so deep.
            self.exact = false;
            return Ok(Bson::Null);
        }
        Ok(match value {
            Value::Object(fields) => Bson::Document(self.object(fields, depth)?),
            Value::Array(items) => {
                let items = items.iter().map(|item| self.item(item, depth + 1));
                Bson::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Number(number) => {
                self.exact &= number.as_f64() != Some(0.0)
                    || number.as_i64().is_some()
                    || !is_negative_zero(number);
                self::number(number)
                    .ok_or_else(|| format!("the integer {number} is beyond 64 signed bits"))?
            }
            Value::Null | Value::Bool(_) | Value::String(_) => scalar(value).unwrap_or(Bson::Null),
        })
    }

    fn object(&mut self, fields: &Map<String, Value>, depth: usize) -> Result<Document, String> {
        let fields = fields
            .iter()
            .map(|(name, value)| Ok((self.name(name), self.value(value, depth + 1)?)));
        fields.collect()
    }

    /// An array directly in an array becomes an object with the places for names: FerretDB keeps no other, and no path
    /// leads through either.
    fn item(&mut self, item: &Value, depth: usize) -> Result<Bson, String> {
        let Value::Array(items) = item else {
            return self.value(item, depth);
        };
        self.exact = false;
        let items = items.iter().enumerate();
        let items = items.map(|(at, item)| Ok((at.to_string(), self.value(item, depth + 1)?)));
        Ok(Bson::Document(items.collect::<Result<_, String>>()?))
    }

    /// Names that a server may refuse are shown by characters that look like them.
    fn name(&mut self, name: &str) -> String {
        if !name.is_empty() && !name.contains(['.', '\0']) && !name.starts_with('$') {
            return name.to_owned();
        }
        self.exact = false;
        let shown = name
            .replace('.', "\u{ff0e}")
            .replace('$', "\u{ff04}")
            .replace('\0', "\u{fffd}");
        if shown.is_empty() {
            "\u{fffd}".into()
        } else {
            shown
        }
    }
}

fn is_negative_zero(number: &Number) -> bool {
    number
        .as_f64()
        .is_some_and(|float| float == 0.0 && float.is_sign_negative())
}

fn number(number: &Number) -> Option<Bson> {
    if let Some(integer) = number.as_i64() {
        return Some(i32::try_from(integer).map_or(Bson::Int64(integer), Bson::Int32));
    }
    if number.is_u64() {
        return None;
    }
    number.as_f64().map(Bson::Double)
}

fn to_date(stored: &mut Document, path: &[String]) {
    let Some((last, way)) = path.split_last() else {
        return;
    };
    let mut at = stored;
    for name in way {
        match at.get_mut(name) {
            Some(Bson::Document(inner)) => at = inner,
            _ => return,
        }
    }
    if let Some(value) = at.get_mut(last)
        && let Some(date) = value.as_str().and_then(date)
    {
        *value = Bson::DateTime(date);
    }
}

fn object(stored: Document) -> Map<String, Value> {
    stored
        .into_iter()
        .map(|(name, value)| (name, json(value)))
        .collect()
}

fn json(value: Bson) -> Value {
    match value {
        Bson::Document(fields) => Value::Object(object(fields)),
        Bson::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        Bson::String(text) => Value::String(text),
        Bson::Boolean(bool) => Value::Bool(bool),
        Bson::Int32(integer) => integer.into(),
        Bson::Int64(integer) => integer.into(),
        Bson::Double(float) => Number::from_f64(float).map_or(Value::Null, Value::Number),
        Bson::DateTime(date) => Time(date.timestamp_millis().saturating_mul(1_000))
            .to_string()
            .into(),
        Bson::Null => Value::Null,
        // We write none of the others; what people wrote is shown as well as JSON can.
        other => Value::String(other.to_string()),
    }
}
