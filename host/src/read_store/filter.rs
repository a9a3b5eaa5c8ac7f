//! The portable filter: which documents a query wants, in a form that every read store answers alike.
//!
//! # Form
//! A JSON object. `{"state": {"eq": "open"}}` compares a field; several operators of one field, and several fields, must
//! all hold. `{"and": [..]}` and `{"or": [..]}` take at least one filter each. `{}` matches every document. A field whose
//! whole path is `and` or `or` cannot be compared, one named so further down can.
//!
//! A path is 1 to 8 names joined by dots; names are ASCII letters, digits, `_` and `-`, not digits alone, which would
//! address array elements in some stores. `_id` is the document's id. `_foldhost` is the host's and is refused.
//!
//! # Meaning
//! A path leads to values: through objects by name, and through an array to each of its objects in turn (not through an
//! array directly inside an array). An array at the path's end stands for each of its elements. An object that lacks the
//! name, or a scalar in the way, leads to *missing*.
//!
//! | Operator | Takes | Matches when |
//! |---|---|---|
//! | `eq` | a scalar | any value equals it; `null` also matches missing |
//! | `ne` | a scalar | `eq` does not |
//! | `in` | at most 100 scalars | `eq` does for one of them; none of none |
//! | `lt` `lte` `gt` `gte` | a number, string or bool | any value of the same kind is ordered so |
//! | `prefix` | a string | any string begins with it |
//! | `exists` | a bool | there is any value, `null` too; `false`: there is none |
//!
//! Kinds never mix: a number is neither less nor greater than a string. Numbers are compared by their exact value whether
//! they are written as integers or not, strings by their bytes, and `false` comes before `true`. A time is a string in UTC
//! with milliseconds, which orders like the time itself; filters must give it in that form. Whole arrays and objects are
//! not compared.

mod matches;
mod parse;
mod path;

use serde_json::{Map, Value, json};

pub(crate) use matches::compare;
pub use parse::InvalidFilter;
pub use path::FieldPath;

/// Which documents a query wants. See the module's documentation for what it means.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of these hold; of none, everything does.
    And(Vec<Filter>),
    /// At least one of these holds.
    Or(Vec<Filter>),
    /// A field compares so.
    Field(FieldPath, Comparison),
}

/// How a field must compare. The values are scalars.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// Equals this; `null` equals missing.
    Eq(Value),
    /// Does not equal this.
    Ne(Value),
    /// Is of the same kind and less.
    Lt(Value),
    /// Is of the same kind and not greater.
    Lte(Value),
    /// Is of the same kind and greater.
    Gt(Value),
    /// Is of the same kind and not less.
    Gte(Value),
    /// Equals one of these.
    In(Vec<Value>),
    /// Is there, or is not.
    Exists(bool),
    /// Is a string that begins so.
    Prefix(String),
}

impl Filter {
    /// Matches every document.
    pub const fn everything() -> Self {
        Self::And(Vec::new())
    }

    /// Parses the JSON form: at most 8 levels of filters in each other and 64 comparisons.
    pub fn parse(value: &Value) -> Result<Self, InvalidFilter> {
        parse::Parser::limited().filter(value)
    }

    /// Takes back what [`Filter::to_value`] gave, whose levels may be more than those of the original.
    pub(crate) fn parse_again(value: &Value) -> Result<Self, InvalidFilter> {
        parse::Parser::unlimited().filter(value)
    }

    /// Returns a JSON form that means the same.
    pub fn to_value(&self) -> Value {
        let all = |filters: &[Self]| Value::Array(filters.iter().map(Self::to_value).collect());
        match self {
            Self::And(filters) if filters.is_empty() => json!({}),
            Self::And(filters) => json!({ "and": all(filters) }),
            Self::Or(filters) => json!({ "or": all(filters) }),
            Self::Field(path, comparison) => {
                let (operator, value) = comparison.to_pair();
                let comparison = Value::Object(Map::from_iter([(operator.to_owned(), value)]));
                Value::Object(Map::from_iter([(path.as_str().to_owned(), comparison)]))
            }
        }
    }

    /// Tells whether a document matches: the meaning that every read store is held to.
    pub fn matches(&self, id: &str, document: &Value) -> bool {
        match self {
            Self::And(filters) => filters.iter().all(|filter| filter.matches(id, document)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(id, document)),
            Self::Field(path, comparison) if path.is_id() => {
                matches::field(&Value::String(id.to_owned()), None, comparison)
            }
            Self::Field(path, comparison) => {
                matches::field(document, Some(path.as_str()), comparison)
            }
        }
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self::everything()
    }
}

impl Comparison {
    fn to_pair(&self) -> (&'static str, Value) {
        match self {
            Self::Eq(value) => ("eq", value.clone()),
            Self::Ne(value) => ("ne", value.clone()),
            Self::Lt(value) => ("lt", value.clone()),
            Self::Lte(value) => ("lte", value.clone()),
            Self::Gt(value) => ("gt", value.clone()),
            Self::Gte(value) => ("gte", value.clone()),
            Self::In(values) => ("in", Value::Array(values.clone())),
            Self::Exists(exists) => ("exists", Value::Bool(*exists)),
            Self::Prefix(prefix) => ("prefix", Value::String(prefix.clone())),
        }
    }
}
