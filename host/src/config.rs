//! Configuration: one struct, from `foldhost.toml`, environment and command line, each overriding the one before.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::event_log::kafka::KafkaOptions;
use crate::plugin::Limits;
use crate::projection;

/// Everything that can be set. Each field is a key of `foldhost.toml` and an environment variable `FOLDHOST_…`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where HTTP is served. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The data folder: the code cache, and what is kept in SQLite. Locked against a second host.
    pub data: PathBuf,
    /// The watched folder of components.
    pub plugins: PathBuf,
    /// Whether what appears in the watched folder is activated at once. `dev` says yes; `serve` activates only plugins
    /// that have no active version yet.
    pub activate_from_folder: bool,
    /// `sqlite:` with the file in the data folder, or `postgres://user:password@host:port/database`.
    pub event_store: String,
    /// `tail`: the event store's own tail; or `kafka://broker[,broker]/topic`.
    pub event_log: String,
    /// `sqlite:` with the file in the data folder, or `mongodb://host:port/database`.
    pub read_store: String,
    /// How the event store uses its PostgreSQL database.
    pub postgres: PostgresConfig,
    /// How the event log uses its Kafka cluster.
    pub kafka: KafkaOptions,
    /// How the read store uses its MongoDB database.
    pub mongo: MongoConfig,
    /// Worker threads that decide commands; 0 means one per processor.
    pub workers: usize,
    /// The most guests at a time: about (workers + 3) for each plugin.
    pub max_instances: u32,
    /// Mebibytes of cached aggregate states.
    pub cache_mib: usize,
    /// The most bytes of a request's body.
    pub body_bytes: usize,
    /// The most requests being served at a time; beyond it they are refused at once.
    pub max_requests: usize,
    /// The most open event streams.
    pub max_subscribers: usize,
    /// What a guest may use, for plugins that are not named below.
    pub limits: Limits,
    /// What the guests of named plugins may use.
    pub plugin_limits: BTreeMap<String, Limits>,
    /// How projections behave.
    pub projections: ProjectionConfig,
}

/// How the event store uses its PostgreSQL database.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresConfig {
    /// The schema that holds everything of ours, made if it is not there.
    pub schema: String,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            schema: "foldhost".to_owned(),
        }
    }
}

/// How the read store uses its MongoDB database.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MongoConfig {
    /// What the names of all our collections begin with.
    pub prefix: String,
}

/// How projections behave.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectionConfig {
    /// How often an event is tried before it is parked.
    pub attempts: u32,
    /// Milliseconds before the second attempt; they double, with jitter.
    pub backoff_ms: u64,
    /// Seconds for which a generation is fed on after it was switched away from.
    pub retention_seconds: u64,
}

impl Default for ProjectionConfig {
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff_ms: 50,
            retention_seconds: 600,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: ".foldhost".into(),
            plugins: "plugins/build".into(),
            activate_from_folder: false,
            event_store: "sqlite:".to_owned(),
            event_log: "tail".to_owned(),
            read_store: "sqlite:".to_owned(),
            postgres: PostgresConfig::default(),
            kafka: KafkaOptions::default(),
            mongo: MongoConfig::default(),
            workers: 0,
            max_instances: 300,
            cache_mib: 64,
            body_bytes: 1024 * 1024,
            max_requests: 10_000,
            max_subscribers: 1_000,
            limits: Limits::default(),
            plugin_limits: BTreeMap::new(),
            projections: ProjectionConfig::default(),
        }
    }
}

/// A configuration that cannot be used. The text names the key.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidConfig {
    /// What is wrong, and where.
    pub reason: String,
}

