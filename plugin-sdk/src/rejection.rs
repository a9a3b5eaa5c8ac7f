//! The two ways in which a plugin says no.

use std::borrow::Cow;
use std::fmt;

/// A business refusal: a value, not an error.
///
/// The host answers the client with its code and message and records nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    code: Cow<'static, str>,
    message: String,
}

impl Rejection {
    /// A refusal with a stable kebab-case code for programs and a message for people.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }

    /// The code, for programs.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The message, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Code and message, for the boundary.
    pub fn into_parts(self) -> (String, String) {
        (self.code.into_owned(), self.message)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.message)
    }
}

/// Why a projection could not fold an event.
///
/// The host drops what the batch wrote, tries again and in the end parks the event.
/// Anything that can be shown becomes one by `?`; like `anyhow::Error` it is therefore no `Error` itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    message: String,
}

impl Failure {
    /// A failure with a message for people.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What went wrong, for the boundary.
    pub fn into_message(self) -> String {
        self.message
    }
}

impl<E: fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}
