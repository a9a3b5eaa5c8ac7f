//! SQL functions for what has no column: they mean what [`Filter::matches`] and [`FieldPath::scalar`] mean.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{FromSqlError, Value as Sql, ValueRef};
use rusqlite::{Connection, Error, Result};
use serde_json::Value;

use super::super::{FieldPath, Filter};
use super::key;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Makes the functions known to a connection.
pub(super) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("foldhost_matches", 3, flags, matches)?;
    connection.create_scalar_function("foldhost_key", 2, flags, scalar)
}

/// `foldhost_matches(filter, id, document)`: whether a document matches; the filter is parsed once per query.
fn matches(context: &Context<'_>) -> Result<bool> {
    let filter =
        context.get_or_create_aux(0, |filter| -> std::result::Result<Filter, AnyError> {
            Ok(Filter::parse_again(&serde_json::from_str(
                filter.as_str()?,
            )?)?)
        })?;
    Ok(filter.matches(text(context.get_raw(1))?, &document(context.get_raw(2))?))
}

/// `foldhost_key(path, document)`: the scalar under a path, encoded for ordering.
fn scalar(context: &Context<'_>) -> Result<Sql> {
    let path =
        context.get_or_create_aux(0, |path| -> std::result::Result<FieldPath, AnyError> {
            Ok(FieldPath::parse(path.as_str()?)?)
        })?;
    Ok(path
        .scalar(&document(context.get_raw(1))?)
        .map_or(key::NULL, key::encode))
}

fn document(value: ValueRef<'_>) -> Result<Value> {
    serde_json::from_str(text(value)?).map_err(|error| Error::UserFunctionError(error.into()))
}

fn text(value: ValueRef<'_>) -> Result<&str> {
    value
        .as_str()
        .map_err(|error: FromSqlError| Error::UserFunctionError(error.into()))
}
