//! From a find request to what the database can tell.
//!
//! The condition made here holds for every document that the request wants, and perhaps for others: each found document
//! is checked once more against the request itself. So what an index can serve, or what saves many documents their way,
//! is said here, and everything whose meaning differs between servers is not. Under an indexed path every document has a
//! scalar; there, null to null, the database's order is the port's.

use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::Value;

use super::super::{Comparison, FieldPath, Filter, Place};
use super::document::{OURS, date, scalar};
use super::layout::Layout;
use super::order::Order;

/// The first and the last millisecond that is kept as a date: years 0 to 9999.
const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;

/// Returns a condition that holds at least for all documents that a filter and a place want.
pub(super) fn condition(layout: &Layout, filter: &Filter, behind: Option<Document>) -> Document {
    let wanted = superset(layout, filter);
    if let (Some(wanted), None) = (&wanted, &behind)
        && wanted.len() == 1
        && wanted.get_str("_id").is_ok()
    {
        // Served by the id alone, on every server.
        return wanted.clone();
    }
    let mut all: Vec<Document> = wanted.into_iter().chain(behind).collect();
    all.push(not_deleted());
    if all.len() == 1 {
        all.remove(0)
    } else {
        doc! {"$and": all}
    }
}

/// Returns the condition that a document is not a tombstone.
pub(super) fn not_deleted() -> Document {
    doc! {format!("{OURS}.deleted"): {"$exists": false}}
}

/// Returns the sort of the database that is the order asked for, if there is one.
pub(super) fn sort(layout: &Layout, order: &Order) -> Option<Document> {
    let mut sort = Document::new();
    for (path, descending) in &order.keys {
        if !path.is_id() && !layout.is_indexed(path) {
            return None;
        }
        if !sort.contains_key(path.as_str()) {
            sort.insert(path.as_str(), if *descending { -1 } else { 1 });
        }
    }
    if !sort.contains_key("_id") {
        sort.insert("_id", 1);
    }
    Some(sort)
}

/// Returns the condition that a document comes behind a place in an order that [`sort`] serves.
pub(super) fn behind(layout: &Layout, order: &Order, place: &Place) -> Option<Document> {
    let mut alternatives = Vec::new();
    let mut same = Vec::new();
    for ((path, descending), value) in order.keys.iter().zip(&place.values) {
        let value = if path.is_id() {
            Bson::String(place.id.clone())
        } else {
            stored(layout, path, value)?
        };
        let beyond = beyond(path, *descending, &value);
        alternatives.extend(beyond.into_iter().map(|beyond| {
            let mut all = same.clone();
            all.push(beyond);
            doc! {"$and": all}
        }));
        same.push(doc! {path.as_str(): value});
    }
    same.push(doc! {"_id": {"$gt": &place.id}});
    alternatives.push(doc! {"$and": same});
    Some(doc! {"$or": alternatives})
}

/// Returns the conditions, one of which a value behind this one fulfils. The database compares within a kind only.
fn beyond(path: &FieldPath, descending: bool, value: &Bson) -> Vec<Document> {
    let path = path.as_str();
    let one = |operator: &str, value: Bson| doc! {path: {operator: value}};
    let kinds = [
        Bson::Double(if descending { f64::MAX } else { f64::MIN }),
        Bson::String(String::new()),
        Bson::Boolean(descending),
        Bson::DateTime(DateTime::from_millis(if descending { LAST } else { FIRST })),
    ];
    let rank = match value {
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => 1,
        Bson::String(_) => 2,
        Bson::Boolean(_) => 3,
        Bson::DateTime(_) => 4,
        _ => 0,
    };
    let mut all = Vec::new();
    if rank > 0 {
        all.push(one(if descending { "$lt" } else { "$gt" }, value.clone()));
    }
    for (other, bound) in (1..).zip(kinds) {
        if descending && other < rank {
            // Every text is at least the empty one.
            let operator = if other == 2 { "$gte" } else { "$lte" };
            all.push(one(operator, bound));
        } else if !descending && other > rank {
            all.push(one("$gte", bound));
        }
    }
    if descending && rank > 0 {
        all.push(doc! {path: Bson::Null});
    }
    all
}

