//! What the driver reports, sorted by what a caller can do about it.

use rusqlite::Error;
use rusqlite::ffi::{self, ErrorCode};

/// The most characters of a driver's message that are passed on.
const MAX_REASON: usize = 300;

/// Why the database did not do as asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may work later.
    Unavailable(String),
    /// There is no room on the disk.
    Full,
    /// The call was interrupted.
    Interrupted,
    /// It would fail again.
    Refused(String),
    /// The file holds what cannot be in it.
    Damaged(String),
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let reason: String = error.to_string().chars().take(MAX_REASON).collect();
        match error {
            Error::SqliteFailure(cause, _) | Error::SqlInputError { error: cause, .. } => {
                from_code(*cause, reason)
            }
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..) => Self::Damaged(reason),
            _ => Self::Refused(reason),
        }
    }
}

fn from_code(cause: ffi::Error, reason: String) -> Failure {
    match cause.code {
        ErrorCode::DiskFull => Failure::Full,
        // The only reason for which the log's small shared index cannot grow is a full disk.
        ErrorCode::SystemIoFailure if cause.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
            Failure::Full
        }
        ErrorCode::OperationInterrupted => Failure::Interrupted,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Failure::Damaged(reason),
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::OutOfMemory
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::OperationAborted
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::SchemaChanged => Failure::Unavailable(reason),
        _ => Failure::Refused(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: std::ffi::c_int) -> Failure {
        Failure::from(&Error::SqliteFailure(
            ffi::Error::new(code),
            Some("why".into()),
        ))
    }

    #[test]
    fn a_failure_is_sorted_by_what_can_be_done_about_it() {
        let why = || "why".to_owned();
        assert_eq!(failure(ffi::SQLITE_FULL), Failure::Full);
        assert_eq!(failure(ffi::SQLITE_IOERR_SHMSIZE), Failure::Full);
        assert_eq!(
            failure(ffi::SQLITE_IOERR_WRITE),
            Failure::Unavailable(why())
        );
        assert_eq!(
            failure(ffi::SQLITE_BUSY_SNAPSHOT),
            Failure::Unavailable(why())
        );
        assert_eq!(
            failure(ffi::SQLITE_CONSTRAINT_UNIQUE),
            Failure::Refused(why())
        );
        assert_eq!(failure(ffi::SQLITE_TOOBIG), Failure::Refused(why()));
        assert_eq!(failure(ffi::SQLITE_NOTADB), Failure::Damaged(why()));
        assert_eq!(failure(ffi::SQLITE_INTERRUPT), Failure::Interrupted);
    }
}
