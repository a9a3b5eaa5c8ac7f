//! Schemas of our own shapes.

use serde_json::{Map, Value, json};

use super::components::reference;
use super::operation::list_of;

/// Returns all of them by name.
pub(super) fn all() -> Map<String, Value> {
    let shapes = [
        ("Problem", problem()),
        ("Receipt", receipt()),
        ("RecordedEvent", recorded_event()),
        ("EventList", list_of(&reference("RecordedEvent"))),
        ("AggregateState", aggregate_state()),
        ("Plugin", plugin()),
        ("PluginList", plugin_list()),
        (
            "Activation",
            object(&[(
                "digest",
                json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" }),
            )]),
        ),
        ("Projection", projection()),
        ("ProjectionList", list_of(&reference("Projection"))),
        ("ParkedEvent", parked_event()),
        ("ParkedList", list_of(&reference("ParkedEvent"))),
        ("Status", object(&[("status", text())])),
    ];
    shapes
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

/// An object all of whose members are always there.
fn object(properties: &[(&str, Value)]) -> Value {
    let required: Vec<_> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<_, _> = properties
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

fn nullable(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

fn problem() -> Value {
    let mut problem = object(&[
        (
            "type",
            json!({ "type": "string", "format": "uri-reference" }),
        ),
        ("title", text()),
        ("status", json!({ "type": "integer" })),
        ("detail", text()),
        ("code", text()),
    ]);
    problem["properties"]["actual_version"] = number();
    problem["properties"]["command_id"] = text();
    problem["properties"]["position"] = number();
    problem["properties"]["plugin"] = text();
    problem
}

fn receipt() -> Value {
    let event = object(&[
        ("event_id", uuid()),
        ("type", text()),
        ("version", number()),
        ("position", number()),
    ]);
    object(&[
        ("stream", text()),
        ("version", number()),
        ("position", number()),
        ("command_id", text()),
        ("events", json!({ "type": "array", "items": event })),
    ])
}

fn recorded_event() -> Value {
    object(&[
        ("event_id", uuid()),
        ("stream", text()),
        ("version", number()),
        ("position", number()),
        ("type", text()),
        ("schema_version", number()),
        ("time", time()),
        ("correlation_id", text()),
        ("causation_id", text()),
        ("actor", text()),
        ("plugin", text()),
        ("metadata", json!({ "type": "object" })),
        ("data", json!({})),
    ])
}

fn aggregate_state() -> Value {
    object(&[
        ("stream", text()),
        ("version", number()),
        ("state", json!({})),
    ])
}

fn plugin() -> Value {
    let aggregate = object(&[("name", text()), ("commands", texts()), ("events", texts())]);
    let projection = object(&[
        ("name", text()),
        ("events", texts()),
        ("collections", texts()),
        ("queries", texts()),
    ]);
    object(&[
        ("name", text()),
        ("version", text()),
        ("digest", text()),
        ("description", text()),
        ("active", json!({ "type": "boolean" })),
        ("aggregate", nullable(aggregate)),
        ("projection", nullable(projection)),
        (
            "limits",
            json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
        ),
    ])
}

fn plugin_list() -> Value {
    let refusal = object(&[("source", text()), ("reason", text()), ("at", time())]);
    let mut list = list_of(&reference("Plugin"));
    list["required"] = json!(["items", "next", "refusals"]);
    list["properties"]["refusals"] = json!({ "type": "array", "items": refusal });
    list
}

fn projection() -> Value {
    let rate = || json!({ "type": "number" });
    let rebuild = object(&[
        ("digest", text()),
        ("generation", number()),
        ("percent", rate()),
        ("events_per_second", rate()),
        ("seconds_left", nullable(rate())),
        ("parked", number()),
        ("reason", nullable(text())),
    ]);
    object(&[
        ("name", text()),
        ("plugin", text()),
        ("digest", text()),
        ("generation", number()),
        (
            "state",
            json!({ "type": "string", "enum": ["live", "rebuilding", "paused", "faulted"] }),
        ),
        ("reason", nullable(text())),
        ("position", number()),
        ("lag", number()),
        ("parked", number()),
        ("deviates", json!({ "type": "boolean" })),
        ("rebuild", nullable(rebuild)),
    ])
}

fn parked_event() -> Value {
    object(&[
        ("position", number()),
        ("stream", text()),
        ("type", text()),
        ("error", nullable(text())),
        ("parked_at", time()),
    ])
}
