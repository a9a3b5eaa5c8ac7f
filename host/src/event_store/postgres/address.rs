//! Where the server is, and how sessions with it begin.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use super::super::Error;
use super::{PostgresOptions, failure};

/// The most bytes of a name in PostgreSQL.
const MAX_SCHEMA: usize = 63;
/// Shown instead of a URL that cannot be read: it may hold a password anywhere.
const UNREADABLE: &str = "named by event_store";
/// Pinned for every session. Statements end a little before the host stops to wait for them. What plans look like must
/// not depend on how empty the tables were when a session made them; a plan that is only dear on paper is not compiled.
const SETTINGS: [(&str, &str); 4] = [
    ("default_transaction_isolation", "read committed"),
    ("statement_timeout", "5s"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];
/// Pinned for sessions that hold locks: the server notices a host that has vanished, and gives its locks to others.
const DIRECT_SETTINGS: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "10s"),
];

/// A server, a database and a schema in it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Address {
    options: PgConnectOptions,
    schema: Arc<str>,
    shown: Arc<str>,
}

impl Address {
    /// Reads the options; an error shows no password.
    pub(super) fn parse(options: &PostgresOptions) -> Result<Self, Error> {
        let unreadable = |reason: &str| {
            let example = "it looks like postgres://user:password@host:5432/database";
            cannot_open(UNREADABLE, &format!("{reason}; {example}"))
        };
        let scheme = options.url.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("postgres" | "postgresql")) {
            return Err(unreadable("not a PostgreSQL URL"));
        }
        let parsed: PgConnectOptions = options
            .url
            .parse()
            .map_err(|_| unreadable("not a valid URL"))?;
        let shown = show(&parsed);
        if !is_schema(&options.schema) {
            let rule = "a lower-case letter or _, then lower-case letters, digits or _, 63 at most";
            let reason = format!("the schema {:?} is not {rule}", options.schema);
            let reason = format!("{reason} (see the setting event_store)");
            return Err(cannot_open(&shown, &reason));
        }
        Ok(Self {
            options: prepare(parsed),
            schema: options.schema.as_str().into(),
            shown: shown.into(),
        })
    }

    /// Options of sessions that only run statements, and may be behind a pooler.
    pub(super) fn pooled(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Options of sessions that listen or hold locks.
    pub(super) fn direct(&self) -> PgConnectOptions {
        self.options.clone().options(DIRECT_SETTINGS)
    }

    /// Puts the schema's name in the place of `{schema}`.
    pub(super) fn sql(&self, template: &'static str) -> AssertSqlSafe<String> {
        // Safe, since a schema's name is checked to be a plain name.
        AssertSqlSafe(template.replace("{schema}", &self.schema))
    }

    /// Returns the schema's name.
    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// What an error on the way to an open store means: that it can never be opened like this, or what it always means.
    pub(super) fn opening(&self, error: sqlx::Error) -> Error {
        match failure::cannot_open(&error) {
            Some(reason) => self.cannot_open(&reason),
            None => error.into(),
        }
    }

    /// Says that the store cannot be opened, and why.
    pub(super) fn cannot_open(&self, reason: &str) -> Error {
        cannot_open(
            &self.shown,
            &format!("{reason} (see the setting event_store)"),
        )
    }
}

fn cannot_open(store: &str, reason: &str) -> Error {
    Error::CannotOpen {
        store: store.to_owned(),
        reason: reason.to_owned(),
    }
}

fn prepare(options: PgConnectOptions) -> PgConnectOptions {
    let options = options.disable_statement_logging().options(SETTINGS);
    match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("foldhost"),
    }
}

/// The URL without its password and parameters.
fn show(options: &PgConnectOptions) -> String {
    let user = options.get_username();
    let database = options.get_database().unwrap_or(user);
    match options.get_socket() {
        Some(socket) => format!("postgres://{user}@{}/{database}", socket.display()),
        None => {
            let (host, port) = (options.get_host(), options.get_port());
            format!("postgres://{user}@{host}:{port}/{database}")
        }
    }
}

fn is_schema(name: &str) -> bool {
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    name.starts_with(first)
        && name.len() <= MAX_SCHEMA
        && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, schema: &str) -> Result<Address, Error> {
        Address::parse(&PostgresOptions {
            url: url.to_owned(),
            schema: schema.to_owned(),
        })
    }

    #[test]
    fn what_is_shown_of_a_url_holds_no_password() {
        for url in [
            "postgres://anne:secret@db:5433/blog",
            "postgresql://anne@db:5433/blog?password=secret",
        ] {
            assert_eq!(
                &*parse(url, "foldhost").unwrap().shown,
                "postgres://anne@db:5433/blog"
            );
        }
    }

    #[test]
    fn a_malformed_url_is_one_line_without_the_url() {
        for url in [
            "postgres://anne:secret@db:port/blog",
            "mysql://anne:secret@db/blog",
            "anne:secret@db",
            "",
        ] {
            let line = parse(url, "foldhost").err().unwrap().to_string();
            assert!(
                line.contains("event_store") && !line.contains("secret") && !line.contains('\n'),
                "{line}"
            );
        }
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        let url = "postgres://anne@db/blog";
        for good in ["foldhost", "_x1", &"a".repeat(63)] {
            assert!(parse(url, good).is_ok(), "{good}");
        }
        for bad in ["", "1x", "Blog", "a-b", "a\"b", "é", &"a".repeat(64)] {
            assert!(parse(url, bad).is_err(), "{bad}");
        }
    }
}
