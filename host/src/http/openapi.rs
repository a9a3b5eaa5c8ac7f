//! `GET /openapi.json`: OpenAPI 3.1 of exactly what is there now, the loaded plugins' commands and queries included.
//!
//! Every route carries its own description (see [`Described`]); this module puts them together, once per catalog.

mod components;
mod operation;
mod shapes;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::error::{Kind, Problem};
use super::json::answer;
use super::request::Params;
use super::{Api, Routes};
use crate::catalog::Catalog;
pub(super) use components::Components;
pub(super) use operation::{Operation, item};

/// What the document says of a route.
pub(super) enum Described {
    /// The same path item, whatever is loaded.
    Fixed(fn() -> Value),
    /// A path for each of something that plugins define, in place of the route's own.
    PerPlugin(fn(&Catalog, &mut Components) -> Vec<(String, Value)>),
    /// Nothing: it is a page for people.
    Page,
}

/// A route and what the document says of it.
pub(super) struct Listed {
    pub(super) path: &'static str,
    pub(super) described: Described,
}

/// The document of the catalog for which it was asked last. It does not keep that catalog's plugins alive.
#[derive(Default)]
pub(super) struct Cache(Mutex<Option<(Weak<Catalog>, Arc<str>)>>);

impl Cache {
    fn get(&self, catalog: &Arc<Catalog>, listed: &[Listed]) -> Arc<str> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, document)) = &*cached
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(catalog))
        {
            return Arc::clone(document);
        }
        let document: Arc<str> = document(catalog, listed).to_string().into();
        *cached = Some((Arc::downgrade(catalog), Arc::clone(&document)));
        document
    }
}

pub(super) fn routes() -> Routes {
    Routes::default().route(
        "/openapi.json",
        get(show),
        Described::Fixed(|| item([("get", describe())])),
    )
}

async fn show(State(api): State<Arc<Api>>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let document = api.document.get(&api.host.catalog(), &api.listed);
    Ok(answer(document.as_ref().to_owned()))
}

fn describe() -> Operation {
    Operation::new("openapi", "health", "This document")
        .gives_as(
            "application/json",
            json!({ "type": "object" }),
            "OpenAPI 3.1",
        )
        .refuses(&[Kind::UnknownParameter])
}

fn document(catalog: &Catalog, listed: &[Listed]) -> Value {
    let mut components = Components::new(shapes::all());
    let mut paths = Map::new();
    for Listed { path, described } in listed {
        match described {
            Described::Fixed(describe) => {
                paths.insert((*path).to_owned(), describe());
            }
            Described::PerPlugin(describe) => paths.extend(describe(catalog, &mut components)),
            Described::Page => {}
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Foldhost",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        // Relative to this document, so that it holds wherever the routes are nested.
        "servers": [{ "url": "." }],
        "tags": TAGS.map(|(name, about)| json!({ "name": name, "description": about })),
        "paths": paths,
        "components": { "schemas": components.into_schemas() },
    })
}

const ABOUT: &str = "Commands are decided by aggregates, events are folded into documents; both by the plugins that are \
    loaded now, whose commands, collections and queries are listed here. Every error is `application/problem+json` with a \
    stable `code`. Every list is `{items, next}`; hand `next` back as `cursor`.";

const TAGS: [(&str, &str); 7] = [
    ("commands", "POST /v1/commands/{aggregate}/{id}/{command}"),
    ("queries", "GET /v1/queries/{name}"),
    ("collections", "GET /v1/collections/{collection}"),
    ("streams", "What was recorded, and the states that it makes"),
    ("projections", "How the read models stand"),
    ("plugins", "What is loaded, and ways in for new versions"),
    ("health", "For whoever runs the host"),
];
