//! A host in a process of its own, that can be killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Client, Profile};

/// A `foldhost serve` and a client of it.
pub(crate) struct HostProcess {
    child: Child,
    pub(crate) client: Client,
    log: PathBuf,
}

impl HostProcess {
    /// Starts a host on a data folder and a plugins folder, on a free port, and waits until it is ready.
    pub(crate) async fn start(data: &Path, plugins: &Path, more: &[&str]) -> Self {
        let port = free_port();
        Self::start_on(port, data, plugins, more).await
    }

    /// Starts on a given port, and waits until it is ready.
    pub(crate) async fn start_on(port: u16, data: &Path, plugins: &Path, more: &[&str]) -> Self {
        let host = Self::spawn(&Profile::of_run(), port, data, plugins, more, &[]);
        host.ready().await
    }

    /// Starts on a given port with more in its environment, and waits for nothing.
    pub(crate) fn spawn_with(
        profile: &Profile,
        port: u16,
        data: &Path,
        plugins: &Path,
        environment: &[(&str, &str)],
    ) -> Self {
        Self::spawn(profile, port, data, plugins, &[], environment)
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(mut self) -> Self {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.client.try_get("/readyz").await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                return self;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the host ended with {status}: {}", tail(&self.log));
            }
            assert!(
                Instant::now() < deadline,
                "the host is not ready: {}",
                tail(&self.log)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it ends without being told to.
    pub(crate) async fn ends_by_itself(mut self, why: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Ok(None) = self.child.try_wait() {
            assert!(
                Instant::now() < deadline,
                "{why}: it runs on: {}",
                tail(&self.log)
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "everything that a process is given"
    )]
    fn spawn(
        profile: &Profile,
        port: u16,
        data: &Path,
        plugins: &Path,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let log = data.with_extension("log");
        let lines = std::fs::File::options()
            .append(true)
            .create(true)
            .open(&log);
        let settings = profile.settings(data).into_iter();
        let settings =
            settings.map(|(key, value)| (format!("FOLDHOST_{}", key.to_uppercase()), value));
        let child = Command::new(env!("CARGO_BIN_EXE_foldhost"))
            .args(["serve", "--listen", &listen, "--data"])
            .arg(data)
            .arg("--plugins")
            .arg(plugins)
            .args(more)
            .envs(settings)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(lines.expect("the log can be written"))
            .spawn()
            .expect("the host can be started");
        let client = Client::local(port);
        Self { child, client, log }
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as hard as there is, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the host can be killed");
        self.child.wait().expect("the host ends");
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener
        .local_addr()
        .expect("the listener has an address")
        .port()
}

fn tail(log: &Path) -> String {
    let Ok(file) = std::fs::File::open(log) else {
        return String::new();
    };
    let lines: Vec<String> = BufReader::new(file).lines().map_while(Result::ok).collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}
