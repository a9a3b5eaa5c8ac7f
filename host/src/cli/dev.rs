//! `dev`: the embedded host on the plugins of a folder, built and swapped again whenever their sources change.

mod hints;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use foldhost::config::Config;
use foldhost::{Host, http};
use futures_util::FutureExt as _;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::output::{self, Output};
use super::plugin::build::{self, Built, Report};
use super::plugin::crates;
use super::serve::{self, HostOptions};

/// How long the first plugins may take to be compiled and taken up before it is said what to try without them.
const TAKEN_UP: Duration = Duration::from_secs(30);
/// How often it is looked whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Options of `dev`.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    host: HostOptions,
    /// The folder of plugin crates; may be given several times.
    #[arg(
        long,
        env = "FOLDHOST_SOURCES",
        value_name = "DIR",
        default_value = "plugins"
    )]
    sources: Vec<PathBuf>,
}

/// Builds, serves and watches until a signal comes.
pub(super) async fn run(options: Options, output: Output) -> Result<()> {
    let config = options.host.activating().read()?;
    let ended = serve::ended()?.boxed().shared();
    let listener = serve::listen(config.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let workshop = Workshop {
        sources: options.sources,
        config: config.clone(),
        output,
    };
    // Watched from the start, so that what changes during the first build is built, too.
    let (_watcher, changes) = watch::start(&workshop.sources, &config.plugins);
    let built = tokio::select! {
        built = workshop.build() => built?,
        () = ended.clone() => return Ok(()),
    };
    let host = Host::builder(config).start().await?;
    output.show(
        format!("Foldhost listens on {url}"),
        &json!({ "listening": url }),
    )?;
    let beside = async {
        tokio::join!(
            suggest(&host, &url, &built.built, output),
            workshop.work(changes)
        );
    };
    let served = tokio::select! {
        served = http::serve(host.clone(), listener, ended) => served,
        () = beside => Ok(()),
    };
    host.shutdown().await;
    served.context("serving HTTP has ended")
}

/// Turns sources into components.
struct Workshop {
    sources: Vec<PathBuf>,
    config: Config,
    output: Output,
}

impl Workshop {
    /// Builds whatever has changed; cargo knows what that is. What does not build keeps its former component.
    async fn build(&self) -> Result<Report> {
        let (sources, out) = (self.sources.clone(), self.config.plugins.clone());
        let build = move || {
            let chosen = crates::choose(&sources, &[])?;
            build::build(&chosen, &out)
        };
        let report = tokio::task::spawn_blocking(build)
            .await
            .context("the build was lost")??;
        let seconds = report.took.as_secs_f64();
        for built in report.built.iter().filter(|built| built.changed) {
            let kilobytes = built.bytes / 1000;
            self.output.show(
                format!("built {} ({kilobytes} kB) in {seconds:.1} s", built.name),
                built,
            )?;
        }
        if !report.failed.is_empty() {
            output::note(format!(
                "cannot build {}; what was built before serves on",
                report.failed.join(", ")
            ));
        }
        Ok(report)
    }

    /// Builds again after each change, for ever.
    async fn work(&self, mut changes: mpsc::Receiver<()>) {
        while changes.recv().await.is_some() {
            if let Err(error) = self.build().await {
                output::note(format!("cannot build: {error:#}"));
            }
        }
        // Nothing is watched any more, and the host goes on.
        std::future::pending::<()>().await;
    }
}

/// Says what to try as soon as it can be tried.
async fn suggest(host: &Host, url: &str, built: &[Built], output: Output) {
    let until = Instant::now() + TAKEN_UP;
    while !built.iter().all(|built| is_taken_up(host, built)) && Instant::now() < until {
        sleep(LOOK_EVERY).await;
    }
    if !output.json {
        // Whoever does not read our output does not need it either.
        let _ = output::line(hints::write(&hints::program(), url, &host.catalog()));
    }
}

/// Tells whether a component serves, or was refused.
fn is_taken_up(host: &Host, built: &Built) -> bool {
    let catalog = host.catalog();
    let file = built.file.file_name().unwrap_or_default().to_string_lossy();
    catalog
        .plugins()
        .any(|plugin| plugin.digest.to_string() == built.digest)
        || catalog.refusals().any(|refusal| refusal.source == file)
}