impl Config {
    /// Reads defaults, then a file if there is one, then the environment, then `overrides` (what the command line says).
    pub fn read(
        file: Option<&std::path::Path>,
        overrides: impl Serialize,
    ) -> Result<Self, InvalidConfig> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        figment = match file {
            Some(file) => figment.merge(Toml::file_exact(file)),
            None => figment.merge(Toml::file("foldhost.toml")),
        };
        let environment = Env::prefixed("FOLDHOST_").ignore(NOT_SETTINGS).split("__");
        let config: Self = figment
            .merge(environment)
            .merge(Serialized::globals(overrides))
            .extract()
            .map_err(|error| InvalidConfig {
                reason: format!("configuration: {error}"),
            })?;
        config.check()?;
        Ok(config)
    }

    /// Returns the limits of a plugin.
    pub fn limits_of(&self, plugin: &str) -> Limits {
        self.plugin_limits
            .get(plugin)
            .unwrap_or(&self.limits)
            .clone()
    }

    /// Returns how projections behave, in the engine's terms.
    pub fn projection_settings(&self) -> projection::Settings {
        projection::Settings {
            attempts: self.projections.attempts.max(1),
            backoff: Duration::from_millis(self.projections.backoff_ms),
            retention: Duration::from_secs(self.projections.retention_seconds),
        }
    }

    pub(crate) fn check(&self) -> Result<(), InvalidConfig> {
        let wrong = |reason: String| Err(InvalidConfig { reason });
        if !self.listen.ip().is_loopback() {
            return wrong(format!(
                "listen: {} can be reached from outside, and this version knows no identities yet; listen on 127.0.0.1",
                self.listen
            ));
        }
        self.check_stores()?;
        let all = self
            .plugin_limits
            .iter()
            .map(|(name, limits)| (name.as_str(), limits));
        for (name, limits) in all.chain([("limits", &self.limits)]) {
            if limits.deadline_ms == 0 || limits.project_deadline_ms == 0 || limits.memory_mib == 0
            {
                return wrong(format!("{name}: a limit of 0 lets no guest run"));
            }
            if limits.memory_mib > 256 {
                return wrong(format!(
                    "{name}.memory_mib: {} is more than 256, the size of a pool slot",
                    limits.memory_mib
                ));
            }
        }
        Ok(())
    }
}

/// Where things are kept: what begins with one of these names an adapter.
const EVENT_STORES: &[&str] = &["sqlite:", "postgres://", "postgresql://"];
const EVENT_LOGS: &[&str] = &["tail", "kafka://"];
const READ_STORES: &[&str] = &["sqlite:", "mongodb://", "mongodb+srv://"];

impl Config {
    /// What a profile is: a choice of adapters that go together.
    fn check_stores(&self) -> Result<(), InvalidConfig> {
        for (key, given, known) in [
            ("event_store", &self.event_store, EVENT_STORES),
            ("event_log", &self.event_log, EVENT_LOGS),
            ("read_store", &self.read_store, READ_STORES),
        ] {
            // A URL may hold a password, so that it is not repeated.
            let fits = |known: &&str| match known.ends_with("//") {
                true => given.starts_with(*known),
                false => given == *known,
            };
            if !known.iter().any(fits) {
                let scheme = given.split_once("://").map_or(given.as_str(), |(it, _)| it);
                return Err(InvalidConfig {
                    reason: format!(
                        "{key}: {scheme:?} is not known; there are {}",
                        known.join(", ")
                    ),
                });
            }
        }
        if self.event_log != "tail" && self.event_store == "sqlite:" {
            return Err(InvalidConfig {
                reason: "event_log: Kafka carries the events of a PostgreSQL event store; with event_store = \"sqlite:\" the log is \"tail\"".to_owned(),
            });
        }
        Ok(())
    }
}

/// Variables with our prefix that the command line and the tests use, and that are no settings.
const NOT_SETTINGS: &[&str] = &[
    "url",
    "token",
    "json",
    "config",
    "sources",
    "log",
    "sdk",
    "test_runner",
    "test_component",
    "test_full",
    "test_cache",
    "allow_missing",
    "missing_list",
    "receipt_csv",
    "crash_at",
    "test_profile",
    "test_postgres",
    "test_kafka",
    "test_mongodb",
    "test_servers",
];
