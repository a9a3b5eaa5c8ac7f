//! Every way in which a request can fail: the one table of status codes.
//!
//! Each error leaves as RFC 9457 `application/problem+json` with `type`, `title`, `status`, `detail` and `code`, and
//! sometimes members more, such as `actual_version`. `code` is for programs and does not change; `detail` is for people.
//! What a driver or a panic says stays in the log.

mod from;

use std::any::Any;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

/// The status of an answer that is no error, for the OpenAPI document.
pub(super) const SUCCESS: StatusCode = StatusCode::OK;

/// A detail is one short line; whatever a plugin puts into one is cut here.
const MAX_DETAIL: usize = 2_000;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    MalformedPath,
    MalformedQuery,
    MalformedBody,
    InvalidId,
    InvalidHeader,
    InvalidParameter,
    UnknownParameter,
    InvalidFilter,
    InvalidSort,
    InvalidCursor,
    UnknownRoute,
    UnknownAggregate,
    UnknownCommand,
    UnknownStream,
    UnknownVersion,
    UnknownCollection,
    UnknownDocument,
    UnknownQuery,
    UnknownProjection,
    UnknownPlugin,
    MethodNotAllowed,
    BodyTooSlow,
    Conflict,
    NamesTaken,
    CursorGone,
    BeyondHead,
    PreconditionFailed,
    TooLarge,
    UnsupportedMediaType,
    Rejected,
    IdempotencyKeyReused,
    PluginRefused,
    PluginFailed,
    Internal,
    Overloaded,
    TooManySubscribers,
    Unavailable,
    NotReady,
    PluginTooSlow,
    QueryTooSlow,
    NotReached,
}

impl Kind {
    /// The table: status, `code`, `title`.
    #[allow(clippy::too_many_lines, reason = "a table, one row a kind")]
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedPath => (S::BAD_REQUEST, "malformed-path", "Malformed path"),
            Self::MalformedQuery => (S::BAD_REQUEST, "malformed-query", "Malformed query string"),
            Self::MalformedBody => (S::BAD_REQUEST, "malformed-body", "Malformed body"),
            Self::InvalidId => (S::BAD_REQUEST, "invalid-id", "Invalid name or id"),
            Self::InvalidHeader => (S::BAD_REQUEST, "invalid-header", "Invalid header"),
            Self::InvalidParameter => (S::BAD_REQUEST, "invalid-parameter", "Invalid parameter"),
            Self::UnknownParameter => (S::BAD_REQUEST, "unknown-parameter", "Unknown parameter"),
            Self::InvalidFilter => (S::BAD_REQUEST, "invalid-filter", "Invalid filter"),
            Self::InvalidSort => (S::BAD_REQUEST, "invalid-sort", "Invalid sort"),
            Self::InvalidCursor => (S::BAD_REQUEST, "invalid-cursor", "Invalid cursor"),
            Self::UnknownRoute => (S::NOT_FOUND, "unknown-route", "Unknown path"),
            Self::UnknownAggregate => (S::NOT_FOUND, "unknown-aggregate", "Unknown aggregate"),
            Self::UnknownCommand => (S::NOT_FOUND, "unknown-command", "Unknown command"),
            Self::UnknownStream => (S::NOT_FOUND, "unknown-stream", "Unknown stream"),
            Self::UnknownVersion => (S::NOT_FOUND, "unknown-version", "Unknown version"),
            Self::UnknownCollection => (S::NOT_FOUND, "unknown-collection", "Unknown collection"),
            Self::UnknownDocument => (S::NOT_FOUND, "unknown-document", "Unknown document"),
            Self::UnknownQuery => (S::NOT_FOUND, "unknown-query", "Unknown query"),
            Self::UnknownProjection => (S::NOT_FOUND, "unknown-projection", "Unknown projection"),
            Self::UnknownPlugin => (S::NOT_FOUND, "unknown-plugin", "Unknown plugin version"),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            ),
            Self::BodyTooSlow => (S::REQUEST_TIMEOUT, "body-too-slow", "Body too slow"),
            Self::Conflict => (S::CONFLICT, "conflict", "Conflict"),
            Self::NamesTaken => (S::CONFLICT, "names-taken", "Name taken"),
            Self::CursorGone => (S::GONE, "cursor-gone", "Cursor gone"),
            Self::BeyondHead => (S::GONE, "beyond-head", "Beyond the head"),
            Self::PreconditionFailed => (
                S::PRECONDITION_FAILED,
                "precondition-failed",
                "Precondition failed",
            ),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "Too large"),
            Self::UnsupportedMediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
            ),
            Self::Rejected => (S::UNPROCESSABLE_ENTITY, "rejected", "Rejected"),
            Self::IdempotencyKeyReused => (
                S::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "Idempotency key reused",
            ),
            Self::PluginRefused => (S::UNPROCESSABLE_ENTITY, "plugin-refused", "Plugin refused"),
            Self::PluginFailed => (S::INTERNAL_SERVER_ERROR, "plugin-failed", "Plugin failed"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
            Self::Overloaded => (S::SERVICE_UNAVAILABLE, "overloaded", "Overloaded"),
            Self::TooManySubscribers => (
                S::SERVICE_UNAVAILABLE,
                "too-many-subscribers",
                "Too many subscribers",
            ),
            Self::Unavailable => (S::SERVICE_UNAVAILABLE, "unavailable", "Unavailable"),
            Self::NotReady => (S::SERVICE_UNAVAILABLE, "not-ready", "Not ready"),
            Self::PluginTooSlow => (S::GATEWAY_TIMEOUT, "plugin-too-slow", "Plugin too slow"),
            Self::QueryTooSlow => (S::GATEWAY_TIMEOUT, "query-too-slow", "Query too slow"),
            Self::NotReached => (S::GATEWAY_TIMEOUT, "not-reached", "Position not reached"),
        }
    }

    /// Returns the status, for the OpenAPI document.
    pub(super) fn status(self) -> StatusCode {
        self.row().0
    }

    /// Returns the code, for the OpenAPI document.
    pub(super) fn code(self) -> &'static str {
        self.row().1
    }

    /// Returns the title, for the OpenAPI document.
    pub(super) fn title(self) -> &'static str {
        self.row().2
    }
}

