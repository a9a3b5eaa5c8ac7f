//! Describing one operation.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::error::{Kind, SUCCESS};
use super::components::reference;

/// One method of one path.
pub(in super::super) struct Operation {
    members: Map<String, Value>,
    parameters: Vec<Value>,
    success: Value,
    refused: BTreeMap<u16, Vec<Kind>>,
}

/// Makes a path item of its methods.
pub(in super::super) fn item<const N: usize>(methods: [(&str, Operation); N]) -> Value {
    let methods = methods
        .into_iter()
        .map(|(method, operation)| (method.to_owned(), operation.into_value()));
    Value::Object(methods.collect())
}

impl Operation {
    pub(in super::super) fn new(
        id: impl Into<String>,
        tag: &str,
        summary: impl Into<String>,
    ) -> Self {
        let mut members = Map::new();
        members.insert("operationId".to_owned(), Value::String(id.into()));
        members.insert("tags".to_owned(), json!([tag]));
        members.insert("summary".to_owned(), Value::String(summary.into()));
        Self {
            members,
            parameters: Vec::new(),
            success: json!({}),
            refused: BTreeMap::new(),
        }
    }

    pub(in super::super) fn about(mut self, text: &str) -> Self {
        if !text.is_empty() {
            self.members.insert("description".to_owned(), text.into());
        }
        self
    }

    pub(in super::super) fn path(mut self, name: &str, about: &str) -> Self {
        let schema = json!({ "type": "string" });
        self.parameters.push(json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema }));
        self
    }

    pub(in super::super) fn query(mut self, name: &str, schema: Value, about: &str) -> Self {
        self.parameters
            .push(json!({ "name": name, "in": "query", "description": about, "schema": schema }));
        self
    }

    /// A parameter whose text is JSON.
    pub(in super::super) fn query_json(mut self, name: &str, about: &str) -> Self {
        let content = json!({ "application/json": { "schema": { "type": "object" } } });
        self.parameters
            .push(json!({ "name": name, "in": "query", "description": about, "content": content }));
        self
    }

    /// Makes the last parameter a required one.
    pub(in super::super) fn required(mut self) -> Self {
        if let Some(last) = self.parameters.last_mut() {
            last["required"] = true.into();
        }
        self
    }

    pub(in super::super) fn header(mut self, name: &str, about: &str) -> Self {
        let schema = json!({ "type": "string" });
        self.parameters
            .push(json!({ "name": name, "in": "header", "description": about, "schema": schema }));
        self
    }

    pub(in super::super) fn page(self) -> Self {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 50 });
        self.query("limit", limit, "The most items").query(
            "cursor",
            json!({ "type": "string" }),
            "What a page gave as next",
        )
    }

    pub(in super::super) fn wait(self) -> Self {
        let timeout =
            json!({ "type": "integer", "minimum": 0, "maximum": 60_000, "default": 5_000 });
        self.query(
            "wait_for",
            json!({ "type": "integer", "minimum": 0 }),
            "Read when this position has taken effect",
        )
        .query("timeout", timeout, "Milliseconds to wait for it")
    }

    pub(in super::super) fn body(mut self, media_type: &str, schema: Value) -> Self {
        self.members.insert(
            "requestBody".to_owned(),
            json!({ "content": { media_type: { "schema": schema } } }),
        );
        self
    }

    /// Answers with one of our own shapes.
    pub(in super::super) fn gives(self, shape: &str, about: &str) -> Self {
        self.gives_as("application/json", reference(shape), about)
    }

    pub(in super::super) fn gives_list(self, item: &Value, about: &str) -> Self {
        self.gives_as("application/json", list_of(item), about)
    }

    pub(in super::super) fn gives_as(
        mut self,
        media_type: &str,
        schema: Value,
        about: &str,
    ) -> Self {
        self.success =
            json!({ "description": about, "content": { media_type: { "schema": schema } } });
        self
    }

    pub(in super::super) fn refuses(mut self, kinds: &[Kind]) -> Self {
        for kind in kinds {
            self.refused
                .entry(kind.status().as_u16())
                .or_default()
                .push(*kind);
        }
        self
    }

    fn into_value(mut self) -> Value {
        let mut responses = Map::new();
        responses.insert(SUCCESS.as_u16().to_string(), self.success);
        for (status, kinds) in self.refused {
            let codes: Vec<_> = kinds
                .iter()
                .map(|kind| format!("{} (`{}`)", kind.title(), kind.code()))
                .collect();
            responses.insert(status.to_string(), problem(&codes.join(", ")));
        }
        responses.insert("default".to_owned(), problem("Any other failure"));
        if !self.parameters.is_empty() {
            self.members
                .insert("parameters".to_owned(), Value::Array(self.parameters));
        }
        self.members
            .insert("responses".to_owned(), Value::Object(responses));
        Value::Object(self.members)
    }
}

/// Every list has this shape.
pub(super) fn list_of(item: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": { "type": "array", "items": item },
            "next": { "type": ["string", "null"], "description": "A cursor, or null behind the last page" },
        },
    })
}

fn problem(about: &str) -> Value {
    json!({ "description": about, "content": { "application/problem+json": { "schema": reference("Problem") } } })
}
