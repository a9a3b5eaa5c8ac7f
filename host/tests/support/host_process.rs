//! A host in a process of its own, that can be killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Client;

/// A `foldhost serve` and a client of it.
pub(crate) struct HostProcess {
    child: Child,
    pub(crate) client: Client,
}

impl HostProcess {
    /// Starts a host on a data folder and a plugins folder, on a free port, and waits until it is ready.
    pub(crate) async fn start(data: &Path, plugins: &Path, more: &[&str]) -> Self {
        let port = free_port();
        Self::start_on(port, data, plugins, more).await
    }

    /// Starts on a given port, and waits until it is ready.
    pub(crate) async fn start_on(port: u16, data: &Path, plugins: &Path, more: &[&str]) -> Self {
        let mut host = Self::spawn_on(port, data, plugins, more);
        let log = data.with_extension("log");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = host.client.try_get("/readyz").await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                return host;
            }
            if let Ok(Some(status)) = host.child.try_wait() {
                panic!("the host ended with {status}: {}", tail(&log));
            }
            assert!(
                Instant::now() < deadline,
                "the host is not ready: {}",
                tail(&log)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts on a given port, and waits for nothing.
    pub(crate) fn spawn_on(port: u16, data: &Path, plugins: &Path, more: &[&str]) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(data.with_extension("log"));
        let child = Command::new(env!("CARGO_BIN_EXE_foldhost"))
            .args(["serve", "--listen", &listen, "--data"])
            .arg(data)
            .arg("--plugins")
            .arg(plugins)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("the log can be written"))
            .spawn()
            .expect("the host can be started");
        let client = Client::new(SocketAddr::from(([127, 0, 0, 1], port)));
        Self { child, client }
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
