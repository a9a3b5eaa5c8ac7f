//! A host in this process, served on a free port, with a folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhost::{Config, Host};

use super::{Client, Profile, component};

/// A folder that goes away with its owner.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("foldhost-test-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
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
pub(crate) struct TestHost {
    pub(crate) host: Host,
    pub(crate) client: Client,
    pub(crate) folder: Arc<Folder>,
    server: tokio::task::JoinHandle<()>,
}

impl TestHost {
    /// Starts with some of the sample plugins, in a fresh folder.
    pub(crate) async fn start(plugins: &[&str]) -> Self {
        Self::start_with(plugins, |_| {}).await
    }

    /// Starts with some of the sample plugins and a configuration that is changed first.
    pub(crate) async fn start_with(plugins: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let host = Self::start_in(Arc::new(Folder::new()), change).await;
        for plugin in plugins {
            host.take_up(plugin).await;
        }
        host
    }

    /// Starts in a folder that may hold the data of a former host.
    pub(crate) async fn start_in(folder: Arc<Folder>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            data: folder.path().join("data"),
            plugins: folder.path().join("plugins"),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            // Many hosts run side by side in one test process.
            max_instances: 60,
            ..Config::default()
        };
        Profile::of_run().configure(&mut config);
        change(&mut config);
        share_compiled_code(&config.data);
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
    pub(crate) async fn take_up(&self, name: &str) {
        self.take_up_bytes(name, component(name)).await;
    }

    /// Installs and activates a component.
    pub(crate) async fn take_up_bytes(&self, name: &str, bytes: Vec<u8>) {
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
    pub(crate) async fn stop(self) -> Arc<Folder> {
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

/// Compiled components are the same for every host of a run.
fn share_compiled_code(data: &Path) {
    let shared = super::root().join("target").join("test-code");
    std::fs::create_dir_all(&shared).expect("the folder of compiled code can be made");
    std::fs::create_dir_all(data).expect("the data folder can be made");
    // There already in the folder of a former host.
    let _ = std::os::unix::fs::symlink(shared, data.join("code"));
}
