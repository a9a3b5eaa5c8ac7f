//! What can be started, and where.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::machine;
use crate::running::Running;
use crate::{ferretdb, kafka, postgres};

/// The three kinds of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// Apache Kafka, one node that is broker and controller.
    Kafka,
    /// What speaks MongoDB's protocol: FerretDB.
    Mongodb,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::Kafka, Self::Mongodb];

    /// Returns its name, as a word of file names and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
            Self::Mongodb => "mongodb",
        }
    }

    /// Returns the server when its programs are there already; installs nothing.
    pub fn find(self, cache: &Path) -> anyhow::Result<Option<Server>> {
        match self {
            Self::Postgres => postgres::find(cache),
            Self::Kafka => kafka::find(cache),
            Self::Mongodb => ferretdb::find(cache),
        }
    }

    /// Returns the server, after its programs were put into the cache or installed where they were not there.
    /// `progress` is told, in a few words, of what takes time.
    ///
    /// # Errors
    ///
    /// Neither an installed server nor a registry that has one: the text says what was tried.
    pub fn prepare_with(self, cache: &Path, progress: &dyn Fn(&str)) -> anyhow::Result<Server> {
        if let Some(found) = self.find(cache)? {
            return Ok(found);
        }
        fs::create_dir_all(cache).with_context(|| format!("{} cannot be made", cache.display()))?;
        match self {
            Self::Postgres => postgres::install(cache, progress)?,
            Self::Kafka => kafka::install(cache, progress)?,
            Self::Mongodb => ferretdb::install(cache, progress)?,
        }
        self.find(cache)?
            .with_context(|| format!("{} was installed, but is not found", self.name()))
    }

    /// [`Kind::prepare_with`], in silence.
    pub fn prepare(self, cache: &Path) -> anyhow::Result<Server> {
        self.prepare_with(cache, &|_| {})
    }
}

/// A server whose programs are there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Server {
    /// Which one.
    pub kind: Kind,
    /// The version, for people.
    pub version: String,
    /// Where its programs are.
    pub(crate) programs: PathBuf,
}

/// Where a server runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The folder of its data, made at the first start; its own, so that deleting it deletes nothing else.
    pub data: PathBuf,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The file its output is added to.
    pub log: PathBuf,
}

impl Place {
    /// A data folder and a port; the log is beside the folder.
    pub fn new(data: impl Into<PathBuf>, port: u16) -> Self {
        let data = data.into();
        let log = data.with_extension("log");
        Self { data, port, log }
    }

    /// A new folder with `name` in its name among the temporary files, and a free port.
    pub fn anywhere(name: &str) -> anyhow::Result<Self> {
        let folder = format!("foldhost-{name}-{}", machine::random_hex(8)?);
        Ok(Self::new(
            std::env::temp_dir().join(folder),
            machine::free_port()?,
        ))
    }
}

/// How a server is called, once its data folder is ready for it.
pub(crate) struct Launch {
    pub(crate) command: Command,
    pub(crate) url: String,
}

impl Server {
    /// Starts the server, and returns when it answers. A folder that has data is taken as it is, so that a server comes
    /// back with everything it had.
    ///
    /// The server goes on when the caller ends, and holds none of the caller's standard files.
    ///
    /// # Errors
    ///
    /// It ended, or did not answer within two minutes; then it is gone again, and the last lines of its log are in the
    /// text.
    pub fn start(&self, place: &Place) -> anyhow::Result<Running> {
        let mut running = self.begin(place)?;
        running.wait_until_it_answers()?;
        Ok(running)
    }

    /// Starts the server, and does not wait: for callers that note what they have started first.
    pub fn begin(&self, place: &Place) -> anyhow::Result<Running> {
        fs::create_dir_all(&place.data)
            .with_context(|| format!("{} cannot be made", place.data.display()))?;
        // Servers are found again by the path in their command line, which must not depend on who asks from where.
        let place = Place {
            data: place.data.canonicalize()?,
            ..place.clone()
        };
        let launch = match self.kind {
            Kind::Postgres => postgres::launch(self, &place)?,
            Kind::Kafka => kafka::launch(self, &place)?,
            Kind::Mongodb => ferretdb::launch(self, &place)?,
        };
        Running::spawn(self, place, launch)
    }
}
