//! Lines in the host's log, under the plugin's name: [`trace!`](crate::trace), [`debug!`](crate::debug),
//! [`info!`](crate::info), [`warn!`](crate::warn) and [`error!`](crate::error).
//!
//! Natively, which is in tests, lines go to stderr.
//! A panic needs none of them: Rust's own report of its message and place goes to stderr,
//! which the host takes into the same log.

use std::fmt;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For finding a fault.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is odd, and the plugin goes on.
    Warn,
    /// Something went wrong.
    Error,
}

/// Writes one line; the macros call it.
#[cfg(target_family = "wasm")]
pub fn log(level: Level, line: fmt::Arguments<'_>) {
    crate::wasm::log(level, &line.to_string());
}

/// Writes one line; the macros call it.
#[cfg(not(target_family = "wasm"))]
#[allow(clippy::print_stderr, reason = "stderr is the log of a native test")]
pub fn log(level: Level, line: fmt::Arguments<'_>) {
    eprintln!("{level:?}: {line}");
}

/// Logs every step, for finding a fault; formats like [`format!`].
#[macro_export]
macro_rules! trace {
    ($($line:tt)+) => { $crate::log::log($crate::log::Level::Trace, ::core::format_args!($($line)+)) };
}

/// Logs what helps to find a fault; formats like [`format!`].
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::log::log($crate::log::Level::Debug, ::core::format_args!($($line)+)) };
}

/// Logs what is worth knowing; formats like [`format!`].
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::log::log($crate::log::Level::Info, ::core::format_args!($($line)+)) };
}

/// Logs something odd; formats like [`format!`].
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::log::log($crate::log::Level::Warn, ::core::format_args!($($line)+)) };
}

/// Logs what went wrong; formats like [`format!`].
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::log::log($crate::log::Level::Error, ::core::format_args!($($line)+)) };
}
