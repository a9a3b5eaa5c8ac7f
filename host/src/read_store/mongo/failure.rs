//! The driver's errors, sorted into what they mean.

use mongodb::error::{Error as Driver, ErrorKind, WriteFailure};

use super::super::Error;

/// A document with this id, or this name, is there already.
pub(super) const DUPLICATE: i32 = 11000;
/// A collection of this name is there already.
pub(super) const NAMESPACE_EXISTS: i32 = 48;
/// A command ran into its time limit.
pub(super) const TIME_LIMIT: i32 = 50;
/// What passes: an internal error, as FerretDB reports that its back end is busy; no primary, an election, a shutdown, a lost network, a write that waits too long for its majority.
const TRANSIENT: [i32; 25] = [
    1, 6, 7, 43, 50, 64, 89, 91, 112, 134, 175, 189, 202, 237, 262, 290, 317, 9001, 10058, 10107,
    11600, 11601, 11602, 13435, 13436,
];
/// The longest reason that is passed on.
const MAX_REASON: usize = 300;

impl From<Driver> for Error {
    fn from(error: Driver) -> Self {
        let reason = reason(&error);
        if is_transient(&error) {
            Self::Unavailable { reason }
        } else {
            Self::Refused { reason }
        }
    }
}

/// Returns what the server calls an error, if it was the server's.
pub(super) fn code(error: &Driver) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        _ => None,
    }
}

/// Returns what the driver says, on one line and shortened.
pub(super) fn reason(error: &Driver) -> String {
    one_line(&error.kind.to_string())
}

/// Brings a text to one line of bounded length.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MAX_REASON).collect()
}

/// Tells what an error code in the answer to a write means.
pub(super) fn of_code(code: i32, message: &str) -> Error {
    let reason = one_line(message);
    if TRANSIENT.contains(&code) {
        Error::Unavailable { reason }
    } else {
        Error::Refused { reason }
    }
}

fn is_transient(error: &Driver) -> bool {
    match &*error.kind {
        ErrorKind::Io(_)
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. }
        // Credentials were right when the store was opened; they may be about to be changed.
        | ErrorKind::Authentication { .. }
        | ErrorKind::Shutdown
        | ErrorKind::Write(WriteFailure::WriteConcernError(_)) => true,
        ErrorKind::Command(command) => {
            TRANSIENT.contains(&command.code)
        }
        _ => code(error).is_some_and(|code| TRANSIENT.contains(&code)),
    }
}
