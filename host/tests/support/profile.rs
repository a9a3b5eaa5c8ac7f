//! Which profile the tests' hosts run on, and where each of them keeps its things.
//!
//! `FOLDHOST_TEST_PROFILE=cluster` puts every host of a run on the real servers that `FOLDHOST_TEST_POSTGRES`,
//! `FOLDHOST_TEST_KAFKA` and `FOLDHOST_TEST_MONGODB` name. A host's schema, topic and database are named by its folder, so
//! that one that starts again in the same folder finds them again.

use std::path::Path;

use foldhost::Config;

/// What a host's stores are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Everything in the data folder.
    Embedded,
    /// Three servers, on which a host's things are named by its folder.
    Cluster(Servers),
    /// Three servers, on which several hosts have their things together, under one name.
    Shared(Servers, Names),
}

/// What a host's things are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// The schema and the database.
    stores: String,
    topic: String,
}

/// Where the servers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Servers {
    /// With user, password and database.
    pub(crate) postgres: String,
    /// `host:port`.
    pub(crate) kafka: String,
    /// Without a database.
    pub(crate) mongodb: String,
}

impl Servers {
    /// The servers that the environment names; the first that it does not is told.
    pub(crate) fn of_environment() -> Result<Self, String> {
        let named = |name: &str| {
            std::env::var(name)
                .map_err(|_| format!("{name} is not set; run cargo xtask services up"))
        };
        Ok(Self {
            postgres: named("FOLDHOST_TEST_POSTGRES")?,
            kafka: named("FOLDHOST_TEST_KAFKA")?,
            mongodb: named("FOLDHOST_TEST_MONGODB")?,
        })
    }
}

impl Profile {
    /// The profile of this run.
    pub(crate) fn of_run() -> Self {
        match std::env::var("FOLDHOST_TEST_PROFILE").as_deref() {
            Ok("cluster") => {
                Self::Cluster(Servers::of_environment().expect("the cluster profile needs servers"))
            }
            Ok(other) if other != "embedded" => panic!("there is no profile {other}"),
            Ok(_) | Err(_) => Self::Embedded,
        }
    }

    /// A profile whose hosts have their things together, unlike any others.
    pub(crate) fn shared(servers: Servers) -> Self {
        Self::Shared(servers, Names::of(&uuid::Uuid::now_v7().to_string()))
    }

    /// The same, but for the topic.
    pub(crate) fn with_topic(&self, suffix: &str) -> Self {
        match self.clone() {
            Self::Shared(servers, mut names) => {
                names.topic = format!("{}-{suffix}", names.topic);
                Self::Shared(servers, names)
            }
            other => other,
        }
    }

    /// The settings of a host whose data folder this is, as keys of its configuration.
    pub(crate) fn settings(&self, data: &Path) -> Vec<(&'static str, String)> {
        let (servers, names) = match self {
            Self::Embedded => return Vec::new(),
            Self::Cluster(servers) => (servers, Names::of(&data.display().to_string())),
            Self::Shared(servers, names) => (servers, names.clone()),
        };
        vec![
            ("event_store", servers.postgres.clone()),
            (
                "event_log",
                format!("kafka://{}/{}", servers.kafka, names.topic),
            ),
            (
                "read_store",
                format!("{}/{}", servers.mongodb, names.stores),
            ),
            ("postgres__schema", names.stores),
            // A broker of the tests holds hundreds of topics.
            ("kafka__partitions", "2".to_owned()),
        ]
    }

    /// Has a host in this process use the profile's stores.
    pub(crate) fn configure(&self, config: &mut Config) {
        for (key, value) in self.settings(&config.data.clone()) {
            match key {
                "event_store" => config.event_store = value,
                "event_log" => config.event_log = value,
                "read_store" => config.read_store = value,
                "postgres__schema" => config.postgres.schema = value,
                "kafka__partitions" => config.kafka.partitions = value.parse().expect("a number"),
                other => panic!("setting {other}"),
            }
        }
    }

    /// The configuration by which a test opens the stores of a host itself.
    pub(crate) fn config(&self, data: &Path) -> Config {
        let mut config = Config {
            data: data.to_owned(),
            ..Config::default()
        };
        self.configure(&mut config);
        config
    }
}

impl Names {
    /// The same for the same text, and valid on each server.
    fn of(text: &str) -> Self {
        let digest = foldhost::message::Digest::of(text.as_bytes()).to_string();
        let name = format!("t_{}", &digest[..24]);
        Self {
            stores: name.clone(),
            topic: name,
        }
    }
}
