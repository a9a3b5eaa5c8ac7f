//! `GET /v1/events`: recorded events as Server-Sent Events, first those that are there, then those that come.
//!
//! Each subscriber pulls: nothing is read for one that does not take what was read before, so a slow one costs a page and
//! no more. A subscriber whose filter lets nothing through is told from time to time how far it has come, so that it does
//! not begin at the start again when it comes back.

mod subscription;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use axum::routing::get;
use serde_json::json;

use super::error::{Kind, Problem};
use super::openapi::{Described, Operation, item};
use super::request::{self, Params};
use super::{Api, Routes};
use crate::message::{AggregateName, Position};
use subscription::{Subscription, Wanted};

/// What an `EventSource` sends when it comes back.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Keeps a reverse proxy from collecting events before it passes them on.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(super) fn routes() -> Routes {
    Routes::default().route(
        "/v1/events",
        get(subscribe),
        Described::Fixed(|| item([("get", describe())])),
    )
}

async fn subscribe(
    State(api): State<Arc<Api>>,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = params.number("after")?;
    let wanted = Wanted {
        aggregates: aggregates(&mut params)?,
        types: types(&mut params)?,
    };
    params.finish()?;
    // The URL stays the same when an EventSource comes back; where it was is in the header.
    let after = Position(last_event_id(&headers)?.or(after).unwrap_or(0));
    let head = *api.host.store().head().borrow();
    if after > head {
        let detail = format!(
            "position {after} is beyond the head {head}: history was rewritten, or this is another store"
        );
        return Err(Problem::new(Kind::BeyondHead, detail).with("head", head.0));
    }
    let place = Arc::clone(&api.subscribers).try_acquire_owned();
    let place = place.map_err(|_| {
        let most = api.host.config().max_subscribers;
        Problem::new(
            Kind::TooManySubscribers,
            format!("{most} event streams are open, which is the most"),
        )
    })?;
    let subscription = Subscription::new(&api, after, wanted, place);
    let mut response = Response::new(Body::from_stream(subscription.into_stream()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

/// An empty one is what an `EventSource` has before its first event.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(text) = request::one_header(headers, &LAST_EVENT_ID)?.filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let position = text
        .parse()
        .ok()
        .filter(|position| digits && *position <= i64::MAX.unsigned_abs());
    let invalid = || {
        Problem::new(
            Kind::InvalidHeader,
            format!("header last-event-id is no position: {text:?}"),
        )
    };
    position.map(Some).ok_or_else(invalid)
}

fn aggregates(params: &mut Params) -> Result<Vec<String>, Problem> {
    let names = separated(params.take_all("aggregate"));
    for name in &names {
        AggregateName::parse(name)?;
    }
    Ok(names)
}

/// `aggregate.Type`, or `Type` of any aggregate.
fn types(params: &mut Params) -> Result<Vec<String>, Problem> {
    let names = separated(params.take_all("type"));
    let is_type = |name: &str| {
        let bare = name.split_once('.').map_or(name, |(_, bare)| bare);
        !bare.is_empty()
            && bare
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match names.iter().find(|name| !is_type(name)) {
        None => Ok(names),
        Some(name) => {
            let name: String = name.chars().take(60).collect();
            let detail = format!(
                "parameter \"type\" is no event type: {name:?}; it is Type or aggregate.Type"
            );
            Err(Problem::new(Kind::InvalidParameter, detail))
        }
    }
}

fn separated(values: Vec<String>) -> Vec<String> {
    values
        .iter()
        .flat_map(|value| value.split(','))
        .map(str::to_owned)
        .collect()
}

fn describe() -> Operation {
    let names = || json!({ "type": "array", "items": { "type": "string" } });
    Operation::new("events", "streams", "Recorded events as they come (Server-Sent Events)")
        .about("`id` is the position, `event` the `aggregate.Type`, `data` a RecordedEvent. First what is there, then live.")
        .query("after", json!({ "type": "integer", "minimum": 0 }), "Only events behind this position")
        .query("aggregate", names(), "Only events of these aggregates; may be repeated, or separated by commas")
        .query("type", names(), "Only events of these types, Type or aggregate.Type")
        .header("Last-Event-ID", "Goes on behind this position; counts before `after`")
        .gives_as("text/event-stream", json!({ "type": "string" }), "An endless stream")
        .refuses(&[
            Kind::InvalidId,
            Kind::InvalidHeader,
            Kind::InvalidParameter,
            Kind::UnknownParameter,
            Kind::BeyondHead,
            Kind::TooManySubscribers,
        ])
}
