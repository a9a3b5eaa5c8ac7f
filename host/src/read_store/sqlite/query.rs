//! From a find request to SQL.
//!
//! What compares an indexed path, or the id, becomes a condition on its column, which an index can serve; everything else
//! of the filter goes to `foldhost_matches`. Text of the request never becomes part of the SQL: values and paths are
//! bound, and columns are named by ourselves.

use rusqlite::types::Value as Sql;

use super::super::{Comparison, Error, FieldPath, Filter, Find, Place, SortKey};
use super::documents::Layout;
use super::key::{self, Kind};

/// A statement with its parameters. Its columns are the id, the document, and one encoded value per sort key.
#[derive(Debug, Default)]
pub(super) struct Query {
    /// The text.
    pub(super) sql: String,
    /// For `?1` and so on.
    pub(super) parameters: Vec<Sql>,
}

/// Compiles a find request over the documents of a collection.
pub(super) fn compile(layout: &Layout, find: &Find) -> Result<Query, Error> {
    let mut query = Query::default();
    let mut order = find
        .sort
        .iter()
        .map(|key| query.sort_key(layout, key))
        .collect::<Result<Vec<_>, _>>()?;
    let selected: String = order
        .iter()
        .map(|(expression, _)| format!(", {expression}"))
        .collect();
    order.push(("id".into(), false));
    let mut conditions = query.filter(layout, &find.filter);
    if let Some(place) = &find.after {
        conditions.push(query.behind(&order, place)?);
    }
    let wanted = if conditions.is_empty() {
        "1".into()
    } else {
        conditions.join(" AND ")
    };
    let order: Vec<String> = order
        .into_iter()
        .map(|(expression, descending)| {
            if descending {
                format!("{expression} DESC")
            } else {
                expression
            }
        })
        .collect();
    let limit = query.bind(Sql::Integer(i64::try_from(find.limit).unwrap_or(i64::MAX)));
    let (table, order) = (&layout.table, order.join(", "));
    query.sql = format!(
        "SELECT id, document{selected} FROM {table} WHERE {wanted} ORDER BY {order} LIMIT {limit}"
    );
    Ok(query)
}

impl Query {
    /// Adds a parameter and returns its name.
    fn bind(&mut self, value: Sql) -> String {
        self.parameters.push(value);
        format!("?{}", self.parameters.len())
    }

    /// Returns the expression to sort by and whether the order is descending.
    fn sort_key(&mut self, layout: &Layout, key: &SortKey) -> Result<(String, bool), Error> {
        let path = FieldPath::parse(&key.path).map_err(|error| Error::Refused {
            reason: error.to_string(),
        })?;
        let expression = layout.column(&path).unwrap_or_else(|| {
            let path = self.bind(Sql::Text(key.path.clone()));
            format!("foldhost_key({path}, document)")
        });
        Ok((expression, key.descending))
    }

    /// Returns conditions that must all hold.
    fn filter(&mut self, layout: &Layout, filter: &Filter) -> Vec<String> {
        let mut all = Vec::new();
        flatten(filter, &mut all);
        let (indexed, others): (Vec<&Filter>, Vec<&Filter>) = all
            .into_iter()
            .partition(|filter| has_columns(layout, filter));
        let mut conditions: Vec<String> = indexed
            .into_iter()
            .map(|filter| self.condition(layout, filter))
            .collect();
        if !others.is_empty() {
            let others = Filter::And(others.into_iter().cloned().collect());
            let filter = self.bind(Sql::Text(others.to_value().to_string()));
            conditions.push(format!("foldhost_matches({filter}, id, document)"));
        }
        conditions
    }

    /// Turns a filter that [`has_columns`] into a condition.
    fn condition(&mut self, layout: &Layout, filter: &Filter) -> String {
        let mut joined = |filters: &[Filter], word: &str| {
            let conditions: Vec<String> = filters
                .iter()
                .map(|filter| self.condition(layout, filter))
                .collect();
            format!("({})", conditions.join(word))
        };
        match filter {
            Filter::And(filters) if filters.is_empty() => "1".into(),
            Filter::Or(filters) if filters.is_empty() => "0".into(),
            Filter::And(filters) => joined(filters, " AND "),
            Filter::Or(filters) => joined(filters, " OR "),
            Filter::Field(path, comparison) => layout
                .column(path)
                .map_or_else(|| "0".into(), |column| self.comparison(&column, comparison)),
        }
    }

    fn comparison(&mut self, column: &str, comparison: &Comparison) -> String {
        let mut one = |operator: &str, value| {
            format!("{column} {operator} {}", self.bind(key::encode(value)))
        };
        let kind = |value| Kind::of(&key::encode(value));
        match comparison {
            Comparison::Eq(value) => one("=", value),
            Comparison::Ne(value) => one("<>", value),
            Comparison::Lt(value) => {
                format!("({} AND {})", kind(value).above(column), one("<", value))
            }
            Comparison::Lte(value) => {
                format!("({} AND {})", kind(value).above(column), one("<=", value))
            }
            Comparison::Gt(value) => {
                format!("({} AND {})", one(">", value), kind(value).below(column))
            }
            Comparison::Gte(value) => {
                format!("({} AND {})", one(">=", value), kind(value).below(column))
            }
            Comparison::In(values) => {
                let values: Vec<String> = values
                    .iter()
                    .map(|value| self.bind(key::encode(value)))
                    .collect();
                format!("{column} IN ({})", values.join(", "))
            }
            // Of what has a column only the id is known to exist; see `has_columns`.
            Comparison::Exists(exists) => i32::from(*exists).to_string(),
            Comparison::Prefix(prefix) => {
                let from = self.bind(Sql::Text(prefix.clone()));
                let to = key::after_prefix(prefix).map_or(Sql::Blob(Vec::new()), Sql::Text);
                format!("({column} >= {from} AND {column} < {})", self.bind(to))
            }
        }
    }

    /// Returns the condition that a document comes behind a place. It begins with a plain bound on the first key, from
    /// which an index can start.
    fn behind(&mut self, order: &[(String, bool)], place: &Place) -> Result<String, Error> {
        if place.values.len() + 1 != order.len() {
            return Err(Error::Refused {
                reason: "the place was taken in another order".into(),
            });
        }
        let mut values: Vec<Sql> = place.values.iter().map(key::encode).collect();
        values.push(Sql::Text(place.id.clone()));
        let mut bound = String::new();
        let mut behind = String::new();
        for (at, ((expression, descending), value)) in order.iter().zip(values).enumerate().rev() {
            let (value, operator) = (self.bind(value), if *descending { "<" } else { ">" });
            behind = if behind.is_empty() {
                format!("{expression} {operator} {value}")
            } else {
                format!(
                    "({expression} {operator} {value} OR ({expression} = {value} AND {behind}))"
                )
            };
            if at == 0 {
                bound = format!("{expression} {operator}= {value}");
            }
        }
        Ok(format!("{bound} AND {behind}"))
    }
}

fn flatten<'a>(filter: &'a Filter, all: &mut Vec<&'a Filter>) {
    match filter {
        Filter::And(filters) => filters.iter().for_each(|filter| flatten(filter, all)),
        Filter::Or(_) | Filter::Field(..) => all.push(filter),
    }
}

/// Tells whether every comparison in a filter can be made on columns, which do not tell `null` from missing.
fn has_columns(layout: &Layout, filter: &Filter) -> bool {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().all(|filter| has_columns(layout, filter))
        }
        Filter::Field(path, Comparison::Exists(_)) => path.is_id(),
        Filter::Field(path, _) => layout.column(path).is_some(),
    }
}
