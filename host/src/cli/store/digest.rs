//! `store digest`.

use std::fmt;

use anyhow::Result;
use foldhost::transfer::{self, DocumentsDigest, StoreDigest};
use serde_json::{Value, json};

use super::{Digest, Shown, open};
use crate::cli::output::Output;

/// What is printed, one thing a line.
struct Printed {
    store: StoreDigest,
    documents: Vec<DocumentsDigest>,
}

/// Prints digests of what the stores hold.
pub(super) async fn run(options: Digest, output: Output) -> Result<()> {
    let config = options.host.read()?;
    let opened = open::to_read(&config).await?;
    let printed = {
        let shown = Shown::start();
        let update = &mut |progress| shown.update(progress);
        let store = transfer::digest(&*opened.store, update).await?;
        let documents = if options.no_documents {
            Vec::new()
        } else {
            transfer::documents(&*open::read_store(&config).await?, update).await?
        };
        Printed { store, documents }
    };
    output.show(&printed, &printed.as_json())?;
    Ok(())
}

impl Printed {
    fn as_json(&self) -> Value {
        let it = &self.store;
        let documents: Vec<Value> = self.documents.iter().map(|of| json!({
            "projection": of.projection, "store": of.store.to_string(), "position": of.position.0,
            "documents": of.count, "digest": of.digest.to_string(),
        })).collect();
        json!({
            "store": it.store.to_string(),
            "head": it.head.0,
            "events": { "count": it.head.0, "digest": it.events.to_string() },
            "commands": { "count": it.commands_count, "digest": it.commands.to_string() },
            "active_plugins": { "count": it.plugins_count, "digest": it.plugins.to_string() },
            "projections": documents,
        })
    }
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = &self.store;
        writeln!(f, "store           {}", it.store)?;
        writeln!(f, "head            {}", it.head)?;
        writeln!(f, "events          {}  {}", it.events, it.head)?;
        writeln!(f, "commands        {}  {}", it.commands, it.commands_count)?;
        write!(f, "active plugins  {}  {}", it.plugins, it.plugins_count)?;
        for of in &self.documents {
            let (digest, count, position, name) =
                (of.digest, of.count, of.position, &of.projection);
            write!(
                f,
                "\ndocuments       {digest}  {count}  of {name} at position {position}"
            )?;
            if of.store != it.store {
                write!(f, " of another store, {}", of.store)?;
            }
        }
        Ok(())
    }
}
