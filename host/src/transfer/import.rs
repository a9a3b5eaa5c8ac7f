//! Taking a history over.

mod check;

use std::path::Path;

use super::compare::{self, Kind};
use super::lines::Lines;
use super::record::Line;
use super::{Error, Progress, Step, Watch, pages};
use crate::event_store::{self, EventStore, Import};
use crate::message::{Position, StoreId};
use check::{Export, check};

/// The most lines of one transaction.
const BATCH: usize = 256;
/// The most bytes of one transaction, but for its last line.
const BATCH_BYTES: usize = 4 << 20;

/// What was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Which store this one is now.
    pub store: StoreId,
    /// Its last event.
    pub head: Position,
    /// How many events were there already, from an import that was not finished.
    pub resumed_at: Position,
    /// How many accepted commands.
    pub commands: u64,
    /// How many plugin versions.
    pub plugins: u64,
}

/// Makes an empty store the one that an export came from. An import that was interrupted goes on where it was.
pub async fn import(
    store: &dyn EventStore,
    file: &Path,
    watch: Watch<'_>,
) -> Result<Imported, Error> {
    let export = check(file, watch).await?;
    let id = StoreId(export.header.store);
    let resumed_at = store.begin_import(id, export.digest).await?;
    let mut writing = Writing::new(store, resumed_at);
    writing.write(file, watch).await?;
    verify(store, &export, watch).await?;
    store.finish_import(&export.active).await?;
    Ok(Imported {
        store: id,
        head: Position(export.header.head),
        resumed_at,
        commands: export.end.commands.count,
        plugins: export.end.plugins.count,
    })
}

/// A file on its way into the store.
struct Writing<'a> {
    store: &'a dyn EventStore,
    /// Events up to here are in the store.
    after: Position,
    batch: Import,
    bytes: usize,
    /// The batch's first line.
    from: u64,
}

impl<'a> Writing<'a> {
    fn new(store: &'a dyn EventStore, after: Position) -> Self {
        Self {
            store,
            after,
            batch: Import::default(),
            bytes: 0,
            from: 0,
        }
    }

    async fn write(&mut self, file: &Path, watch: Watch<'_>) -> Result<(), Error> {
        let mut lines = Lines::open(file).await?;
        lines.header().await?;
        while let Some(line) = lines.next().await? {
            self.take(line, &lines).await?;
            let count = self.batch.events.len() + self.batch.commands.len();
            if count >= BATCH || self.bytes >= BATCH_BYTES {
                self.send(lines.number).await?;
                watch(Progress {
                    step: Step::Writing,
                    done: lines.read,
                    of: Some(lines.size),
                });
            }
        }
        self.send(lines.number).await
    }

    async fn take(&mut self, line: Line, lines: &Lines) -> Result<(), Error> {
        let wrong = |reason| lines.wrong(reason);
        match line {
            Line::Plugin(plugin) => {
                let (plugin, bytes) = plugin.read().map_err(wrong)?;
                return Ok(self.store.install_plugin(plugin, bytes.into()).await?);
            }
            Line::Event(event) => {
                let event = event.read().map_err(wrong)?;
                if event.position <= self.after {
                    return Ok(());
                }
                self.batch.events.push(event);
            }
            Line::Command(command) => self.batch.commands.push(command.read().map_err(wrong)?),
            Line::Header(_) | Line::End(_) => return Ok(()),
        }
        if self.bytes == 0 {
            self.from = lines.number;
        }
        self.bytes += lines.text().len();
        Ok(())
    }

    async fn send(&mut self, to: u64) -> Result<(), Error> {
        if self.bytes == 0 {
            return Ok(());
        }
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        self.store
            .import(batch)
            .await
            .map_err(|source| match source {
                event_store::Error::Refused { .. } => Error::Refused {
                    from: self.from,
                    to,
                    source,
                },
                other => other.into(),
            })
    }
}

/// Makes the digests again of what the store holds, whatever was done to it and to the file in between.
async fn verify(store: &dyn EventStore, export: &Export, watch: Watch<'_>) -> Result<(), Error> {
    let differs = |what| Err(Error::Differs { what });
    let head = pages::head(store).await?;
    let events = compare::events(store, head, watch).await?;
    if events.digest().to_string() != export.end.events.digest {
        return differs(Kind::Events);
    }
    let commands = compare::commands(store, head, watch).await?;
    if commands.digest().to_string() != export.end.commands.digest {
        return differs(Kind::Commands);
    }
    let installed = store.installed_plugins().await?;
    if !export.plugins.iter().all(|it| installed.contains(it)) {
        return differs(Kind::Plugins);
    }
    Ok(())
}
