//! Pages for people: `/`, and `/docs` with the OpenAPI document in Swagger UI, all from this binary.
//!
//! Links are relative, so that the pages work wherever the routes are nested.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;

use super::error::{Kind, Problem};
use super::openapi::Described;
use super::request::Segments;
use super::{Api, Routes, projections};

/// Nothing from elsewhere, no inline scripts. Swagger UI styles its elements in place and carries its icons as data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const DOCS: &str = include_str!("assets/docs.html");

/// Name, media type, bytes.
const ASSETS: [(&str, &str, &[u8]); 4] = [
    (
        "swagger-ui.css",
        "text/css; charset=utf-8",
        include_bytes!("assets/swagger-ui.css"),
    ),
    (
        "swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
        include_bytes!("assets/swagger-ui-bundle.js"),
    ),
    (
        "docs.js",
        "text/javascript; charset=utf-8",
        include_bytes!("assets/docs.js"),
    ),
    (
        "page.css",
        "text/css; charset=utf-8",
        include_bytes!("assets/page.css"),
    ),
];

pub(super) fn routes() -> Routes {
    Routes::default()
        .route("/", get(landing), Described::Page)
        .route(
            "/docs",
            get(async || page(DOCS.to_owned())),
            Described::Page,
        )
        .route("/docs/{asset}", get(asset), Described::Page)
}

async fn landing(State(api): State<Arc<Api>>, OriginalUri(uri): OriginalUri) -> Response {
    // Where the routes are nested under /a/b, this page is /a/b, and its neighbors are at b/….
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let base = if last.is_empty() {
        String::new()
    } else {
        format!("{last}/")
    };
    page(landing_page(&api, &base))
}

async fn asset(Segments((name,)): Segments<(String,)>) -> Result<Response, Problem> {
    let Some((_, media_type, bytes)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        return Err(Problem::new(
            Kind::UnknownRoute,
            format!("there is no page {name:?} below /docs"),
        ));
    };
    let mut response = respond(media_type, Body::from(Bytes::from_static(bytes)));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    Ok(response)
}

fn page(html: String) -> Response {
    let mut response = respond("text/html; charset=utf-8", Body::from(html));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn respond(media_type: &'static str, body: Body) -> Response {
    const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn landing_page(api: &Api, base: &str) -> String {
    let catalog = api.host.catalog();
    let plugins = catalog.plugins().map(|plugin| {
        let descriptor = &plugin.descriptor;
        let cells: [&dyn Display; 4] = [
            &descriptor.name,
            &descriptor.version,
            &plugin.digest.short(),
            &descriptor.description,
        ];
        row(&cells)
    });
    let projections = api.host.projections().into_iter().map(|status| {
        let cells: [&dyn Display; 5] = [
            &status.name,
            &projections::state(&status),
            &status.position,
            &status.lag,
            &status.parked,
        ];
        row(&cells)
    });
    let refusals = catalog
        .refusals()
        .map(|refusal| row(&[&refusal.at, &refusal.source, &refusal.reason]));
    let plugins = table("Plugins", &["name", "version", "digest", "about"], plugins);
    let projections = table(
        "Projections",
        &["name", "state", "position", "lag", "parked"],
        projections,
    );
    let refusals = table("Refused lately", &["when", "what", "why"], refusals);
    let base = escaped(&base);
    let head = *api.host.store().head().borrow();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Foldhost</title>\
         <link rel=\"stylesheet\" href=\"{base}docs/page.css\"></head><body><main><h1>Foldhost</h1>\
         <p>Version {version}, {head} events recorded.</p>\
         <nav><a href=\"{base}docs\">Try the API</a> <a href=\"{base}openapi.json\">OpenAPI</a> \
         <a href=\"{base}v1/plugins\">Plugins</a> <a href=\"{base}v1/projections\">Projections</a> \
         <a href=\"{base}v1/events\">Events</a> <a href=\"{base}readyz\">Readiness</a></nav>\
         {plugins}{projections}{refusals}</main></body></html>"
    )
}

/// A table, or nothing when it would be empty.
fn table(title: &str, columns: &[&str], rows: impl Iterator<Item = String>) -> String {
    let rows: String = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    let columns: String = columns
        .iter()
        .map(|column| format!("<th>{column}</th>"))
        .collect();
    format!("<h2>{title}</h2><table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>")
}

fn row(cells: &[&dyn Display]) -> String {
    let cells: String = cells
        .iter()
        .map(|cell| format!("<td>{}</td>", escaped(cell)))
        .collect();
    format!("<tr>{cells}</tr>")
}

fn escaped(value: &dyn Display) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a string does not fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            other => out.push(other),
        }
    }
    out
}
