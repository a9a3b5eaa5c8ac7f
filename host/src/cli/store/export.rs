//! `store export`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use foldhost::event_store::EventStore;
use foldhost::transfer::{self, Exported};
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt as _, BufWriter};

use super::{Export, Shown, open};
use crate::cli::output::{self, Output};

/// Bytes that are written at a time.
const BUFFER: usize = 256 << 10;

/// Writes to a file or to standard output. What it did is told where the export is not.
pub(super) async fn run(options: Export, output: Output) -> Result<()> {
    let config = options.host.read()?;
    if options.file == Path::new("-") {
        let opened = open::to_read(&config).await?;
        let mut out = BufWriter::with_capacity(BUFFER, tokio::io::stdout());
        let exported = write(&*opened.store, &mut out).await?;
        output::note(tell(&exported));
        return Ok(());
    }
    if options.file.exists() {
        bail!(
            "{} is there already; choose another name, or delete it",
            options.file.display()
        );
    }
    let opened = open::to_read(&config).await?;
    let exported = write_file(&*opened.store, &options.file).await?;
    output.show(tell(&exported), &as_json(&exported))?;
    Ok(())
}

/// The file has its name only when it is whole and on the disk.
async fn write_file(store: &dyn EventStore, file: &Path) -> Result<Exported> {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let context = || format!("cannot write {}", part.display());
    let opened = File::create(&part).await.with_context(context)?;
    let mut out = BufWriter::with_capacity(BUFFER, opened);
    let written = async {
        let exported = write(store, &mut out).await?;
        out.get_mut().sync_all().await.with_context(context)?;
        tokio::fs::rename(&part, file).await.with_context(context)?;
        Ok(exported)
    };
    let written = written.await;
    if written.is_err() {
        // What is half written is of no use; that it stays is no second error.
        let _ = tokio::fs::remove_file(&part).await;
    }
    written
}

async fn write(
    store: &dyn EventStore,
    out: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<Exported> {
    let shown = Shown::start();
    let exported = transfer::export(store, out, &mut |progress| shown.update(progress)).await?;
    out.flush().await.context("cannot write the export")?;
    Ok(exported)
}

fn tell(exported: &Exported) -> String {
    let Exported {
        store,
        head,
        commands,
        plugins,
        ..
    } = exported;
    format!(
        "exported {head} events, {commands} commands, {plugins} plugin versions of store {store}"
    )
}

fn as_json(exported: &Exported) -> Value {
    json!({
        "store": exported.store.to_string(), "head": exported.head.0, "commands": exported.commands,
        "plugins": exported.plugins,
        "digests": {
            "events": exported.events_digest.to_string(), "commands": exported.commands_digest.to_string(),
        },
    })
}
