//! The watched folder: what changes in it goes through the gate.
//!
//! A component counts when its file has not changed for a moment, and once per content. Removing a file does nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify_debouncer_full::notify::RecursiveMode;
use notify_debouncer_full::{DebounceEventResult, new_debouncer};
use tokio::sync::{mpsc, watch};

use super::Registry;
use crate::event_store;
use crate::message::Digest;
use crate::plugin::{MAX_COMPONENT_BYTES, Plugin};

/// How long a file must stand unchanged.
const SETTLE: Duration = Duration::from_millis(150);
/// How often the folder is looked through without any notice: network mounts give none.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// The same while the event store was not there for the first look.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Watches a folder for ever. The folder is made when it is not there. `looked` turns true when all that is in it at the
/// start has been dealt with.
pub(crate) async fn watch(
    registry: Registry,
    folder: PathBuf,
    activate: bool,
    looked: watch::Sender<bool>,
) {
    if let Err(error) = std::fs::create_dir_all(&folder) {
        tracing::warn!(%error, folder = %folder.display(), "the plugins folder cannot be made; it is looked for again");
    }
    let (notice, mut notices) = mpsc::channel(1);
    let _debouncer = start_notices(&folder, notice);
    let mut seen = HashMap::new();
    loop {
        if look_through(&registry, &folder, activate, &mut seen).await {
            looked.send_replace(true);
        }
        let pause = if *looked.borrow() {
            LOOK_EVERY
        } else {
            LOOK_AGAIN
        };
        // A closed channel means no notices: the folder is looked through all the same.
        if let Ok(None) = tokio::time::timeout(pause, notices.recv()).await {
            tokio::time::sleep(pause).await;
        }
    }
}

/// What was last seen of a file: its stamp, and whether its content has been dealt with.
struct Seen {
    stamp: Stamp,
    digest: Option<Digest>,
}

type Stamp = (u64, SystemTime);

fn start_notices(folder: &Path, notice: mpsc::Sender<()>) -> Option<impl Sized> {
    let tell = move |_: DebounceEventResult| {
        // A notice that is already waiting covers this one.
        let _ = notice.try_send(());
    };
    let started = new_debouncer(SETTLE, None, tell).and_then(|mut debouncer| {
        debouncer
            .watch(folder, RecursiveMode::NonRecursive)
            .map(|()| debouncer)
    });
    match started {
        Ok(debouncer) => Some(debouncer),
        Err(error) => {
            tracing::warn!(%error, "no notices of changed plugins; the folder is looked through every few seconds");
            None
        }
    }
}

/// Tells whether everything in the folder has been dealt with; what the event store had to be there for waits.
async fn look_through(
    registry: &Registry,
    folder: &Path,
    activate: bool,
    seen: &mut HashMap<PathBuf, Seen>,
) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return true;
    };
    let mut all = true;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "wasm")
    });
    files.sort_unstable();
    seen.retain(|file, _| files.contains(file));
    for file in files {
        if seen
            .get(&file)
            .is_some_and(|seen| Some(seen.stamp) == stamp(&file))
        {
            continue;
        }
        let Some((stamp, bytes)) = read_settled(&file).await else {
            continue;
        };
        let digest = Digest::of(&bytes);
        let known = seen.get(&file).and_then(|seen| seen.digest) == Some(digest);
        if known || take_up(registry, &file, digest, bytes, activate).await {
            seen.insert(
                file,
                Seen {
                    stamp,
                    digest: Some(digest),
                },
            );
        } else {
            all = false;
        }
    }
    all
}

fn stamp(file: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(file).ok()?;
    Some((about.len(), about.modified().ok()?))
}

/// Reads a file that has stood still for a moment and has not changed while it was read.
async fn read_settled(file: &Path) -> Option<(Stamp, Vec<u8>)> {
    let before = stamp(file)?;
    tokio::time::sleep(SETTLE).await;
    if usize::try_from(before.0).map_or(true, |bytes| bytes > MAX_COMPONENT_BYTES) {
        // Too large to be read; an empty content is refused with a reason that names the file.
        return Some((before, Vec::new()));
    }
    let bytes = tokio::fs::read(file).await.ok()?;
    (stamp(file)? == before && bytes.len() as u64 == before.0).then_some((before, bytes))
}

/// Tells whether the content has been dealt with, for good or ill; a store that is away leaves it for later.
async fn take_up(
    registry: &Registry,
    file: &Path,
    digest: Digest,
    bytes: Vec<u8>,
    activate: bool,
) -> bool {
    let source = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let store = &registry.parts().store;
    let known = match store.find_plugin(digest).await {
        Ok(known) => known.is_some(),
        Err(error) => return later(&source, &error),
    };
    let plugin = match registry.install(&source, bytes).await {
        Ok(plugin) => plugin,
        Err(super::Refused::Store(error)) => return later(&source, &error),
        Err(_) => return true,
    };
    let active = match store.active_plugins().await {
        Ok(active) => active
            .into_iter()
            .any(|active| active.name == plugin.descriptor.name),
        Err(error) => return later(&source, &error),
    };
    if !activate && (known || active) {
        say_what_waits(&plugin, active);
        return true;
    }
    match registry.activate(digest).await {
        Err(super::Refused::Store(error)) => later(&source, &error),
        Ok(_) | Err(_) => true,
    }
}

fn say_what_waits(plugin: &Plugin, active: bool) {
    if active {
        tracing::info!(
            plugin = plugin.descriptor.name, digest = %plugin.digest,
            "installed, not active: another version is, or it was activated before; activate it to swap"
        );
    }
}

fn later(source: &str, error: &event_store::Error) -> bool {
    tracing::warn!(source, %error, "a component is taken up later");
    false
}
