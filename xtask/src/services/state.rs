//! What runs, from one call to the next: `state.json`, and a lock that lets one call at a time at it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use foldhost_test_servers::{Kind, Running, random_hex, reachable_by_servers};
use serde::{Deserialize, Serialize};

use super::{docker, folder, given};
use crate::note;

/// A server that was started here.
#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    /// As the host's setting takes it.
    pub(crate) url: String,
    /// Whether it goes when the tests are over.
    pub(crate) for_tests: bool,
    pub(crate) origin: Origin,
}

/// How a server came to be.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// A container of the compose file.
    Docker,
    /// A process.
    Process(Box<Running>),
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    /// What runs.
    servers: BTreeMap<Kind, Entry>,
    /// The URLs that servers had when they were stopped: they get them again, so that what a shell has stays true.
    before: BTreeMap<Kind, String>,
}

/// The state, while nobody else may change it.
pub(crate) struct Locked {
    state: State,
    _lock: File,
}

impl Locked {
    /// Waits for other calls to end, and reads what they left.
    pub(crate) fn open() -> anyhow::Result<Self> {
        fs::create_dir_all(folder())?;
        let lock = File::create(folder().join("lock"))?;
        lock.lock().context("the servers' state cannot be locked")?;
        let state = match fs::read(file()) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is not understood", file().display()))?,
            Err(_) => State::default(),
        };
        Ok(Self { state, _lock: lock })
    }

    /// What was started here of that kind.
    pub(crate) fn started(&self, kind: Kind) -> Option<&Entry> {
        self.state.servers.get(&kind)
    }

    /// The URL of a server that is there and answers; an error when the environment names one that does not.
    pub(crate) fn already(&mut self, kind: Kind) -> anyhow::Result<Option<String>> {
        let ours = self.state.servers.get(&kind);
        let ours = ours.map(|entry| (entry.url.clone(), entry.answers(kind)));
        let named = given::url(kind);
        // What a shell has from an earlier `up` is no server of its own.
        let was_ours = |url: &String| {
            self.state.before.get(&kind) == Some(url)
                || ours.as_ref().is_some_and(|(ours, _)| ours == url)
        };
        if let Some(url) = named.filter(|url| !was_ours(url)) {
            if given::answers(kind, &url) {
                return Ok(Some(url));
            }
            let setting = given::setting(kind);
            bail!("what {setting} names does not answer; unset it to have one started");
        }
        match ours {
            Some((url, true)) => return Ok(Some(url)),
            // It died, or hangs: its place is needed.
            Some((_, false)) => self.stop(kind)?,
            None => {}
        }
        Ok(None)
    }

    /// The URL that a server of this kind had when it was stopped.
    pub(crate) fn before(&self, kind: Kind) -> Option<&str> {
        self.state.before.get(&kind).map(String::as_str)
    }

    /// Notes a server that was started.
    pub(crate) fn add(&mut self, kind: Kind, entry: Entry) -> anyhow::Result<()> {
        self.state.before.insert(kind, entry.url.clone());
        self.state.servers.insert(kind, entry);
        self.save()
    }

    fn save(&self) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(&self.state)?;
        let beginning = file().with_extension("new");
        // It holds a password.
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        std::io::Write::write_all(&mut options.open(&beginning)?, &text)?;
        fs::rename(beginning, file())?;
        Ok(())
    }

    /// Stops one server, and forgets it.
    pub(crate) fn stop(&mut self, kind: Kind) -> anyhow::Result<()> {
        let Some(entry) = self.state.servers.get_mut(&kind) else {
            return Ok(());
        };
        match &mut entry.origin {
            Origin::Process(running) => running.stop()?,
            Origin::Docker => docker::stop(kind)?,
        }
        self.state.servers.remove(&kind);
        self.save()
    }

    /// Stops everything that was started.
    pub(crate) fn down(&mut self, delete: bool) -> anyhow::Result<()> {
        let is_in_docker = |entry: &Entry| matches!(entry.origin, Origin::Docker);
        let has_containers = self.state.servers.values().any(is_in_docker);
        for kind in Kind::ALL {
            if self.started(kind).is_some() {
                self.stop(kind)?;
                note(&format!("{} is stopped", kind.name()));
            }
        }
        if has_containers {
            docker::down(delete)?;
        }
        if delete {
            delete_data()?;
            self.state.before.clear();
        }
        self.save()
    }

    /// Stops what was started for tests only.
    pub(crate) fn stop_after_tests(&mut self) -> anyhow::Result<()> {
        for kind in Kind::ALL {
            if self.started(kind).is_some_and(|entry| entry.for_tests) {
                self.stop(kind)?;
            }
        }
        Ok(())
    }
}

impl Entry {
    /// Whether it is there, and is the one that was started, and answers.
    pub(crate) fn answers(&self, kind: Kind) -> bool {
        match &self.origin {
            Origin::Process(running) => running.is_alive() && running.answers(),
            Origin::Docker => given::answers(kind, &self.url),
        }
    }

    /// One line, without the password.
    pub(crate) fn describe(&self, kind: Kind) -> String {
        let answering = answering(self.answers(kind));
        match &self.origin {
            Origin::Process(running) => format!(
                "{}, process {}, port {}, {answering}",
                running.server.version, running.pid, running.place.port
            ),
            Origin::Docker => {
                let port = given::port(kind, &self.url).unwrap_or_default();
                format!("in Docker, port {port}, {answering}")
            }
        }
    }
}

pub(crate) fn answering(answers: bool) -> &'static str {
    if answers {
        "answers"
    } else {
        "does not answer"
    }
}

fn file() -> PathBuf {
    folder().join("state.json")
}

fn data() -> PathBuf {
    folder().join("data")
}

/// The folder of all data. Root's servers run as somebody else, who may not be let through to our folder: then the data
/// is among the machine's lasting temporary files, and ours is a link to it.
pub(crate) fn data_folder() -> anyhow::Result<PathBuf> {
    let data = data();
    if !data.exists() {
        if reachable_by_servers(&folder()) {
            fs::create_dir_all(&data)?;
        } else {
            let elsewhere = format!("/var/tmp/foldhost-services-{}", random_hex(8)?);
            fs::DirBuilder::new().mode(0o711).create(&elsewhere)?;
            // A link whose folder is gone.
            let _ = fs::remove_file(&data);
            symlink(&elsewhere, &data)?;
        }
    }
    Ok(data.canonicalize()?)
}

fn delete_data() -> anyhow::Result<()> {
    let data = data();
    let Ok(real) = data.canonicalize() else {
        return Ok(());
    };
    delete(&real)?;
    if data.is_symlink() {
        fs::remove_file(data)?;
    }
    Ok(())
}

fn delete(folder: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("{} cannot be deleted", folder.display()))
}
