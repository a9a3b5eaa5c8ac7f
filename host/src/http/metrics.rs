//! `/metrics`: numbers for Prometheus, in its text form. Every name stands here, with its meaning, and nowhere else in code.
//!
//! There is one series per projection at most, so that their number is bounded by the plugins.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;

use super::openapi::{Described, Operation, item};
use super::{Api, Routes};
use crate::host::Host;
use crate::projection::ProjectionStatus;
use crate::relay::RelayState;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes() -> Routes {
    Routes::default().route(
        "/metrics",
        get(metrics),
        Described::Fixed(|| item([("get", describe())])),
    )
}

async fn metrics(State(api): State<Arc<Api>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT)], text(&api.host))
}

fn text(host: &Host) -> String {
    let mut text = String::new();
    let readiness = host.readiness();
    gauge(
        &mut text,
        "ready",
        "1 when the host is ready, else 0",
        [("", u64::from(readiness.ready))],
    );
    let head = host.store().head().borrow().0;
    gauge(
        &mut text,
        "head_position",
        "The position of the newest event that this host knows",
        [("", head)],
    );
    let projections = host.projections();
    let mut each = |name, help, value: fn(&ProjectionStatus) -> u64| {
        let series = projections.iter().map(|it| (it.name.as_str(), value(it)));
        gauge(&mut text, name, help, series);
    };
    each(
        "projection_position",
        "The last position that took effect",
        |it| it.position.0,
    );
    each(
        "projection_lag_events",
        "How many events it is behind the head",
        |it| it.lag,
    );
    each(
        "projection_parked_events",
        "How many events are set aside",
        |it| it.parked,
    );
    // A host that stands by does not know how far the one is that carries.
    let carries = |state| matches!(state, RelayState::Live | RelayState::Waiting);
    if let Some(relay) = host.relay().filter(|relay| carries(relay.state)) {
        gauge(
            &mut text,
            "relay_position",
            "The last position that the brokers have acknowledged",
            [("", relay.position.0)],
        );
        gauge(
            &mut text,
            "relay_lag_events",
            "How many events are still to be acknowledged",
            [("", relay.lag)],
        );
    }
    text
}

/// Writes one metric; a series with a name is a projection's.
fn gauge<'a>(
    text: &mut String,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = (&'a str, u64)>,
) {
    // Writing to a text does not fail.
    let _ = writeln!(
        text,
        "# HELP foldhost_{name} {help}.\n# TYPE foldhost_{name} gauge"
    );
    for (projection, value) in series {
        let label = match projection {
            "" => String::new(),
            projection => format!("{{projection=\"{projection}\"}}"),
        };
        let _ = writeln!(text, "foldhost_{name}{label} {value}");
    }
}

fn describe() -> Operation {
    Operation::new("metrics", "health", "Numbers for Prometheus").gives_as(
        "text/plain",
        json!({ "type": "string" }),
        "Them, in Prometheus' text form",
    )
}
