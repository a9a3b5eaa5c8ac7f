//! `POST /v1/commands/{aggregate}/{id}/{command}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};

use super::error::{Kind, Problem};
use super::json::{Object, answer};
use super::openapi::{Components, Described, Operation, item};
use super::request::{self, Params, Segments};
use super::{Api, Routes};
use crate::catalog::Catalog;
use crate::command::Answer;
use crate::message::{AggregateName, Command, CommandReceipt, Json, JsonLimits, StreamId, Version};
use crate::plugin::CommandType;

pub(super) fn routes() -> Routes {
    Routes::default().route(
        "/v1/commands/{aggregate}/{id}/{command}",
        post(send),
        Described::PerPlugin(describe),
    )
}

async fn send(
    State(api): State<Arc<Api>>,
    Segments((aggregate, id, name)): Segments<(String, String, String)>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    params.finish()?;
    request::is_json(&headers)?;
    let command = Command {
        stream: StreamId::new(&AggregateName::parse(&aggregate)?, &id)?,
        name: name.into(),
        command_id: request::command_id(&headers)?,
        expected: request::expected(&headers)?,
        correlation_id: request::correlation_id(&headers)?,
        actor: Arc::clone(&api.actor),
        metadata: metadata(&api, &headers),
        payload: payload(&api, &headers, body).await?,
    };
    match api.host.dispatch(command).await? {
        Answer::Accepted(receipt) => Ok(accepted(&receipt)),
        Answer::Rejected(rejection) => Err(rejection.into()),
    }
}

/// No body at all and `null` are commands that take nothing.
async fn payload(api: &Api, headers: &HeaderMap, body: Body) -> Result<Json, Problem> {
    let limit = api.host.config().body_bytes;
    let bytes = request::read_body(headers, body, limit).await?;
    if bytes.is_empty() {
        return Ok(api.no_metadata.clone());
    }
    let payload = Json::parse(&bytes, JsonLimits::bytes(limit))?;
    match payload.as_str() {
        object if object.starts_with('{') => Ok(payload),
        "null" => Ok(api.no_metadata.clone()),
        _ => Err(Problem::new(
            Kind::MalformedBody,
            "the payload is not a JSON object",
        )),
    }
}

fn metadata(api: &Api, headers: &HeaderMap) -> Json {
    match request::traceparent(headers) {
        Some(traceparent) => Json::from(&json!({ "traceparent": traceparent })),
        None => api.no_metadata.clone(),
    }
}

fn accepted(receipt: &CommandReceipt) -> Response {
    let mut out = String::with_capacity(512);
    Object::write(&mut out, |object| {
        object.text("stream", receipt.stream.as_str());
        object.number("version", receipt.version.0);
        object.number("position", receipt.position.0);
        object.text("command_id", receipt.command_id.as_str());
        object.array("events", &receipt.events, |out, event| {
            Object::write(out, |object| {
                object.plain("event_id", event.event_id);
                object.text("type", &event.event_type);
                object.number("version", event.version.0);
                object.number("position", event.position.0);
            });
        });
    });
    let mut response = answer(out);
    if let Some(tag) = entity_tag(receipt.version) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// The tag that `If-Match` takes.
pub(super) fn entity_tag(version: Version) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{version}\"")).ok()
}

fn describe(catalog: &Catalog, components: &mut Components) -> Vec<(String, Value)> {
    let aggregates = catalog
        .plugins()
        .filter_map(|plugin| plugin.descriptor.aggregate.as_ref());
    let commands = aggregates.flat_map(|aggregate| {
        let name = aggregate.name.as_str();
        aggregate
            .commands
            .iter()
            .map(move |command| (name, command))
    });
    let described = commands.map(|(aggregate, command)| {
        let schema = components.add(
            &format!("command.{aggregate}.{}", command.name),
            &command.schema,
        );
        let path = format!("/v1/commands/{aggregate}/{{id}}/{}", command.name);
        (
            path,
            item([("post", operation(aggregate, command, schema))]),
        )
    });
    described.collect()
}

fn operation(aggregate: &str, command: &CommandType, payload: Value) -> Operation {
    let summary = format!("{aggregate}: {}", command.name);
    Operation::new(
        format!("command.{aggregate}.{}", command.name),
        "commands",
        summary,
    )
    .about(&command.description)
    .path("id", "Which instance of the aggregate")
    .header(
        "Idempotency-Key",
        "The command's id: sending it twice has the effect of sending it once",
    )
    .header(
        "If-Match",
        "The version that the stream must stand at, such as \"3\"",
    )
    .header(
        "If-None-Match",
        "Takes only `*`: there must be no stream yet",
    )
    .header("X-Correlation-Id", "Recorded with the command's events")
    .header("traceparent", "Recorded with the command's events")
    .body("application/json", payload)
    .gives(
        "Receipt",
        "Accepted: its events are on disk. ETag bears the stream's version",
    )
    .refuses(&[
        Kind::InvalidId,
        Kind::InvalidHeader,
        Kind::MalformedBody,
        Kind::UnknownAggregate,
        Kind::UnknownCommand,
        Kind::Conflict,
        Kind::PreconditionFailed,
        Kind::TooLarge,
        Kind::UnsupportedMediaType,
        Kind::Rejected,
        Kind::IdempotencyKeyReused,
        Kind::PluginFailed,
        Kind::Overloaded,
        Kind::Unavailable,
        Kind::PluginTooSlow,
    ])
}
