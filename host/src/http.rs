//! The HTTP surface: the only place that knows axum and status codes.
//!
//! In come requests, read strictly: an unknown parameter, a header given twice or a name that is none is refused with its
//! name. Out go JSON shapes and, for every failure, `application/problem+json`; the table of status codes is in `error`.
//! Requests under way, bodies and open event streams are bounded; what does not fit is refused at once.
//! What it deliberately does not do: decide anything, or know who is asking.

mod commands;
mod console;
mod documents;
mod error;
mod events;
mod health;
mod json;
mod metrics;
mod openapi;
mod plugins;
mod projections;
mod request;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower_http::catch_panic::CatchPanicLayer;

use crate::host::Host;
use crate::message::Json;
use error::{Kind, Problem};
use openapi::{Described, Listed};

/// Components being uploaded at a time: each may be as large as a component gets, and is compiled.
const MAX_UPLOADS: usize = 2;

/// How long requests under way may take to end once the host is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Builds the routes of a host, to be served or nested in another service. Event streams end when the host stops.
pub fn router(host: Host) -> Router {
    let closing = host.stopping();
    build(host, closing)
}

/// Serves a host until `ended`, or until it is shut down; requests under way are answered first, event streams end.
///
/// The host itself runs on: shut it down afterwards.
pub async fn serve(
    host: Host,
    listener: TcpListener,
    ended: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (close, mut closing) = watch::channel(false);
    let mut stopping = host.stopping();
    let routes = build(host, closing.clone());
    // Answers are small and whole: there is nothing to wait for before one is sent.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection sends with delay");
        }
    });
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async move {
        tokio::select! {
            () = ended => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        close.send_replace(true);
    });
    let out_of_patience = async move {
        // The sender goes away only after it has said so.
        let _ = closing.wait_for(|closing| *closing).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => served,
        () = out_of_patience => {
            tracing::warn!("connections that did not end in time are cut off");
            Ok(())
        }
    }
}

fn build(host: Host, closing: watch::Receiver<bool>) -> Router {
    let bounded = [
        commands::routes(),
        streams::routes(),
        documents::routes(),
        events::routes(),
        plugins::routes(),
        projections::routes(),
        openapi::routes(),
        console::routes(),
    ];
    let bounded = bounded.into_iter().fold(Routes::default(), Routes::and);
    // Health is told however busy the host is: a busy host is not to be restarted, and its numbers matter most then.
    let unbounded = health::routes().and(metrics::routes());
    let listed = bounded.listed.into_iter().chain(unbounded.listed).collect();
    let api = Arc::new(Api::new(host, listed, closing));
    bounded
        .router
        .layer(from_fn_with_state(Arc::clone(&api), take_place))
        .merge(unbounded.router)
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(error::panicked))
        .with_state(api)
}

/// What every handler works with.
struct Api {
    host: Host,
    /// Turns true when event streams are to end.
    closing: watch::Receiver<bool>,
    /// One for each request that may be under way.
    places: Semaphore,
    /// One for each event stream that may be open.
    subscribers: Arc<Semaphore>,
    uploads: Semaphore,
    listed: Vec<Listed>,
    document: openapi::Cache,
    /// Until there are identities, everybody is this one.
    actor: Arc<str>,
    /// What a command without anything to record along carries.
    no_metadata: Json,
}

impl Api {
    fn new(host: Host, listed: Vec<Listed>, closing: watch::Receiver<bool>) -> Self {
        let bounded = |most: usize| Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS));
        Self {
            closing,
            places: bounded(host.config().max_requests),
            subscribers: Arc::new(bounded(host.config().max_subscribers)),
            uploads: bounded(MAX_UPLOADS),
            listed,
            document: openapi::Cache::default(),
            actor: "anonymous".into(),
            no_metadata: Json::from_store("{}"),
            host,
        }
    }
}

/// The routes of one module, each added together with what the OpenAPI document says of it, so that none is forgotten.
#[derive(Default)]
struct Routes {
    router: Router<Arc<Api>>,
    listed: Vec<Listed>,
}

impl Routes {
    fn route(
        mut self,
        path: &'static str,
        methods: MethodRouter<Arc<Api>>,
        described: Described,
    ) -> Self {
        self.router = self.router.route(path, methods);
        self.listed.push(Listed { path, described });
        self
    }

    fn and(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.listed.extend(other.listed);
        self
    }
}

/// Holds a place while a request is being answered; when there is none, refuses before reading its body.
async fn take_place(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    match api.places.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => Problem::new(
            Kind::Overloaded,
            "too many requests are under way; try again",
        )
        .into_response(),
    }
}

async fn unknown_route(uri: Uri) -> Problem {
    Problem::new(
        Kind::UnknownRoute,
        format!(
            "there is nothing at {}; /docs lists what there is",
            uri.path()
        ),
    )
}

/// The router adds `Allow`.
async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        Kind::MethodNotAllowed,
        format!(
            "{method} is not taken at {}; Allow lists what is",
            uri.path()
        ),
    )
}