/// Returns what a value is stored as under a path; nothing when that cannot be told.
fn stored(layout: &Layout, path: &FieldPath, value: &Value) -> Option<Bson> {
    match value {
        Value::String(text) if layout.is_date(path) => date(text).map(Bson::DateTime),
        value => scalar(value),
    }
}

/// Returns a condition that holds at least for what matches; nothing when all documents may.
fn superset(layout: &Layout, filter: &Filter) -> Option<Document> {
    match filter {
        Filter::And(filters) => {
            let mut all: Vec<Document> = filters
                .iter()
                .filter_map(|filter| superset(layout, filter))
                .collect();
            match all.len() {
                0 => None,
                1 => Some(all.remove(0)),
                _ => Some(doc! {"$and": all}),
            }
        }
        Filter::Or(filters) => {
            let any: Option<Vec<Document>> = filters
                .iter()
                .map(|filter| superset(layout, filter))
                .collect();
            any.filter(|any| !any.is_empty())
                .map(|any| doc! {"$or": any})
        }
        Filter::Field(path, comparison) => field(layout, path, comparison),
    }
}

fn field(layout: &Layout, path: &FieldPath, comparison: &Comparison) -> Option<Document> {
    let known = path.is_id() || layout.is_indexed(path);
    let range = |operator: &str, value: &Value| {
        let bounds = forms(layout, path, value)?;
        let mut any: Vec<Document> = bounds
            .into_iter()
            .map(|bound| doc! {path.as_str(): {operator: bound}})
            .collect();
        Some(if any.len() == 1 {
            any.remove(0)
        } else {
            doc! {"$or": any}
        })
    };
    match comparison {
        // Servers disagree on null and missing behind arrays.
        Comparison::Eq(Value::Null) => known.then(|| doc! {path.as_str(): Bson::Null}),
        Comparison::Eq(value) => one_of(path, forms(layout, path, value)?),
        Comparison::In(values) if known || !values.contains(&Value::Null) => {
            let values = values.iter().map(|value| forms(layout, path, value));
            one_of(path, values.collect::<Option<Vec<_>>>()?.concat())
        }
        Comparison::Lt(value) if known => range("$lt", value),
        Comparison::Lte(value) if known => range("$lte", value),
        Comparison::Gt(value) if known => range("$gt", value),
        Comparison::Gte(value) if known => range("$gte", value),
        Comparison::Prefix(prefix) if known && !layout.is_date(path) => {
            Some(prefixed(path, prefix))
        }
        _ => None,
    }
}

fn one_of(path: &FieldPath, mut values: Vec<Bson>) -> Option<Document> {
    Some(match values.len() {
        1 => doc! {path.as_str(): values.remove(0)},
        _ => doc! {path.as_str(): {"$in": values}},
    })
}

/// Returns all forms in which a scalar may be stored under a path; nothing for what is no scalar.
fn forms(layout: &Layout, path: &FieldPath, value: &Value) -> Option<Vec<Bson>> {
    let date = match value {
        Value::String(text) if layout.is_date(path) => date(text).map(Bson::DateTime),
        // Among the times are some that this text comes before or behind, which only the text can tell.
        _ => None,
    };
    if layout.is_date(path) && value.is_string() && date.is_none() {
        return None;
    }
    Some(date.into_iter().chain(scalar(value)).collect())
}

fn prefixed(path: &FieldPath, prefix: &str) -> Document {
    let mut range = doc! {"$gte": prefix};
    let mut characters = prefix.chars();
    let next = characters
        .next_back()
        .and_then(|last| char::from_u32(last as u32 + 1));
    if let Some(next) = next {
        let begin = characters.as_str();
        range.insert("$lt", format!("{begin}{next}"));
    }
    doc! {path.as_str(): range}
}
