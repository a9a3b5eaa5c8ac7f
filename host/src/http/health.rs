//! `/healthz` and `/readyz`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::error::{Kind, Problem};
use super::openapi::{Described, Operation, item};
use super::{Api, Routes};

pub(super) fn routes() -> Routes {
    Routes::default()
        .route(
            "/healthz",
            get(healthz),
            Described::Fixed(|| item([("get", describe_health())])),
        )
        .route(
            "/readyz",
            get(readyz),
            Described::Fixed(|| item([("get", describe_readiness())])),
        )
}

/// Answers at all: the process lives.
async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn readyz(State(api): State<Arc<Api>>) -> Result<Json<Value>, Problem> {
    let readiness = api.host.readiness();
    let relay = api.host.relay().map(|relay| {
        json!({
            "state": format!("{:?}", relay.state).to_lowercase(),
            "position": relay.position.0,
            "lag": relay.lag,
        })
    });
    if readiness.ready {
        return Ok(Json(
            json!({ "status": "ready", "warnings": readiness.warnings, "relay": relay }),
        ));
    }
    Err(Problem::new(Kind::NotReady, readiness.reasons.join("; "))
        .with("reasons", readiness.reasons)
        .with("warnings", readiness.warnings)
        .with("relay", relay))
}

fn describe_health() -> Operation {
    Operation::new("healthz", "health", "Whether the process lives").gives("Status", "It does")
}

fn describe_readiness() -> Operation {
    Operation::new("readyz", "health", "Whether the active plugins serve")
        .gives("Status", "They do")
        .refuses(&[Kind::NotReady])
}
