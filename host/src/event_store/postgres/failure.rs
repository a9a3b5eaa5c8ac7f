//! What the driver reports, sorted by what a caller can do about it.

use sqlx::Error as DriverError;
use sqlx::postgres::PgDatabaseError;

use super::super::Error;

/// The most characters of a server's message that are passed on.
const MAX_REASON: usize = 300;
/// Raised by our own function when the event that a host knew last is not there any more.
pub(super) const REWRITTEN: &str = "FH001";
/// Raised by our own functions while an import is under way.
const UNFINISHED: &str = "FH002";
/// Raised by our own functions when an import finds a history.
const NOT_EMPTY: &str = "FH003";
/// Constraints that only a writer who does not take the lock can have broken. The batch is right; its heads were read too
/// early, so it is to be tried again.
const RACED: [&str; 3] = [
    "events_position",
    "events_stream_version",
    "commands_identity",
];

impl From<DriverError> for Error {
    fn from(error: DriverError) -> Self {
        match &error {
            DriverError::Database(cause) => {
                let reason = shorten(cause.message());
                match cause.try_downcast_ref::<PgDatabaseError>() {
                    Some(cause) => from_server(cause.code(), cause.constraint(), reason),
                    None => Self::Refused { reason },
                }
            }
            // Its text is about the file or the network, never about credentials.
            DriverError::Io(cause) => unavailable(&cause.to_string()),
            DriverError::Tls(cause) => unavailable(&cause.to_string()),
            DriverError::Protocol(reason) => unavailable(reason),
            DriverError::ColumnDecode { .. } | DriverError::Decode(_) => Self::Damaged {
                reason: shorten(&error.to_string()),
            },
            DriverError::Encode(_) | DriverError::InvalidArgument(_) => Self::Refused {
                reason: shorten(&error.to_string()),
            },
            _ => unavailable(&error.to_string()),
        }
    }
}

/// Tells whether the session is of no more use after this error.
pub(super) fn ends_session(error: &DriverError) -> bool {
    match error {
        DriverError::Database(cause) => cause
            .code()
            // 25006: a server that was demoted answers on, and only reads.
            .is_some_and(|code| {
                code.starts_with("57P") || code.starts_with("08") || code == "25006"
            }),
        _ => true,
    }
}

/// Says why a store can never be opened like this; nothing when it may be opened later.
pub(super) fn cannot_open(error: &DriverError) -> Option<String> {
    let cause = match error {
        DriverError::Database(cause) => cause,
        DriverError::Configuration(cause) | DriverError::Tls(cause) => {
            return Some(shorten(&cause.to_string()));
        }
        _ => return None,
    };
    let code = cause.code()?;
    // Wrong credentials, no such database, no permission, a schema's name that the server keeps for itself.
    matches!(&*code, "28P01" | "28000" | "3D000" | "42501" | "42939")
        .then(|| shorten(cause.message()))
}

/// Makes an outage of a reason.
pub(super) fn unavailable(reason: &str) -> Error {
    Error::Unavailable {
        reason: shorten(reason),
    }
}

fn from_server(code: &str, constraint: Option<&str>, reason: String) -> Error {
    if constraint.is_some_and(|constraint| RACED.contains(&constraint)) {
        return Error::Unavailable { reason };
    }
    match code {
        "53100" => Error::Full,
        UNFINISHED => Error::Unfinished,
        NOT_EMPTY => Error::NotEmpty,
        // The server says so of its own files.
        "XX001" | "XX002" => Error::Damaged { reason },
        // Taken back by the server: time-outs, too many sessions, a read-only replica.
        "57014" | "53300" | "25006" | "55P03" | REWRITTEN => Error::Unavailable { reason },
        // The schema, or the right to use it, is gone: nothing that a batch is guilty of.
        "42501" | "3F000" | "42P01" | "42883" => Error::Unavailable { reason },
        _ => match &code[..2.min(code.len())] {
            "08" | "40" | "58" => Error::Unavailable { reason },
            "57" => Error::Unavailable { reason },
            _ => Error::Refused { reason },
        },
    }
}

fn shorten(reason: &str) -> String {
    let one_line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line.chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(code: &str, constraint: Option<&str>) -> &'static str {
        match from_server(code, constraint, String::new()) {
            Error::Unavailable { .. } => "unavailable",
            Error::Full => "full",
            Error::Refused { .. } => "refused",
            Error::Damaged { .. } => "damaged",
            Error::CannotOpen { .. } | Error::TooNew { .. } => "not opened",
            Error::NotEmpty | Error::Unfinished => "about an import",
        }
    }

    #[test]
    fn a_failure_is_sorted_by_what_can_be_done_about_it() {
        for outage in [
            "57P01", "57P03", "08006", "53300", "40001", "40P01", "57014",
        ] {
            assert_eq!(sorted(outage, None), "unavailable", "{outage}");
        }
        assert_eq!(sorted("53100", None), "full");
        assert_eq!(sorted("54001", None), "refused");
        assert_eq!(sorted("XX001", None), "damaged");
    }

    #[test]
    fn the_constraint_and_not_the_code_tells_a_race_from_a_guilty_entry() {
        assert_eq!(sorted("23505", Some("events_event_id")), "refused");
        assert_eq!(
            sorted("23505", Some("events_stream_version")),
            "unavailable"
        );
        assert_eq!(sorted("23505", Some("commands_identity")), "unavailable");
    }
}
