//! `GET /v1/streams/{aggregate}/{id}` and `GET /v1/aggregates/{aggregate}/{id}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;

use super::commands::entity_tag;
use super::error::{Kind, Problem};
use super::json::{self, Object, answer};
use super::openapi::{Described, Operation, item};
use super::request::{Params, Segments, write_cursor};
use super::{Api, Routes};
use crate::command::Past;
use crate::message::{AggregateName, StreamId, Time, Version};

pub(super) fn routes() -> Routes {
    Routes::default()
        .route(
            "/v1/streams/{aggregate}/{id}",
            get(stream),
            Described::Fixed(|| item([("get", describe_stream())])),
        )
        .route(
            "/v1/aggregates/{aggregate}/{id}",
            get(state),
            Described::Fixed(|| item([("get", describe_state())])),
        )
}

async fn stream(
    State(api): State<Arc<Api>>,
    Segments((aggregate, id)): Segments<(String, String)>,
    mut params: Params,
) -> Result<Response, Problem> {
    let stream = StreamId::new(&AggregateName::parse(&aggregate)?, &id)?;
    let list = format!("stream {stream}");
    let (after, limit) = (params.after(&list)?, params.limit()?);
    params.finish()?;
    // One more tells whether there is a next page.
    let mut events = api
        .host
        .store()
        .read_stream(&stream, Version(after), limit + 1)
        .await?;
    if events.is_empty() && api.host.store().stream_head(&stream).await?.version == Version::NONE {
        return Err(unknown(&stream));
    }
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events
        .last()
        .filter(|_| more)
        .map(|last| write_cursor(&list, last.version.0));
    Ok(answer(json::list(
        &events,
        next.as_deref(),
        |out, event| json::event(out, event),
    )))
}

async fn state(
    State(api): State<Arc<Api>>,
    Segments((aggregate, id)): Segments<(String, String)>,
    mut params: Params,
) -> Result<Response, Problem> {
    let stream = StreamId::new(&AggregateName::parse(&aggregate)?, &id)?;
    let past = past(&mut params)?;
    params.finish()?;
    let seen = api.host.look(&stream, past).await?;
    if seen.version == Version::NONE
        || matches!(past, Past::Version(wanted) if wanted != seen.version)
    {
        return Err(not_there(&api, &stream, past).await?);
    }
    let mut out = String::with_capacity(512);
    Object::write(&mut out, |object| {
        object.text("stream", stream.as_str());
        object.number("version", seen.version.0);
        object.json("state", &seen.state);
    });
    let mut response = answer(out);
    if let Some(tag) = entity_tag(seen.version) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

fn past(params: &mut Params) -> Result<Past, Problem> {
    let invalid = |detail: &str| Err(Problem::new(Kind::InvalidParameter, detail));
    match (params.number("version")?, params.take("at")?) {
        (None, None) => Ok(Past::Head),
        (Some(_), Some(_)) => invalid("parameter \"at\" cannot be given together with \"version\""),
        (Some(0), None) => invalid("parameter \"version\" is 0; the first version is 1"),
        (Some(version), None) => Ok(Past::Version(Version(version))),
        (None, Some(text)) => match Time::parse(&text) {
            // Events show milliseconds: what is shown with a time is not after it.
            Some(time) => Ok(Past::Time(time.end_of_millisecond())),
            None => invalid(
                "parameter \"at\" is no RFC 3339 time, such as 2026-01-31T12:00:00Z (a + is written %2B)",
            ),
        },
    }
}

async fn not_there(api: &Api, stream: &StreamId, past: Past) -> Result<Problem, Problem> {
    let head = api.host.store().stream_head(stream).await?.version;
    if head == Version::NONE {
        return Ok(unknown(stream));
    }
    let detail = match past {
        Past::Version(version) => format!("stream {stream} has no version {version} yet"),
        Past::Head | Past::Time(_) => format!("stream {stream} had no events at that time"),
    };
    Ok(Problem::new(Kind::UnknownVersion, detail).with("actual_version", head.0))
}

fn unknown(stream: &StreamId) -> Problem {
    Problem::new(
        Kind::UnknownStream,
        format!("stream {stream} has no events"),
    )
}

fn describe_stream() -> Operation {
    Operation::new("stream", "streams", "The events of one stream")
        .path("aggregate", "The aggregate's name")
        .path("id", "Which instance of the aggregate")
        .query(
            "after",
            json!({ "type": "integer", "minimum": 0 }),
            "Only events behind this version",
        )
        .page()
        .gives("EventList", "Events, oldest first")
        .refuses(&[
            Kind::InvalidId,
            Kind::InvalidParameter,
            Kind::UnknownParameter,
            Kind::InvalidCursor,
            Kind::UnknownStream,
            Kind::Unavailable,
        ])
}

fn describe_state() -> Operation {
    Operation::new(
        "aggregate",
        "streams",
        "The state of one aggregate, now or in the past",
    )
    .path("aggregate", "The aggregate's name")
    .path("id", "Which instance of it")
    .query(
        "version",
        json!({ "type": "integer", "minimum": 1 }),
        "As it was at this version",
    )
    .query(
        "at",
        json!({ "type": "string", "format": "date-time" }),
        "As it was after the last event not after this time",
    )
    .gives(
        "AggregateState",
        "The state as its plugin shows it. ETag bears its version",
    )
    .refuses(&[
        Kind::InvalidId,
        Kind::InvalidParameter,
        Kind::UnknownParameter,
        Kind::UnknownAggregate,
        Kind::UnknownStream,
        Kind::UnknownVersion,
        Kind::PluginFailed,
        Kind::Unavailable,
        Kind::PluginTooSlow,
    ])
}
