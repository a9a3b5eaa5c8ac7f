//! The order of the port, where the database's does not do.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde_json::Value;

use super::super::{Error, FieldPath, Find, Found, Place, SortKey};
use crate::message::Json;
use crate::read_store::filter::compare;

/// A sort, checked.
#[derive(Debug)]
pub(super) struct Order {
    /// The paths and whether larger values come first; the id follows.
    pub(super) keys: Vec<(FieldPath, bool)>,
}

impl Order {
    /// Checks a request's sort and the place behind which it goes on.
    pub(super) fn of(find: &Find) -> Result<Self, Error> {
        let key = |key: &SortKey| match FieldPath::parse(&key.path) {
            Ok(path) => Ok((path, key.descending)),
            Err(error) => Err(Error::Refused {
                reason: error.to_string(),
            }),
        };
        let keys = find.sort.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        if find
            .after
            .as_ref()
            .is_some_and(|place| place.values.len() != keys.len())
        {
            return Err(Error::Refused {
                reason: "the place was taken in another order".into(),
            });
        }
        Ok(Self { keys })
    }

    /// Says where a document stands.
    pub(super) fn place(&self, id: &str, document: &Value) -> Place {
        let values = self.keys.iter().map(|(path, _)| {
            if path.is_id() {
                return id.into();
            }
            path.scalar(document).cloned().unwrap_or(Value::Null)
        });
        Place {
            values: values.collect(),
            id: id.into(),
        }
    }

    /// Compares two places.
    pub(super) fn compare(&self, a: &Place, b: &Place) -> Ordering {
        let pairs = self.keys.iter().zip(a.values.iter().zip(&b.values));
        for ((_, descending), (a, b)) in pairs {
            let ordering = compare_values(a, b);
            if ordering.is_ne() {
                return if *descending {
                    ordering.reverse()
                } else {
                    ordering
                };
            }
        }
        a.id.as_bytes().cmp(b.id.as_bytes())
    }
}

/// Null and missing, then numbers, strings, bools.
fn compare_values(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null | Value::Array(_) | Value::Object(_) => 0,
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::Bool(_) => 3,
    };
    let kinds = rank(a).cmp(&rank(b));
    kinds.then_with(|| compare(a, b).unwrap_or(Ordering::Equal))
}

/// The first few of many documents, in memory for no more than that.
pub(super) struct First<'a> {
    order: &'a Order,
    limit: usize,
    heap: BinaryHeap<Ranked<'a>>,
}

struct Ranked<'a> {
    order: &'a Order,
    found: Found,
}

impl<'a> First<'a> {
    pub(super) fn new(order: &'a Order, limit: usize) -> Self {
        Self {
            order,
            limit,
            heap: BinaryHeap::new(),
        }
    }

    /// Adds a document; the last one goes when there are too many.
    pub(super) fn add(&mut self, place: Place, document: Json) {
        let found = Found { place, document };
        let order = self.order;
        self.heap.push(Ranked { order, found });
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// Returns the documents in order.
    pub(super) fn into_found(self) -> Vec<Found> {
        let ranked = self.heap.into_sorted_vec();
        ranked.into_iter().map(|ranked| ranked.found).collect()
    }
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.compare(&self.found.place, &other.found.place)
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked<'_> {}
