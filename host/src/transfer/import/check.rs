//! Reading a file to its end before anything is written.

use std::path::Path;

use super::super::compare::Kind;
use super::super::lines::Lines;
use super::super::record::{End, Header, Line, Part};
use super::super::sum::Sum;
use super::super::{Error, Progress, Step, Watch};
use crate::event_store::{CommandRecord, StoredPlugin};
use crate::message::{CommandId, Digest};

/// After how many lines it is told how it goes.
const TELL_EVERY: u64 = 256;

/// A file that is whole and right.
pub(super) struct Export {
    pub(super) header: Header,
    /// Tells this export from others.
    pub(super) digest: Digest,
    pub(super) end: End,
    pub(super) plugins: Vec<StoredPlugin>,
    pub(super) active: Vec<Digest>,
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
pub(super) async fn check(file: &Path, watch: Watch<'_>) -> Result<Export, Error> {
    let mut lines = Lines::open(file).await?;
    let (header, digest) = lines.header().await?;
    let mut checking = Checking::default();
    let end = loop {
        let Some(line) = lines.next().await? else {
            return Err(Error::CutOff {
                line: lines.number - 1,
            });
        };
        if lines.number.is_multiple_of(TELL_EVERY) {
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
