//! `serve`: the host, until it is told to end. What `dev` shares with it is here too.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use foldhost::config::Config;
use foldhost::{Host, http};
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Usage;
use super::output::{self, Output};

/// Options of `serve`.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    host: HostOptions,
}

/// What can be said of a host on the command line: less than the configuration file can say.
///
/// A flag overrides the environment, the environment overrides the file.
#[derive(Args, Serialize)]
pub(super) struct HostOptions {
    /// Configuration file [default: foldhost.toml, here or in a folder above, if there is one].
    #[arg(long, env = "FOLDHOST_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// Where HTTP is served; port 0 takes a free one [env: FOLDHOST_LISTEN] [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    /// The data folder, made if it is not there [env: FOLDHOST_DATA] [default: .foldhost].
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// The watched folder of components [env: FOLDHOST_PLUGINS] [default: plugins/build].
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    plugins: Option<PathBuf>,
    /// Where events are kept [env: FOLDHOST_EVENT_STORE] [default: sqlite:].
    #[arg(long, value_name = "STORE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    event_store: Option<String>,
    /// How events reach projections [env: FOLDHOST_EVENT_LOG] [default: tail].
    #[arg(long, value_name = "LOG")]
    #[serde(skip_serializing_if = "Option::is_none")]
    event_log: Option<String>,
    /// Where documents are kept [env: FOLDHOST_READ_STORE] [default: sqlite:].
    #[arg(long, value_name = "STORE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    read_store: Option<String>,
    /// What `dev` says and nobody else.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    activate_from_folder: Option<bool>,
}

impl HostOptions {
    /// Puts file, environment and flags together.
    pub(super) fn read(&self) -> Result<Config> {
        if let Some(file) = self.config.as_deref().filter(|file| !file.is_file()) {
            return Err(Usage(format!(
                "configuration: there is no file {}",
                file.display()
            ))
            .into());
        }
        Ok(Config::read(self.config.as_deref(), self)?)
    }

    /// Says that whatever appears in the plugins folder is to be activated.
    pub(super) fn activating(mut self) -> Self {
        self.activate_from_folder = Some(true);
        self
    }
}

/// Serves until a signal comes.
pub(super) async fn run(options: Options, output: Output) -> Result<()> {
    let config = options.host.read()?;
    let ended = ended()?;
    let listener = listen(config.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let host = Host::builder(config).start().await?;
    output.show(
        format!("Foldhost listens on {url}"),
        &json!({ "listening": url }),
    )?;
    let served = http::serve(host.clone(), listener, ended).await;
    host.shutdown().await;
    served.context("serving HTTP has ended")
}

/// Takes the port before anything else is done, so that a taken one is told at once.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        anyhow!("cannot listen on {address}: {error}; choose another place with --listen")
    })
}

/// Returns a future that ends with the first SIGTERM or SIGINT. The second one ends the process where it stands.
pub(super) fn ended() -> Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let (tell, told) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut tell = Some(tell);
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match tell.take() {
                Some(tell) => {
                    output::note("stopping; once more to stop at once");
                    let _ = tell.send(());
                }
                None => std::process::exit(1),
            }
        }
    });
    Ok(async move {
        // The other end lives as long as the runtime.
        let _ = told.await;
    })
}
