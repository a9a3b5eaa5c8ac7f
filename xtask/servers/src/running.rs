//! A started server.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::bail;
use serde::{Deserialize, Serialize};

use crate::server::{Kind, Launch, Place, Server};
use crate::{probe, process};

/// How long a server may take to answer. Kafka takes eight seconds on an idle machine, and machines are not idle.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long a server may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A started server. It goes on when this value is dropped; see [`Running::until_dropped`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Running {
    /// What runs.
    pub server: Server,
    /// Where it runs.
    pub place: Place,
    /// The number of its process.
    pub pid: u32,
    /// When that process began, in the machine's ticks: numbers are used again.
    began: u64,
    url: String,
    /// Present in the process that started it, which is the one that must reap it.
    #[serde(skip)]
    child: Option<Child>,
}

impl Running {
    pub(crate) fn spawn(server: &Server, place: Place, mut launch: Launch) -> anyhow::Result<Self> {
        let child = process::spawn(&mut launch.command, &place.log)?;
        let pid = child.id();
        Ok(Self {
            server: server.clone(),
            place,
            pid,
            began: process::since(pid).unwrap_or_default(),
            url: launch.url,
            child: Some(child),
        })
    }

    /// Waits until the server answers; kills it when it does not.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while !self.answers() {
            let is_late = Instant::now() > deadline;
            if is_late || !self.is_alive() {
                self.kill()?;
                let name = self.server.kind.name();
                let what = if is_late {
                    format!("{name} does not answer after {} s", START_LIMIT.as_secs())
                } else {
                    format!("{name} ended at its start")
                };
                let log = last_lines(&self.place.log, 15);
                bail!(
                    "{what}; the end of its log, {}:\n{log}",
                    self.place.log.display()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// The server's URL as the host's settings take it: `postgres://…`, `kafka://…/foldhost`, `mongodb://…/foldhost`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.place.port)
    }

    /// Whether its process is there, and is still the one that was started.
    pub fn is_alive(&self) -> bool {
        process::is(self.pid, self.began, &self.place.data.to_string_lossy())
    }

    /// Whether it answers in its own protocol.
    pub fn answers(&self) -> bool {
        probe::answers(self.server.kind, &self.address())
    }

    /// Stops the server in good order, and kills it when it does not within half a minute. Does nothing when it is gone.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        if !self.is_alive() {
            return self.reap();
        }
        // PostgreSQL waits for its clients to leave when it gets SIGTERM.
        let signal = match self.server.kind {
            Kind::Postgres => "INT",
            Kind::Kafka | Kind::Mongodb => "TERM",
        };
        process::signal(self.pid, signal)?;
        if process::wait_until(STOP_LIMIT, || !self.is_alive()) {
            return self.reap();
        }
        self.kill()
    }

    /// Kills the server as hard as there is, with the processes it started, and returns when they are gone.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if self.is_alive() {
            let mut all = vec![(self.pid, self.began)];
            for child in process::children(self.pid) {
                all.extend(process::since(child).map(|began| (child, began)));
            }
            for (pid, began) in &all {
                if process::since(*pid) == Some(*began) {
                    process::signal(*pid, "KILL")?;
                }
            }
            let is_gone = |(pid, began): &(u32, u64)| process::since(*pid) != Some(*began);
            if !process::wait_until(STOP_LIMIT, || all.iter().all(is_gone)) {
                bail!(
                    "{} cannot be killed: process {}",
                    self.server.kind.name(),
                    self.pid
                );
            }
        }
        self.reap()
    }

    /// Starts a server that was stopped or killed again, on its data and port.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        *self = self.server.start(&self.place)?;
        Ok(())
    }

    /// The same server, as a process sees it that did not start it: to be kept in a file.
    #[must_use]
    pub fn as_seen_by_others(&self) -> Self {
        Self {
            server: self.server.clone(),
            place: self.place.clone(),
            url: self.url.clone(),
            child: None,
            ..*self
        }
    }

    /// Makes this value the owner: when it is dropped, the server is killed and its data deleted.
    pub fn until_dropped(self) -> UntilDropped {
        UntilDropped(self)
    }

    /// A process that nobody waited for keeps its number, and PostgreSQL takes that for a server that still runs.
    fn reap(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            // It is gone; should that be wrong, waiting must not last forever.
            let _ = child.kill();
            child.wait()?;
        }
        Ok(())
    }
}

/// A server for the life of one test: killed and deleted when this is dropped.
#[derive(Debug)]
pub struct UntilDropped(Running);

impl Deref for UntilDropped {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.0
    }
}

impl DerefMut for UntilDropped {
    fn deref_mut(&mut self) -> &mut Running {
        &mut self.0
    }
}

impl Drop for UntilDropped {
    fn drop(&mut self) {
        // A test that fails must not fail again while it is torn down; the log stays when its folder cannot be deleted.
        if self.0.kill().is_ok() && fs::remove_dir_all(&self.0.place.data).is_ok() {
            let _ = fs::remove_file(&self.0.place.log);
        }
    }
}

fn last_lines(log: &Path, count: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
