//! `GET /v1/projections` and what is parked in them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::error::{Kind, Problem};
use super::json::{self as shape, Object, answer};
use super::openapi::{Described, Operation, item};
use super::request::{Params, Segments, write_cursor};
use super::{Api, Routes};
use crate::message::Position;
use crate::projection::{ProjectionStatus, RebuildStatus, RunState};

pub(super) fn routes() -> Routes {
    Routes::default()
        .route(
            "/v1/projections",
            get(list),
            Described::Fixed(|| item([("get", describe_list())])),
        )
        .route(
            "/v1/projections/{name}/parked",
            get(parked),
            Described::Fixed(|| item([("get", describe_parked())])),
        )
}

async fn list(State(api): State<Arc<Api>>, params: Params) -> Result<Json<Value>, Problem> {
    params.finish()?;
    let items: Vec<_> = api.host.projections().iter().map(describe_status).collect();
    Ok(Json(json!({ "items": items, "next": null })))
}

async fn parked(
    State(api): State<Arc<Api>>,
    Segments((name,)): Segments<(String,)>,
    mut params: Params,
) -> Result<Response, Problem> {
    let cursors = format!("parked {name}");
    let (after, limit) = (params.after(&cursors)?, params.limit()?);
    params.finish()?;
    // One more tells whether there is a next page.
    let mut events = api.host.parked(&name, Position(after), limit + 1).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events
        .last()
        .filter(|_| more)
        .map(|last| write_cursor(&cursors, last.position.0));
    let text = shape::list(&events, next.as_deref(), |out, event| {
        Object::write(out, |object| {
            object.number("position", event.position.0);
            object.text("stream", event.stream.as_str());
            object.text("type", &event.full_type);
            object.text_or_null("error", event.error.as_deref());
            object.plain("parked_at", event.parked_at);
        });
    });
    Ok(answer(text))
}

fn describe_status(status: &ProjectionStatus) -> Value {
    json!({
        "name": status.name,
        "plugin": status.plugin,
        "digest": status.digest.to_string(),
        "generation": status.generation.number,
        "state": state(status),
        "reason": reason(&status.state),
        "position": status.position.0,
        "lag": status.lag,
        "parked": status.parked,
        "deviates": status.deviates,
        "rebuild": status.rebuild.as_ref().map(rebuild),
    })
}

/// One word, as queries see it: a generation that is behind is live all the same.
pub(super) fn state(status: &ProjectionStatus) -> &'static str {
    match (&status.state, &status.rebuild) {
        (RunState::Faulted { .. }, _) => "faulted",
        (RunState::CatchingUp | RunState::Live, Some(_)) => "rebuilding",
        (RunState::CatchingUp | RunState::Live, None) => "live",
    }
}

fn rebuild(rebuild: &RebuildStatus) -> Value {
    json!({
        "digest": rebuild.digest.to_string(),
        "generation": rebuild.generation.number,
        "percent": rounded(rebuild.percent),
        "events_per_second": rounded(rebuild.events_per_second),
        "seconds_left": rebuild.seconds_left.map(rounded),
        "parked": rebuild.parked,
        "reason": reason(&rebuild.state),
    })
}

fn reason(state: &RunState) -> Option<&str> {
    match state {
        RunState::Faulted { reason } => Some(reason),
        RunState::CatchingUp | RunState::Live => None,
    }
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn describe_list() -> Operation {
    Operation::new("projections", "projections", "How the projections stand")
        .gives("ProjectionList", "All of them")
        .refuses(&[Kind::UnknownParameter])
}

fn describe_parked() -> Operation {
    Operation::new(
        "parked",
        "projections",
        "Events that a projection has set aside",
    )
    .path("name", "The projection")
    .query(
        "after",
        json!({ "type": "integer", "minimum": 0 }),
        "Only events behind this position",
    )
    .page()
    .gives("ParkedList", "Parked events in order of position")
    .refuses(&[
        Kind::InvalidParameter,
        Kind::UnknownParameter,
        Kind::InvalidCursor,
        Kind::UnknownProjection,
        Kind::Unavailable,
    ])
}
