//! `/v1/plugins`: what is loaded, and ways in for new versions.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Kind, Problem};
use super::openapi::{Described, Operation, item};
use super::request::{self, Params, Segments};
use super::{Api, Routes};
use crate::message::Digest;
use crate::plugin::{MAX_COMPONENT_BYTES, Plugin};

/// A digest and its name, with room to spare.
const MAX_ACTIVATION: usize = 4 * 1024;

pub(super) fn routes() -> Routes {
    Routes::default()
        .route(
            "/v1/plugins",
            get(list),
            Described::Fixed(|| item([("get", describe_list())])),
        )
        .route(
            "/v1/plugins/{name}",
            put(install),
            Described::Fixed(|| item([("put", describe_install())])),
        )
        .route(
            "/v1/plugins/{name}/activate",
            post(activate),
            Described::Fixed(|| item([("post", describe_activate())])),
        )
}

async fn list(State(api): State<Arc<Api>>, params: Params) -> Result<Json<Value>, Problem> {
    params.finish()?;
    let catalog = api.host.catalog();
    let items: Vec<_> = catalog
        .plugins()
        .map(|plugin| shape(plugin, true))
        .collect();
    let refusals = catalog.refusals().map(|refusal| {
        json!({ "source": refusal.source, "reason": refusal.reason, "at": refusal.at.to_string() })
    });
    let refusals: Vec<_> = refusals.collect();
    Ok(Json(
        json!({ "items": items, "next": null, "refusals": refusals }),
    ))
}

async fn install(
    State(api): State<Arc<Api>>,
    Segments((name,)): Segments<(String,)>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    params.finish()?;
    request::media_type(&headers, &["application/wasm", "application/octet-stream"])?;
    let busy = |_| {
        Problem::new(
            Kind::Overloaded,
            "other components are being uploaded; try again",
        )
    };
    let _upload = api.uploads.try_acquire().map_err(busy)?;
    let bytes = request::read_body(&headers, body, MAX_COMPONENT_BYTES).await?;
    let plugin = api.host.install(&name, bytes.into()).await?;
    let is = &plugin.descriptor.name;
    if *is != name {
        let detail = format!(
            "the component is plugin {is}, not {name:?}; it is kept as {is}, nothing is activated"
        );
        return Err(Problem::new(Kind::PluginRefused, detail));
    }
    let active = is_active(&api, &plugin);
    Ok(Json(shape(&plugin, active)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Activation {
    digest: String,
}

async fn activate(
    State(api): State<Arc<Api>>,
    Segments((name,)): Segments<(String,)>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    params.finish()?;
    request::is_json(&headers)?;
    let bytes = request::read_body(&headers, body, MAX_ACTIVATION).await?;
    let activation = serde_json::from_slice::<Activation>(&bytes);
    let malformed = |error| {
        Problem::new(
            Kind::MalformedBody,
            format!("the body is not {{\"digest\": \"…\"}}: {error}"),
        )
    };
    let digest = Digest::parse(&activation.map_err(malformed)?.digest)?;
    let stored = api.host.store().find_plugin(digest).await?;
    if stored.is_none_or(|stored| stored.name != name) {
        return Err(Problem::new(
            Kind::UnknownPlugin,
            format!("plugin {name:?} has no installed version {digest}"),
        ));
    }
    let plugin = api.host.activate(digest).await?;
    Ok(Json(shape(&plugin, true)))
}

fn is_active(api: &Api, plugin: &Plugin) -> bool {
    api.host
        .catalog()
        .plugin(&plugin.descriptor.name)
        .is_some_and(|active| active.digest == plugin.digest)
}

fn shape(plugin: &Plugin, active: bool) -> Value {
    let descriptor = &plugin.descriptor;
    let aggregate = descriptor.aggregate.as_ref().map(|aggregate| {
        let commands: Vec<_> = aggregate
            .commands
            .iter()
            .map(|command| &*command.name)
            .collect();
        let events: Vec<_> = aggregate.events.iter().map(|event| &*event.name).collect();
        json!({ "name": aggregate.name.as_str(), "commands": commands, "events": events })
    });
    let projection = descriptor.projection.as_ref().map(|projection| {
        let events: Vec<_> = projection.events.iter().map(|event| &event.full_type).collect();
        let collections: Vec<_> = projection.collections.iter().map(|collection| &collection.name).collect();
        let queries: Vec<_> = projection.queries.iter().map(|query| &query.name).collect();
        json!({ "name": projection.name, "events": events, "collections": collections, "queries": queries })
    });
    json!({
        "name": descriptor.name,
        "version": descriptor.version,
        "digest": plugin.digest.to_string(),
        "description": descriptor.description,
        "active": active,
        "aggregate": aggregate,
        "projection": projection,
        "limits": plugin.limits,
    })
}

fn describe_list() -> Operation {
    Operation::new(
        "plugins",
        "plugins",
        "The active plugins, and what was refused lately",
    )
    .gives("PluginList", "All of them")
    .refuses(&[Kind::UnknownParameter])
}

fn describe_install() -> Operation {
    Operation::new(
        "install",
        "plugins",
        "Install a plugin version, without activating it",
    )
    .path("name", "The plugin's name, which the component must bear")
    .body(
        "application/wasm",
        json!({ "type": "string", "contentMediaType": "application/wasm" }),
    )
    .gives(
        "Plugin",
        "Checked and kept. Installing the same bytes again changes nothing",
    )
    .refuses(&[
        Kind::NamesTaken,
        Kind::TooLarge,
        Kind::UnsupportedMediaType,
        Kind::PluginRefused,
        Kind::Overloaded,
        Kind::Unavailable,
    ])
}

fn describe_activate() -> Operation {
    Operation::new("activate", "plugins", "Make an installed version the active one")
        .about("Commands are decided by it from the answer on; a projection is rebuilt beside the live one and then switched.")
        .path("name", "The plugin's name")
        .body("application/json", json!({ "$ref": "#/components/schemas/Activation" }))
        .gives("Plugin", "Active")
        .refuses(&[
            Kind::MalformedBody,
            Kind::InvalidId,
            Kind::UnknownPlugin,
            Kind::NamesTaken,
            Kind::UnsupportedMediaType,
            Kind::PluginRefused,
            Kind::Unavailable,
        ])
}
