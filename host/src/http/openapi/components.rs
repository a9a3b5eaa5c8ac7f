//! The document's schemas: ours, and those of plugins made fit to stand beside them.

use serde_json::{Map, Value, json};

/// Where a schema keeps its own definitions, in the newer and the older dialect.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
/// Members of a schema that hold values, not schemas.
const VALUES: [&str; 5] = ["const", "default", "enum", "example", "examples"];
/// Members of a schema that hold schemas by name.
const NAMED: [&str; 5] = [
    "properties",
    "patternProperties",
    "dependentSchemas",
    "$defs",
    "definitions",
];

/// Schemas by name.
pub(in super::super) struct Components {
    schemas: Map<String, Value>,
}

impl Components {
    pub(super) fn new(schemas: Map<String, Value>) -> Self {
        Self { schemas }
    }

    pub(super) fn into_schemas(self) -> Map<String, Value> {
        self.schemas
    }

    /// Takes a plugin's schema in under a name, its definitions beside it, and returns a reference to it.
    ///
    /// A reference within a schema means the schema's own root, which in a document it no longer is: `#/$defs/X` becomes
    /// `#/components/schemas/<name>.X`.
    pub(in super::super) fn add(&mut self, name: &str, schema: &Value) -> Value {
        let name = sound(name);
        if !self.schemas.contains_key(&name) {
            let mut schema = schema.clone();
            rewrite(&mut schema, &name);
            let mut definitions = Vec::new();
            if let Value::Object(members) = &mut schema {
                for place in DEFINITIONS {
                    definitions.extend(
                        members
                            .remove(place)
                            .and_then(|it| it.as_object().cloned())
                            .unwrap_or_default(),
                    );
                }
            }
            self.schemas.insert(name.clone(), schema);
            for (definition, schema) in definitions {
                self.schemas
                    .insert(format!("{name}.{}", sound(&definition)), schema);
            }
        }
        reference(&name)
    }
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Names of components are letters, digits, `.`, `-` and `_`.
fn sound(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || ".-_".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}

fn rewrite(schema: &mut Value, name: &str) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(|schema| rewrite(schema, name)),
        Value::Object(members) => {
            // The document says once which dialect it is in.
            members.remove("$schema");
            for (member, value) in members {
                match value {
                    Value::String(reference) if member == "$ref" => {
                        *reference = moved(reference, name);
                    }
                    Value::Object(schemas) if NAMED.contains(&member.as_str()) => {
                        schemas
                            .values_mut()
                            .for_each(|schema| rewrite(schema, name));
                    }
                    _ if VALUES.contains(&member.as_str()) => {}
                    other => rewrite(other, name),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn moved(reference: &str, name: &str) -> String {
    let definition = DEFINITIONS
        .iter()
        .find_map(|place| reference.strip_prefix(&format!("#/{place}/")));
    match definition {
        Some(definition) => format!("#/components/schemas/{name}.{}", sound(definition)),
        None if reference == "#" => format!("#/components/schemas/{name}"),
        None => reference.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_become_components_and_references_follow_them() {
        let mut components = Components::new(Map::new());
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {
                "default": { "$ref": "#/$defs/Comment" },
                "self": { "anyOf": [{ "$ref": "#" }, { "type": "null" }] },
                "sample": { "const": { "$ref": "#/$defs/left alone" } },
            },
            "$defs": { "Comment": { "items": { "$ref": "#/$defs/Comment" } } },
        });
        let reference = components.add("document.a b", &schema);
        assert_eq!(
            reference,
            json!({ "$ref": "#/components/schemas/document.a_b" })
        );
        let expected = json!({
            "document.a_b": {
                "properties": {
                    "default": { "$ref": "#/components/schemas/document.a_b.Comment" },
                    "self": { "anyOf": [{ "$ref": "#/components/schemas/document.a_b" }, { "type": "null" }] },
                    "sample": { "const": { "$ref": "#/$defs/left alone" } },
                },
            },
            "document.a_b.Comment": { "items": { "$ref": "#/components/schemas/document.a_b.Comment" } },
        });
        assert_eq!(Value::Object(components.into_schemas()), expected);
    }
}
