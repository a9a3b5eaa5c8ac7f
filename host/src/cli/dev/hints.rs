//! What to try next: commands that work as they stand, made from what the host serves.

use std::path::PathBuf;

use foldhost::catalog::Catalog;
use foldhost::plugin::{
    AggregateDescriptor, CommandType, ParameterKind, ProjectionDescriptor, QueryType,
};
use serde_json::{Map, Value, json};

use crate::cli::remote::DEFAULT_URL;

/// Payloads that say more than made-up ones, for the sample plugins.
const SAMPLE: [(&str, &str, &str); 2] = [
    (
        "post",
        "create",
        r#"{"author":"Ada","message":"Hello, folds"}"#,
    ),
    ("post", "like", "{}"),
];
/// How many commands are suggested.
const COMMANDS: usize = 2;

/// Writes the suggestions. `program` is how this binary is called.
pub(super) fn write(program: &str, url: &str, catalog: &Catalog) -> String {
    let at = if url == DEFAULT_URL {
        String::new()
    } else {
        format!(" --url {url}")
    };
    let mut lines = vec!["Try:".to_owned()];
    let aggregates = catalog
        .plugins()
        .filter_map(|plugin| plugin.descriptor.aggregate.as_ref());
    let aggregate = aggregates.min_by_key(|aggregate| aggregate.name.as_str() != "post");
    match aggregate {
        Some(aggregate) => {
            let name = aggregate.name.as_str();
            for (command, payload) in commands(aggregate) {
                let payload = if payload == "{}" {
                    String::new()
                } else {
                    format!(" {}", quoted(&payload))
                };
                lines.push(format!(
                    "{program} command send{at} {name} first {command}{payload}"
                ));
            }
            lines.push(format!("curl -s {url}/v1/aggregates/{name}/first"));
        }
        None => lines.push(format!("{program} plugin new counter --kind aggregate")),
    }
    let projections = catalog
        .plugins()
        .filter_map(|plugin| plugin.descriptor.projection.as_ref());
    if let Some(projection) = projections.min_by_key(|projection| projection.name != "posts") {
        lines.extend(reading(url, projection));
    }
    lines.push(format!("{program} events tail{at} --no-follow"));
    format!(
        "{}\nEverything it answers to: {url}/docs",
        lines.join("\n  ")
    )
}

/// Returns how this program can be called from the present folder.
pub(super) fn program() -> String {
    const NAME: &str = "foldhost";
    let Ok(own) = std::env::current_exe() else {
        return NAME.to_owned();
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(NAME))
        .find(|file| file.is_file());
    if found
        .and_then(|found| found.canonicalize().ok())
        .is_some_and(|found| Some(found) == own.canonicalize().ok())
    {
        return NAME.to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    let below = own
        .strip_prefix(&here)
        .map(|below| PathBuf::from(".").join(below));
    quoted(&below.unwrap_or(own).display().to_string())
}

/// Chooses commands: the sample's, else the first that are declared.
fn commands(aggregate: &AggregateDescriptor) -> Vec<(String, String)> {
    let name = aggregate.name.as_str();
    let sample = SAMPLE
        .iter()
        .filter(|(of, command, _)| *of == name && aggregate.command(command).is_some());
    let sample: Vec<_> = sample
        .map(|(_, command, payload)| ((*command).to_owned(), (*payload).to_owned()))
        .collect();
    if !sample.is_empty() {
        return sample;
    }
    let made_up = |command: &CommandType| {
        (
            command.name.to_string(),
            example(&command.schema, &command.schema, 0).to_string(),
        )
    };
    aggregate
        .commands
        .iter()
        .take(COMMANDS)
        .map(made_up)
        .collect()
}

fn reading(url: &str, projection: &ProjectionDescriptor) -> Vec<String> {
    let collection = projection
        .collections
        .first()
        .map(|it| format!("curl -s {url}/v1/collections/{}", it.name));
    let query = projection
        .queries
        .iter()
        .find(|query| query.name == "find-posts-by-author");
    let query = query
        .or(projection.queries.first())
        .map(|query| asking(url, query));
    collection.into_iter().chain(query).collect()
}

fn asking(url: &str, query: &QueryType) -> String {
    let value = |name: &str, kind| match (name, kind) {
        ("author", _) => "ada",
        ("from", ParameterKind::Text) => "2026-01-01",
        ("to", ParameterKind::Text) => "2036-12-31",
        (_, ParameterKind::Text) => "first",
        (_, ParameterKind::Integer | ParameterKind::Number) => "1",
        (_, ParameterKind::Boolean) => "true",
    };
    let given = query
        .parameters
        .iter()
        .filter(|parameter| parameter.required);
    let given: Vec<String> = given
        .map(|parameter| {
            format!(
                "{}={}",
                parameter.name,
                value(&parameter.name, parameter.kind)
            )
        })
        .collect();
    let question = if given.is_empty() { "" } else { "?" };
    format!(
        "curl -s {}",
        quoted(&format!(
            "{url}/v1/queries/{}{question}{}",
            query.name,
            given.join("&")
        ))
    )
}

/// Makes up the smallest value of a schema.
fn example(schema: &Value, root: &Value, depth: usize) -> Value {
    // Deeper than any payload that fits into a line.
    if depth > 8 {
        return Value::Null;
    }
    if let Some(target) = schema["$ref"]
        .as_str()
        .and_then(|path| path.strip_prefix('#'))
    {
        return root
            .pointer(target)
            .map_or(Value::Null, |target| example(target, root, depth + 1));
    }
    if let Some(value) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return value.clone();
    }
    for choices in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[choices].get(0) {
            return example(first, root, depth + 1);
        }
    }
    match schema["type"]
        .as_str()
        .or_else(|| schema["type"][0].as_str())
    {
        Some("object") => object(schema, root, depth),
        Some("array") => json!([]),
        Some("string") => text(schema).into(),
        Some("integer" | "number") => schema
            .get("minimum")
            .filter(|least| least.as_f64() > Some(1.0))
            .cloned()
            .unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        _ => Value::Null,
    }
}

fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let field = |name: &str| {
        (
            name.to_owned(),
            example(&schema["properties"][name], root, depth + 1),
        )
    };
    Value::Object(required.map(field).collect::<Map<_, _>>())
}

fn text(schema: &Value) -> &'static str {
    match schema["format"].as_str() {
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("date") => "2026-01-01",
        Some("uuid") => "00000000-0000-4000-8000-000000000001",
        _ => "something",
    }
}

/// Quotes a word for a shell where it needs that.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_has_what_a_schema_requires_and_nothing_else() {
        let schema = json!({
            "type": "object",
            "required": ["title", "amount", "kind"],
            "properties": {
                "title": { "type": "string" },
                "amount": { "type": "integer", "minimum": 3 },
                "kind": { "$ref": "#/$defs/Kind" },
                "note": { "type": ["string", "null"] },
            },
            "$defs": { "Kind": { "enum": ["open", "closed"] } },
        });
        assert_eq!(
            example(&schema, &schema, 0),
            json!({ "title": "something", "amount": 3, "kind": "open" })
        );
    }

    #[test]
    fn a_schema_that_contains_itself_has_an_end() {
        let schema = json!({ "type": "object", "required": ["next"], "properties": { "next": { "$ref": "#" } } });
        example(&schema, &schema, 0);
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(
            quoted("./target/release/foldhost"),
            "./target/release/foldhost"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
