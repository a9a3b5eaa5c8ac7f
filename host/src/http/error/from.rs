//! What the modules' errors mean to a client.

use axum::extract::rejection::PathRejection;

use super::{Kind, Problem};
use crate::command::{self, LookError};
use crate::event_store;
use crate::host::Refused;
use crate::message::{InvalidId, InvalidJson, Rejection};
use crate::plugin::{Fault, NotAPlugin};
use crate::query;
use crate::read_store::{self, InvalidFilter};

impl From<command::Error> for Problem {
    fn from(error: command::Error) -> Self {
        use command::Error as E;
        let detail = error.to_string();
        match error {
            E::UnknownAggregate { .. } => Self::new(Kind::UnknownAggregate, detail),
            E::UnknownCommand { .. } => Self::new(Kind::UnknownCommand, detail),
            E::Malformed { .. } => Self::new(Kind::MalformedBody, detail),
            E::PreconditionFailed { actual, .. } => {
                Self::new(Kind::PreconditionFailed, detail).with("actual_version", actual.0)
            }
            E::Conflict { actual, .. } => {
                Self::new(Kind::Conflict, detail).with("actual_version", actual.0)
            }
            E::IdReused { .. } => Self::new(Kind::IdempotencyKeyReused, detail),
            E::Unavailable { command_id, .. } => {
                Self::new(Kind::Unavailable, detail).with("command_id", command_id.as_str())
            }
            E::Plugin(fault) => fault.into(),
        }
    }
}

impl From<LookError> for Problem {
    fn from(error: LookError) -> Self {
        match error {
            LookError::UnknownAggregate { .. } => {
                Self::new(Kind::UnknownAggregate, error.to_string())
            }
            LookError::Store(error) => error.into(),
            LookError::Plugin(fault) => logged(fault).into(),
        }
    }
}

impl From<query::Error> for Problem {
    fn from(error: query::Error) -> Self {
        use query::Error as E;
        let detail = error.to_string();
        match error {
            E::UnknownCollection { .. } => Self::new(Kind::UnknownCollection, detail),
            E::UnknownQuery { .. } => Self::new(Kind::UnknownQuery, detail),
            E::UnknownProjection { .. } => Self::new(Kind::UnknownProjection, detail),
            E::InvalidParameter { .. } => Self::new(Kind::InvalidParameter, detail),
            E::InvalidCursor { .. } => Self::new(Kind::InvalidCursor, detail),
            E::CursorGone => Self::new(Kind::CursorGone, detail),
            E::Rejected(rejection) => rejection.into(),
            E::NotReached { present, .. } => {
                Self::new(Kind::NotReached, detail).with("position", present.0)
            }
            E::TooSlow { .. } => Self::new(Kind::QueryTooSlow, detail),
            E::Unavailable { .. } => Self::new(Kind::Unavailable, detail),
            E::Plugin(fault) => logged(fault).into(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::NotAPlugin(NotAPlugin::TooLarge { .. }) => Self::new(Kind::TooLarge, detail),
            Refused::NotAPlugin(_) | Refused::CannotRead { .. } | Refused::Broken(_) => {
                Self::new(Kind::PluginRefused, detail)
            }
            Refused::NamesTaken { .. } => Self::new(Kind::NamesTaken, detail),
            Refused::Unknown { .. } => Self::new(Kind::UnknownPlugin, detail),
            Refused::Store(error) => error.into(),
            Refused::ReadStore(error) => error.into(),
        }
    }
}

impl From<event_store::Error> for Problem {
    fn from(error: event_store::Error) -> Self {
        tracing::warn!(%error, "a request found the event store unavailable");
        let detail = match error {
            event_store::Error::Full => "the event store has no room left",
            _ => "the event store does not answer",
        };
        Self::new(Kind::Unavailable, detail)
    }
}

impl From<read_store::Error> for Problem {
    fn from(error: read_store::Error) -> Self {
        tracing::warn!(%error, "a request found the read store unavailable");
        Self::new(Kind::Unavailable, "the read store does not answer")
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let kind = match &fault {
            Fault::DocumentsUnavailable { .. } => Kind::Unavailable,
            fault if fault.is_deadline() => Kind::PluginTooSlow,
            _ => Kind::PluginFailed,
        };
        let detail = match &fault {
            // A panic names places on the machine that built the plugin.
            Fault::Trapped { plugin, call, .. } => {
                format!("plugin {plugin} trapped in {call}; the host's log says why")
            }
            Fault::DocumentsUnavailable { plugin, .. } => {
                format!("plugin {plugin} could not read a document")
            }
            fault => fault.to_string(),
        };
        Self::new(kind, detail).with("plugin", fault.plugin())
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        Self {
            code: Some(rejection.code),
            ..Self::new(Kind::Rejected, rejection.message)
        }
    }
}

impl From<InvalidId> for Problem {
    fn from(error: InvalidId) -> Self {
        Self::new(Kind::InvalidId, error.to_string())
    }
}

impl From<InvalidJson> for Problem {
    fn from(error: InvalidJson) -> Self {
        let kind = if matches!(error, InvalidJson::TooLarge { .. }) {
            Kind::TooLarge
        } else {
            Kind::MalformedBody
        };
        Self::new(kind, error.to_string())
    }
}

impl From<InvalidFilter> for Problem {
    fn from(error: InvalidFilter) -> Self {
        Self::new(Kind::InvalidFilter, error.to_string())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(Kind::MalformedPath, rejection.body_text())
    }
}

/// Commands are logged by their workers; nobody else logs these.
fn logged(fault: Fault) -> Fault {
    tracing::warn!(%fault, "a request failed in its plugin");
    fault
}
