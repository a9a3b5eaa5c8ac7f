//! Noticing that sources have changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify_debouncer_full::notify::{EventKind, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, DebouncedEvent, new_debouncer};
use tokio::sync::mpsc;

use crate::cli::output;

/// How long sources must stand still: an editor that saves several files causes one build.
const SETTLE: Duration = Duration::from_millis(200);

/// Watches a folder of plugin crates; `out`, the folder of components, does not count though it may lie in it.
///
/// Gives one notice for any number of changes since the last one was taken. Dropping the first of the pair ends it.
pub(super) fn start(
    sources: &Path,
    out: &Path,
) -> (Option<impl Sized + use<>>, mpsc::Receiver<()>) {
    let (notice, notices) = mpsc::channel(1);
    let (root, out) = (real(sources), real(out));
    let watched = root.clone();
    let tell = move |events: DebounceEventResult| {
        // Lost events may have been anything.
        let changed = events.map_or(true, |events| {
            events.iter().any(|event| is_change(event, &root, &out))
        });
        if changed {
            // A notice that is already waiting covers this one.
            let _ = notice.try_send(());
        }
    };
    let started = new_debouncer(SETTLE, None, tell).and_then(|mut debouncer| {
        debouncer
            .watch(&watched, RecursiveMode::Recursive)
            .map(|()| debouncer)
    });
    match started {
        Ok(debouncer) => (Some(debouncer), notices),
        Err(error) => {
            output::note(format!(
                "{} cannot be watched, nothing is built again by itself: {error}",
                sources.display()
            ));
            (None, notices)
        }
    }
}

fn is_change(event: &DebouncedEvent, root: &Path, out: &Path) -> bool {
    // Reading is what builds do all the time.
    !matches!(event.kind, EventKind::Access(_))
        && event.paths.iter().any(|path| is_source(path, root, out))
}

/// Tells sources from what tools write beside them.
fn is_source(path: &Path, root: &Path, out: &Path) -> bool {
    let below = path.strip_prefix(root).unwrap_or(path);
    let ours = below.components().any(|part| {
        let part = part.as_os_str().to_string_lossy();
        part == "target" || part == "Cargo.lock" || part.starts_with('.') || part.ends_with('~')
    });
    !ours && !path.starts_with(out)
}

/// Returns a path as notices name it; it need not be there yet.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.canonicalize().unwrap_or(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_write_is_no_source() {
        let is_source =
            |path: &str| is_source(Path::new(path), Path::new("/p"), Path::new("/p/build"));
        for source in [
            "/p/post/src/lib.rs",
            "/p/post/Cargo.toml",
            "/p/post/tests/data.json",
            "/p/builder/src/lib.rs",
        ] {
            assert!(is_source(source), "{source}");
        }
        for other in [
            "/p/build/post.wasm",
            "/p/post/target/x.rs",
            "/p/post/Cargo.lock",
            "/p/post/src/.lib.rs.swp",
        ] {
            assert!(!is_source(other), "{other}");
        }
    }
}
