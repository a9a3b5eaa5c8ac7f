//! Taking a history over.

use std::path::Path;

use super::compare::{self, Kind};
use super::lines::Lines;
use super::record::{End, Header, Line, Part};
use super::sum::Sum;
use super::{Error, Progress, Step, Watch, pages};
use crate::event_store::{self, CommandRecord, EventStore, Import, StoredPlugin};
use crate::message::{CommandId, Digest, Position, StoreId};

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

/// A file that is whole and right.
struct Export {
    header: Header,
    /// Tells this export from others.
    digest: Digest,
    end: End,
    plugins: Vec<StoredPlugin>,
    active: Vec<Digest>,
}

/// What is known of a file while it is checked.
#[derive(Default)]
struct Checking {
    plugins: Sum,
    events: Sum,
    commands: Sum,
    described: Vec<StoredPlugin>,
    active: Vec<Digest>,
    last_command: Option<(String, CommandId)>,
}

/// Reads the whole file and writes nothing.
async fn check(file: &Path, watch: Watch<'_>) -> Result<Export, Error> {
    let mut lines = Lines::open(file).await?;
    let (header, digest) = lines.header().await?;
    let mut checking = Checking::default();
    let end = loop {
        let Some(line) = lines.next().await? else {
            return Err(Error::CutOff {
                line: lines.number - 1,
            });
        };
        if lines.number.is_multiple_of(BATCH as u64) {
            watch(Progress {
                step: Step::Checking,
                done: lines.read,
                of: Some(lines.size),
            });
        }
        match line {
            Line::End(end) => break end,
            line => checking
                .take(line, lines.text(), &header)
                .map_err(|reason| lines.wrong(reason))?,
        }
    };
    if lines.next().await?.is_some() {
        return Err(lines.wrong("nothing may follow the line that ends an export"));
    }
    checking.compare(&header, &end)?;
    Ok(Export {
        header,
        digest,
        end,
        plugins: checking.described,
        active: checking.active,
    })
}

impl Checking {
    /// Plugins, then events, then commands, each in their order.
    fn take(&mut self, line: Line, text: &[u8], header: &Header) -> Result<(), String> {
        let (events, commands) = (self.events.lines(), self.commands.lines());
        match line {
            Line::Plugin(_) if events > 0 || commands > 0 => {
                Err("a plugin behind events or commands".into())
            }
            Line::Plugin(plugin) => {
                let is_active = plugin.active;
                let (plugin, _) = plugin.read()?;
                self.active.extend(is_active.then_some(plugin.digest));
                self.described.push(plugin);
                self.plugins.add(text);
                Ok(())
            }
            Line::Event(_) if commands > 0 => Err("an event behind commands".into()),
            Line::Event(event) => {
                let (position, wanted) = (event.read()?.position.0, events + 1);
                self.events.add(text);
                if position == wanted {
                    Ok(())
                } else {
                    Err(format!("position {position} where {wanted} has to be"))
                }
            }
            Line::Command(command) => {
                self.commands.add(text);
                self.take_command(&command.read()?, header)
            }
            Line::Header(_) | Line::End(_) => Err("a header within the file".into()),
        }
    }

    fn take_command(&mut self, command: &CommandRecord, header: &Header) -> Result<(), String> {
        let (id, position) = (&command.recorded.id, command.recorded.position.0);
        if position > header.head {
            return Err(format!("position {position} is beyond the head"));
        }
        let this = Some((command.actor.to_string(), id.clone()));
        if self.last_command >= this {
            return Err(format!("command {id} does not stand in its order"));
        }
        self.last_command = this;
        Ok(())
    }

    fn compare(&self, header: &Header, end: &End) -> Result<(), Error> {
        for (what, sum, part) in [
            (Kind::Plugins, &self.plugins, &end.plugins),
            (Kind::Events, &self.events, &end.events),
            (Kind::Commands, &self.commands, &end.commands),
        ] {
            is_as_exported(what, sum, part)?;
        }
        let differs = |what, reason: &str| {
            Err(Error::Changed {
                what,
                reason: reason.to_owned(),
            })
        };
        if header.store != end.store {
            return differs(Kind::Events, "first and last line name different stores");
        }
        if header.head != end.events.count || header.plugins != end.plugins.count {
            return differs(Kind::Events, "first and last line count differently");
        }
        Ok(())
    }
}

fn is_as_exported(what: Kind, sum: &Sum, part: &Part) -> Result<(), Error> {
    let (lines, digest) = (sum.lines(), sum.clone().digest().to_string());
    let reason = if lines != part.count {
        format!("there are {lines} of {}", part.count)
    } else if digest != part.digest {
        format!("their digest is {digest}, not {}", part.digest)
    } else {
        return Ok(());
    };
    Err(Error::Changed { what, reason })
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
