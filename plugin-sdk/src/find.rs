//! What a named query becomes: a filter, an order and a bound, in the terms that every read store knows.

use serde_json::{Map, Value};

/// Which documents a query gives, in which order, and how many at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    /// The portable filter as JSON; `{}` matches everything.
    pub filter: Value,
    /// The order; the document's id is always the last key.
    pub sort: Vec<SortKey>,
    /// The most documents that the whole query gives, over all its pages.
    pub most: Option<u32>,
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// Dotted path into the document.
    pub path: String,
    /// From the highest to the lowest.
    pub descending: bool,
}

impl Find {
    /// Every document, in the order of the ids.
    pub fn all() -> Self {
        Self {
            filter: Value::Object(Map::new()),
            sort: Vec::new(),
            most: None,
        }
    }

    /// The documents that a filter matches.
    pub fn matching(filter: Filter) -> Self {
        Self {
            filter: filter.0,
            ..Self::all()
        }
    }

    /// Adds sort keys: dotted paths, with a `-` before those that descend.
    #[must_use]
    pub fn sort<'p>(mut self, paths: impl IntoIterator<Item = &'p str>) -> Self {
        self.sort
            .extend(paths.into_iter().map(|path| match path.strip_prefix('-') {
                Some(path) => SortKey {
                    path: path.to_owned(),
                    descending: true,
                },
                None => SortKey {
                    path: path.to_owned(),
                    descending: false,
                },
            }));
        self
    }

    /// Gives at most so many documents.
    #[must_use]
    pub fn most(mut self, most: u32) -> Self {
        self.most = Some(most);
        self
    }
}

/// A portable filter over the fields of documents, named by dotted paths.
///
/// ```
/// use foldhost_plugin_sdk::{Filter, Find};
///
/// let find = Find::matching(Filter::eq("author_key", "anna").and(Filter::gte("likes", 3)))
///     .sort(["-likes"])
///     .most(10);
/// assert_eq!(
///     find.filter.to_string(),
///     r#"{"and":[{"author_key":{"eq":"anna"}},{"likes":{"gte":3}}]}"#,
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Value);

impl Filter {
    /// The field has this value.
    pub fn eq(field: &str, value: impl Into<Value>) -> Self {
        Self::compare(field, "eq", value.into())
    }

    /// The field does not have this value, or is not there.
    pub fn ne(field: &str, value: impl Into<Value>) -> Self {
        Self::compare(field, "ne", value.into())
    }

    /// The field is lower.
    pub fn lt(field: &str, value: impl Into<Value>) -> Self {
        Self::compare(field, "lt", value.into())
    }

    /// The field is lower or the same.
    pub fn lte(field: &str, value: impl Into<Value>) -> Self {
        Self::compare(field, "lte", value.into())
    }

    /// The field is higher.
    pub fn gt(field: &str, value: impl Into<Value>) -> Self {
        Self::compare(field, "gt", value.into())
    }

    /// The field is higher or the same.
    pub fn gte(field: &str, value: impl Into<Value>) -> Self {
        Self::compare(field, "gte", value.into())
    }

    /// The field has one of these values.
    pub fn one_of<V: Into<Value>>(field: &str, values: impl IntoIterator<Item = V>) -> Self {
        Self::compare(field, "in", values.into_iter().map(Into::into).collect())
    }

    /// The field is there, or is not.
    pub fn exists(field: &str, exists: bool) -> Self {
        Self::compare(field, "exists", exists.into())
    }

    /// The field is a text that starts with this one.
    pub fn prefix(field: &str, prefix: &str) -> Self {
        Self::compare(field, "prefix", prefix.into())
    }

    /// Both filters match.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::all_of([self, other])
    }

    /// At least one of the two matches.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::any_of([self, other])
    }

    /// Every one of these matches.
    pub fn all_of(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::combine("and", filters)
    }

    /// At least one of these matches.
    pub fn any_of(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::combine("or", filters)
    }

    fn compare(field: &str, operator: &str, value: Value) -> Self {
        Self::object(field, Self::object(operator, value).0)
    }

    fn combine(operator: &str, filters: impl IntoIterator<Item = Self>) -> Self {
        Self::object(
            operator,
            filters.into_iter().map(|filter| filter.0).collect(),
        )
    }

    fn object(key: &str, value: Value) -> Self {
        Self(Value::Object(Map::from_iter([(key.to_owned(), value)])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;

    #[track_caller]
    fn check(filter: Filter, expected: &str) {
        assert_eq!(filter.0.to_string(), expected);
    }

    #[test]
    fn filters_are_written_in_their_portable_form() {
        check(Filter::ne("a.b", true), r#"{"a.b":{"ne":true}}"#);
        check(Filter::lt("n", 1.5), r#"{"n":{"lt":1.5}}"#);
        check(Filter::one_of("n", [1, 2]), r#"{"n":{"in":[1,2]}}"#);
        check(Filter::exists("n", false), r#"{"n":{"exists":false}}"#);
        check(
            Filter::prefix("n", "x").or(Filter::eq("n", Value::Null)),
            r#"{"or":[{"n":{"prefix":"x"}},{"n":{"eq":null}}]}"#,
        );
    }

    #[test]
    fn a_time_is_compared_as_documents_hold_it() {
        check(
            Filter::gt("at", Time::from_micros(1_999)),
            r#"{"at":{"gt":"1970-01-01T00:00:00.001Z"}}"#,
        );
    }

    #[test]
    fn a_dash_makes_a_sort_key_descend() {
        let find = Find::all().sort(["-likes", "post_id"]);
        assert_eq!(
            find.sort,
            [
                SortKey {
                    path: "likes".into(),
                    descending: true
                },
                SortKey {
                    path: "post_id".into(),
                    descending: false
                },
            ]
        );
    }
}
