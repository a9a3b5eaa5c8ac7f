//! From JSON to a filter.

use serde_json::{Map, Value};

use super::{Comparison, FieldPath, Filter};

/// Filters in each other; deeper ones are made by programs that have gone astray.
const MAX_DEPTH: usize = 8;
/// Comparisons in one filter; bounds what one query costs per document.
const MAX_COMPARISONS: usize = 64;
/// Values of one `in`.
const MAX_VALUES: usize = 100;
/// For messages.
const OPERATORS: &str = "eq, ne, lt, lte, gt, gte, in, exists, prefix";

/// Why some JSON is not taken as a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// Something that must be an object is not.
    #[error("{what} must be an object, such as {example}")]
    NotAnObject {
        /// What must be one.
        what: String,
        /// What it may look like.
        example: &'static str,
    },
    /// There is no such operator.
    #[error("field {field:?}: unknown operator {operator:?}, known are {OPERATORS}")]
    UnknownOperator {
        /// Which field is compared.
        field: String,
        /// What was given.
        operator: String,
    },
    /// A field is compared with nothing.
    #[error("field {field:?}: an operator is missing, known are {OPERATORS}")]
    NoOperator {
        /// Which field.
        field: String,
    },
    /// An operator does not take such a value.
    #[error("field {field:?}: {operator:?} takes {rule}")]
    Value {
        /// Which field is compared.
        field: String,
        /// With which operator.
        operator: String,
        /// What it takes.
        rule: &'static str,
    },
    /// A path is not one.
    #[error("{path:?} is no path to a field: {rule}")]
    Path {
        /// What was given, shortened.
        path: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// `and` or `or` without filters.
    #[error("{operator:?} takes an array of at least one filter")]
    NoFilters {
        /// Which of them.
        operator: &'static str,
    },
    /// There are too many of something.
    #[error("the filter has more than {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
}

/// What is left of the limits.
pub(super) struct Parser {
    depth: usize,
    comparisons: usize,
}

impl Parser {
    /// Parses what a stranger gives.
    pub(super) fn limited() -> Self {
        Self {
            depth: MAX_DEPTH,
            comparisons: MAX_COMPARISONS,
        }
    }

    /// Parses what we have written ourselves.
    pub(super) fn unlimited() -> Self {
        Self {
            depth: usize::MAX,
            comparisons: usize::MAX,
        }
    }

    /// Parses one filter with those in it.
    pub(super) fn filter(&mut self, value: &Value) -> Result<Filter, InvalidFilter> {
        const EXAMPLE: &str = r#"{"state": {"eq": "open"}}"#;
        let fields = object(value, EXAMPLE, || "a filter".into())?;
        let too_deep = InvalidFilter::TooLarge {
            what: "levels",
            limit: MAX_DEPTH,
        };
        self.depth = self.depth.checked_sub(1).ok_or(too_deep)?;
        let mut all = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            match key.as_str() {
                "and" => all.extend(self.filters("and", value)?),
                "or" => all.push(Filter::Or(self.filters("or", value)?)),
                path => self.field(path, value, &mut all)?,
            }
        }
        self.depth += 1;
        Ok(if all.len() == 1 {
            all.remove(0)
        } else {
            Filter::And(all)
        })
    }

    fn filters(
        &mut self,
        operator: &'static str,
        value: &Value,
    ) -> Result<Vec<Filter>, InvalidFilter> {
        let filters = value.as_array().filter(|filters| !filters.is_empty());
        let filters = filters.ok_or(InvalidFilter::NoFilters { operator })?;
        filters.iter().map(|filter| self.filter(filter)).collect()
    }

    /// Parses the comparisons of one field.
    fn field(
        &mut self,
        path: &str,
        value: &Value,
        all: &mut Vec<Filter>,
    ) -> Result<(), InvalidFilter> {
        let path = FieldPath::parse(path)?;
        let field = || path.to_string();
        let operators = object(value, r#"{"eq": 1}"#, || {
            format!("what field {path:?} is compared with", path = path.as_str())
        })?;
        if operators.is_empty() {
            return Err(InvalidFilter::NoOperator { field: field() });
        }
        for (operator, value) in operators {
            let too_many = InvalidFilter::TooLarge {
                what: "comparisons",
                limit: MAX_COMPARISONS,
            };
            self.comparisons = self.comparisons.checked_sub(1).ok_or(too_many)?;
            let comparison = comparison(operator, value).map_err(|rule| match rule {
                Some(rule) => InvalidFilter::Value {
                    field: field(),
                    operator: operator.clone(),
                    rule,
                },
                None => InvalidFilter::UnknownOperator {
                    field: field(),
                    operator: operator.chars().take(60).collect(),
                },
            })?;
            all.push(Filter::Field(path.clone(), comparison));
        }
        Ok(())
    }
}

