//! Parameters of named queries: from texts to what the query declares.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Error;
use crate::message::Json;
use crate::plugin::{Parameter, ParameterKind, QueryType};

/// Reads parameters as the query declares them.
pub(super) fn typed(query: &QueryType, given: &BTreeMap<String, String>) -> Result<Json, Error> {
    let invalid = |parameter: &str, reason: String| Error::InvalidParameter {
        query: query.name.clone(),
        parameter: parameter.to_owned(),
        reason,
    };
    let known = || {
        query
            .parameters
            .iter()
            .map(|it| it.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    if let Some(unknown) = given
        .keys()
        .find(|name| !query.parameters.iter().any(|it| it.name == **name))
    {
        let known = if query.parameters.is_empty() {
            "it takes none".to_owned()
        } else {
            format!("it takes {}", known())
        };
        return Err(invalid(unknown, format!("is not known; {known}")));
    }
    let mut typed = Map::new();
    for parameter in &query.parameters {
        match given.get(&parameter.name) {
            Some(text) => {
                let value = value(parameter, text);
                let value = value.map_err(|reason| invalid(&parameter.name, reason))?;
                typed.insert(parameter.name.clone(), value);
            }
            None if parameter.required => {
                return Err(invalid(&parameter.name, "is missing".to_owned()));
            }
            None => {}
        }
    }
    Ok(Json::from(&Value::Object(typed)))
}

fn value(parameter: &Parameter, text: &str) -> Result<Value, String> {
    match parameter.kind {
        ParameterKind::Text if text.contains('\0') => Err("holds the character U+0000".to_owned()),
        ParameterKind::Text => Ok(Value::from(text)),
        ParameterKind::Integer => text
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| format!("is no whole number: {text:?}")),
        ParameterKind::Number => {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number
                .map(Value::from)
                .ok_or_else(|| format!("is no number: {text:?}"))
        }
        ParameterKind::Boolean => text
            .parse::<bool>()
            .map(Value::from)
            .map_err(|_| format!("is neither true nor false: {text:?}")),
    }
}
