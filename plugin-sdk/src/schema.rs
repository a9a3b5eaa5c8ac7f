//! JSON schemas of the author's types, each complete in itself.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of what is read: a command's payload.
pub fn schema_of_input<T: JsonSchema>() -> Vec<u8> {
    write::<T>(settings().for_deserialize())
}

/// The schema of what is written: an event's data, a document.
pub fn schema_of_output<T: JsonSchema>() -> Vec<u8> {
    write::<T>(settings().for_serialize())
}

/// Schemas are put into larger documents, such as OpenAPI, where references of their own would lead nowhere.
fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    })
}

fn write<T: JsonSchema>(settings: SchemaSettings) -> Vec<u8> {
    let schema = settings.into_generator().into_root_schema_for::<T>();
    crate::payload::write_json(&schema)
}

/// The dotted paths of the fields that hold times, found by their format; those inside arrays are no dates.
pub(crate) fn date_fields(schema: &[u8]) -> Vec<String> {
    let mut paths = Vec::new();
    if let Ok(schema) = serde_json::from_slice(schema) {
        collect_dates(&schema, "", &mut paths);
    }
    paths
}

fn collect_dates(schema: &Value, prefix: &str, paths: &mut Vec<String>) {
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return;
    };
    for (name, property) in properties {
        let path = format!("{prefix}{name}");
        if property
            .get("format")
            .is_some_and(|format| format == "date-time")
        {
            paths.push(path);
        } else {
            collect_dates(property, &format!("{path}."), paths);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_found_by_their_format_outside_of_arrays() {
        let schema = json!({ "properties": {
            "at": { "type": "string", "format": "date-time" },
            "maybe": { "type": ["string", "null"], "format": "date-time" },
            "day": { "type": "string", "format": "date" },
            "inner": { "properties": { "at": { "format": "date-time" } } },
            "list": { "type": "array", "items": { "properties": { "at": { "format": "date-time" } } } },
        }});
        assert_eq!(
            date_fields(schema.to_string().as_bytes()),
            ["at", "inner.at", "maybe"]
        );
    }
}
