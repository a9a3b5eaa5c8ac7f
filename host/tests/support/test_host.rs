//! A host in this process, served on a free port, with a folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhost::{Config, Host};

use super::{Client, component};

/// A folder that goes away with its owner.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("foldhost-test-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running host and a client of it.
pub struct TestHost {
    pub host: Host,
    pub client: Client,
    pub folder: Arc<Folder>,
    server: tokio::task::JoinHandle<()>,
}

impl TestHost {
    /// Starts with some of the sample plugins, in a fresh folder.
    pub async fn start(plugins: &[&str]) -> Self {
        Self::start_with(plugins, |_| {}).await
    }

    /// Starts with some of the sample plugins and a configuration that is changed first.
    pub async fn start_with(plugins: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let host = Self::start_in(Arc::new(Folder::new()), change).await;
        for plugin in plugins {
            host.take_up(plugin).await;
        }
        host
    }

    /// Starts in a folder that may hold the data of a former host.
    pub async fn start_in(folder: Arc<Folder>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            data: folder.path().join("data"),
            plugins: folder.path().join("plugins"),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..Config::default()
        };
        change(&mut config);
        let host = Host::builder(config)
            .start()
            .await
            .expect("the host starts");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let router = host.router();
        let server = tokio::spawn(async move {
            // Ends when the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Self {
            host,
            client: Client::new(address),
            folder,
            server,
        }
    }

    /// Installs and activates a sample plugin.
    pub async fn take_up(&self, name: &str) {
        self.take_up_bytes(name, component(name)).await;
    }

    /// Installs and activates a component.
    pub async fn take_up_bytes(&self, name: &str, bytes: Vec<u8>) {
        let plugin = self
            .host
            .install(name, bytes)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        self.host
            .activate(plugin.digest)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Stops and gives the folder, for another start.
    pub async fn stop(self) -> Arc<Folder> {
        self.server.abort();
        self.host.shutdown().await;
        Arc::clone(&self.folder)
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        self.server.abort();
    }
}
