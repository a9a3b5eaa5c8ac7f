//! Foldhost inside another axum service.
//!
//! The service has a route of its own, sends a command through the library, reads its own write, and nests the whole
//! HTTP surface under `/foldhost`. Build the sample plugins first: `cargo run --release -- plugin build`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use foldhost::command::Answer;
use foldhost::message::{self, AggregateName, Command, Expected, StreamId};
use foldhost::query::{PageRequest, Wait};
use foldhost::{Config, Host};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let overrides = json!({"data": ".foldhost-embedded", "activate_from_folder": true});
    let host = Host::builder(Config::read(None, overrides)?)
        .start()
        .await?;
    let service = Router::new()
        .route("/greet", get(greet))
        .with_state(host.clone())
        .nest("/foldhost", host.router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8090").await?;
    let stopping = host.clone();
    let stop = async move {
        // Without the signal there is nothing to wait for, and the service ends.
        let _ = tokio::signal::ctrl_c().await;
        // Open event streams end, which the server waits for.
        stopping.announce_shutdown();
    };
    axum::serve(listener, service)
        .with_graceful_shutdown(stop)
        .await?;
    host.shutdown().await;
    Ok(())
}

/// Creates a post, then reads it back from its projection.
async fn greet(State(host): State<Host>) -> Result<Json<Value>, (StatusCode, String)> {
    let position = create_post(&host)
        .await
        .map_err(|reason| (StatusCode::BAD_GATEWAY, reason))?;
    let wait = Wait {
        position: Some(position),
        timeout: Duration::from_secs(5),
    };
    let page = PageRequest {
        limit: 10,
        cursor: None,
        wait,
    };
    let parameters = BTreeMap::from([("author".to_owned(), "ada".to_owned())]);
    let found = host.query("find-posts-by-author", parameters, page).await;
    let found = found.map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))?;
    Ok(Json(
        found
            .items
            .iter()
            .map(|(_, document)| document.to_value())
            .collect(),
    ))
}

async fn create_post(host: &Host) -> Result<message::Position, String> {
    let post = AggregateName::parse("post").map_err(|error| error.to_string())?;
    let command = Command {
        stream: StreamId::new(&post, "greeting").map_err(|error| error.to_string())?,
        name: "create".into(),
        payload: message::Json::from(&json!({"author": "Ada", "message": "Hello from the inside"})),
        // The same id every time: the post is created once, however often the route is asked.
        command_id: Some(message::CommandId::parse("greeting").map_err(|error| error.to_string())?),
        expected: Expected::Any,
        correlation_id: None,
        actor: "embedding".into(),
        metadata: message::Json::from(&json!({})),
    };
    match host
        .dispatch(command)
        .await
        .map_err(|error| error.to_string())?
    {
        Answer::Accepted(receipt) => Ok(receipt.position),
        Answer::Rejected(rejection) => Err(rejection.message),
    }
}