fn object<'a>(
    value: &'a Value,
    example: &'static str,
    what: impl FnOnce() -> String,
) -> Result<&'a Map<String, Value>, InvalidFilter> {
    value.as_object().ok_or_else(|| InvalidFilter::NotAnObject {
        what: what(),
        example,
    })
}

/// Parses one comparison; the error is the rule that the value breaks, or nothing for an unknown operator.
fn comparison(operator: &str, value: &Value) -> Result<Comparison, Option<&'static str>> {
    Ok(match operator {
        "eq" => Comparison::Eq(scalar(value)?),
        "ne" => Comparison::Ne(scalar(value)?),
        "lt" => Comparison::Lt(bound(value)?),
        "lte" => Comparison::Lte(bound(value)?),
        "gt" => Comparison::Gt(bound(value)?),
        "gte" => Comparison::Gte(bound(value)?),
        "in" => Comparison::In(scalars(value)?),
        "exists" => Comparison::Exists(value.as_bool().ok_or("true or false")?),
        "prefix" => Comparison::Prefix(value.as_str().ok_or("a string")?.to_owned()),
        _ => return Err(None),
    })
}

fn scalar(value: &Value) -> Result<Value, &'static str> {
    match value {
        Value::Array(_) | Value::Object(_) => Err("null, a bool, a number or a string"),
        Value::Number(number) if number.is_u64() && number.as_i64().is_none() => {
            Err("integers of 64 bits with a sign")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

fn bound(value: &Value) -> Result<Value, &'static str> {
    if value.is_null() || value.is_array() || value.is_object() {
        return Err("a number, a string or a bool");
    }
    scalar(value)
}

fn scalars(value: &Value) -> Result<Vec<Value>, &'static str> {
    const RULE: &str = "an array of at most 100 scalars";
    let values = value
        .as_array()
        .filter(|values| values.len() <= MAX_VALUES)
        .ok_or(RULE)?;
    values.iter().map(scalar).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(filter: Value, expected: &str) {
        let error = Filter::parse(&filter).unwrap_err().to_string();
        assert!(error.contains(expected), "{filter}: {error}");
    }

    #[test]
    fn an_error_names_what_is_wrong_and_what_is_known() {
        refused(json!([]), "a filter must be an object");
        refused(
            json!({"state": "open"}),
            r#"field "state" is compared with must be an object, such as {"eq": 1}"#,
        );
        refused(
            json!({"state": {}}),
            r#"field "state": an operator is missing"#,
        );
        refused(
            json!({"state": {"like": "x"}}),
            r#"unknown operator "like", known are eq, ne, lt"#,
        );
        refused(
            json!({"state": {"eq": []}}),
            r#"field "state": "eq" takes null, a bool, a number or a string"#,
        );
        refused(
            json!({"state": {"lt": null}}),
            r#""lt" takes a number, a string or a bool"#,
        );
        refused(
            json!({"state": {"exists": 1}}),
            r#""exists" takes true or false"#,
        );
        refused(
            json!({"state": {"prefix": 1}}),
            r#""prefix" takes a string"#,
        );
        refused(json!({"n": {"eq": u64::MAX}}), "64 bits");
        refused(json!({"$where": {"eq": 1}}), r#""$where" is no path"#);
        refused(
            json!({"_foldhost.seq": {"eq": 1}}),
            "_foldhost is the host's",
        );
        refused(
            json!({"or": []}),
            r#""or" takes an array of at least one filter"#,
        );
        refused(json!({"and": {}}), r#""and" takes an array"#);
    }

    #[test]
    fn depth_is_limited_on_both_sides() {
        let nested =
            |levels| (1..levels).fold(json!({"a": {"eq": 1}}), |inner, _| json!({ "or": [inner] }));
        assert!(Filter::parse(&nested(8)).is_ok());
        refused(nested(9), "more than 8 levels");
    }

    #[test]
    fn comparisons_are_limited_on_both_sides() {
        let many = |count| json!({ "or": vec![json!({"a": {"eq": 1}}); count] });
        assert!(Filter::parse(&many(64)).is_ok());
        refused(many(65), "more than 64 comparisons");
    }

    #[test]
    fn the_values_of_in_are_limited_on_both_sides() {
        assert!(Filter::parse(&json!({"a": {"in": vec![1; 100]}})).is_ok());
        refused(json!({"a": {"in": vec![1; 101]}}), "at most 100 scalars");
    }
}