/// One failed request.
#[derive(Debug)]
pub(super) struct Problem {
    kind: Kind,
    /// The plugin's own code, for a rejection.
    code: Option<String>,
    detail: String,
    more: Vec<(&'static str, Value)>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            detail: detail.into(),
            more: Vec::new(),
        }
    }

    /// Adds a member for programs.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.more.push((name, value.into()));
        self
    }

    /// Tells whether more was sent than is taken.
    pub(super) fn is_too_large(&self) -> bool {
        self.kind == Kind::TooLarge
    }

    fn to_json(&self) -> Value {
        let (status, code, title) = self.kind.row();
        let mut members = Map::new();
        members.insert("type".to_owned(), format!("/problems/{code}").into());
        members.insert("title".to_owned(), title.into());
        members.insert("status".to_owned(), status.as_u16().into());
        members.insert("detail".to_owned(), shortened(&self.detail).into());
        members.insert(
            "code".to_owned(),
            self.code.as_deref().unwrap_or(code).into(),
        );
        for (name, value) in &self.more {
            members.insert((*name).to_owned(), value.clone());
        }
        Value::Object(members)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let mut response = Response::new(Body::from(self.to_json().to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Answers a request whose handling panicked; the message goes to the log.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(message, "a request's handling panicked");
    Problem::new(
        Kind::Internal,
        "the host could not handle this request; its log says why",
    )
    .into_response()
}

fn shortened(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_DETAIL + 1)
        .collect();
    match line.char_indices().nth(MAX_DETAIL) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_one_line_of_bounded_length() {
        assert_eq!(shortened("a\nb\0c"), "a b c");
        assert_eq!(
            shortened(&"ä".repeat(MAX_DETAIL)).chars().count(),
            MAX_DETAIL
        );
        assert_eq!(
            shortened(&"ä".repeat(MAX_DETAIL + 1)).chars().count(),
            MAX_DETAIL + 1
        );
    }

    #[test]
    fn a_panic_leaves_as_a_problem_without_its_message() {
        let problem = Problem::new(Kind::Internal, "see the log").to_json();
        assert_eq!(problem["type"], "/problems/internal");
        assert_eq!(
            panicked(Box::new("secret")).status(),
            Kind::Internal.status()
        );
    }
}
