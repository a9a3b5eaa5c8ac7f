//! Writing a store's history.

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::pages::{Commands, Events};
use super::record::{End, FORMAT, Header, Line, Part, PluginLine, VERSION};
use super::sum::Sum;
use super::{Error, Progress, Step, Watch, fixed};
use crate::event_store::{self, EventStore, StoredPlugin};
use crate::message::{Digest, Position, StoreId, Time};

/// What was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Which store.
    pub store: StoreId,
    /// The last event in it.
    pub head: Position,
    /// How many accepted commands.
    pub commands: u64,
    /// How many plugin versions.
    pub plugins: u64,
    /// The digest of the events, as [`super::digest`] tells it.
    pub events_digest: Digest,
    /// The digest of the commands, as [`super::digest`] tells it.
    pub commands_digest: Digest,
}

/// Writes everything up to the present head, and flushes. Hosts may go on meanwhile: what they record later is left out.
///
/// A command that is accepted meanwhile and sets nothing down may be in it or not; both are true.
pub async fn export(
    store: &dyn EventStore,
    output: &mut (dyn AsyncWrite + Unpin + Send),
    watch: Watch<'_>,
) -> Result<Exported, Error> {
    let (id, head) = fixed(store).await?;
    let plugins = store.installed_plugins().await?;
    let mut out = Out { output };
    let header = Header {
        exported_at: Time::now().to_exact(),
        format: FORMAT.to_owned(),
        head: head.0,
        plugins: plugins.len() as u64,
        store: id.0,
        version: VERSION,
    };
    out.write(&Line::Header(header), &mut Sum::default())
        .await?;
    let plugins = write_plugins(store, &plugins, &mut out).await?;
    let events = write_events(store, head, &mut out, watch).await?;
    let commands = write_commands(store, head, &mut out, watch).await?;
    let end = End {
        commands: part(&commands),
        events: part(&events),
        plugins: part(&plugins),
        store: id.0,
    };
    out.write(&Line::End(end), &mut Sum::default()).await?;
    out.output.flush().await?;
    if store.id() != Some(id) {
        return Err(became_another());
    }
    Ok(Exported {
        store: id,
        head,
        commands: commands.lines(),
        plugins: plugins.lines(),
        events_digest: events.digest(),
        commands_digest: commands.digest(),
    })
}

/// Lines on their way out.
struct Out<'a> {
    output: &'a mut (dyn AsyncWrite + Unpin + Send),
}

impl Out<'_> {
    async fn write(&mut self, line: &Line, sum: &mut Sum) -> Result<(), Error> {
        self.write_text(line.to_text()?, sum).await
    }

    async fn write_text(&mut self, mut line: String, sum: &mut Sum) -> Result<(), Error> {
        sum.add(line.as_bytes());
        line.push('\n');
        Ok(self.output.write_all(line.as_bytes()).await?)
    }
}

async fn write_plugins(
    store: &dyn EventStore,
    plugins: &[StoredPlugin],
    out: &mut Out<'_>,
) -> Result<Sum, Error> {
    let active = store.active_plugins().await?;
    let mut sum = Sum::default();
    for plugin in plugins {
        let missing = || event_store::Error::Damaged {
            reason: format!("the bytes of plugin {} are missing", plugin.digest),
        };
        let bytes = store.load_plugin(plugin.digest).await?;
        let bytes = bytes.ok_or_else(missing)?;
        let is_active = active.iter().any(|it| it.digest == plugin.digest);
        let line = PluginLine::of(plugin, &bytes, is_active);
        out.write(&Line::Plugin(line), &mut sum).await?;
    }
    Ok(sum)
}

async fn write_events(
    store: &dyn EventStore,
    head: Position,
    out: &mut Out<'_>,
    watch: Watch<'_>,
) -> Result<Sum, Error> {
    let (mut events, mut sum) = (Events::new(store, head), Sum::default());
    loop {
        let lines = events.next().await?;
        if lines.is_empty() {
            return Ok(sum);
        }
        for line in lines {
            out.write_text(line, &mut sum).await?;
        }
        watch(Progress {
            step: Step::Events,
            done: events.done().0,
            of: Some(head.0),
        });
    }
}

async fn write_commands(
    store: &dyn EventStore,
    head: Position,
    out: &mut Out<'_>,
    watch: Watch<'_>,
) -> Result<Sum, Error> {
    let (mut commands, mut sum) = (Commands::new(store, head), Sum::default());
    while let Some(lines) = commands.next().await? {
        for line in lines {
            out.write_text(line, &mut sum).await?;
        }
        watch(Progress {
            step: Step::Commands,
            done: sum.lines(),
            of: None,
        });
    }
    Ok(sum)
}

fn part(sum: &Sum) -> Part {
    Part {
        count: sum.lines(),
        digest: sum.clone().digest().to_string(),
    }
}

/// What was read may be of two histories.
fn became_another() -> Error {
    let reason = "the store has become another one meanwhile; export it again".to_owned();
    event_store::Error::Unavailable { reason }.into()
}
