//! `store import`.

use anyhow::{Result, anyhow};
use foldhost::event_store;
use foldhost::transfer::{self, Imported};
use serde_json::json;

use super::{Import, Shown, open};
use crate::cli::output::Output;

/// Takes a file over into an empty store.
pub(super) async fn run(options: Import, output: Output) -> Result<()> {
    let config = options.host.read()?;
    let opened = open::to_fill(&config).await?;
    let imported = {
        let shown = Shown::start();
        let update = &mut |progress| shown.update(progress);
        transfer::import(&*opened.store, &options.file, update).await
    };
    let imported = imported.map_err(|error| explain(error, &options))?;
    let value = json!({
        "store": imported.store.to_string(), "head": imported.head.0, "commands": imported.commands,
        "plugins": imported.plugins, "resumed_at": imported.resumed_at.0,
    });
    output.show(tell(&imported), &value)?;
    Ok(())
}

/// What the store says is about stores; what to do is about this command.
fn explain(error: transfer::Error, options: &Import) -> anyhow::Error {
    let file = options.file.display();
    match error {
        transfer::Error::EventStore(event_store::Error::NotEmpty) => anyhow!(
            "{file} is imported into an empty store only, and this one holds a history; choose another with --data or \
             --event-store"
        ),
        transfer::Error::EventStore(event_store::Error::Unfinished) => anyhow!(
            "an import of another file into this store was not finished; repeat that one, or begin anew with an empty store"
        ),
        error => anyhow::Error::from(error).context(format!("{file} cannot be imported")),
    }
}

fn tell(imported: &Imported) -> String {
    let Imported {
        store,
        head,
        commands,
        plugins,
        resumed_at,
    } = imported;
    let resumed = match resumed_at.0 {
        0 => String::new(),
        _ => format!(" (of which {resumed_at} events were there already)"),
    };
    format!(
        "imported {head} events, {commands} commands, {plugins} plugin versions of store {store}{resumed}; \
         their digests are those of the export"
    )
}
