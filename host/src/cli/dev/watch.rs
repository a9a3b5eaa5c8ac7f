//! Noticing that sources have changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify_debouncer_full::notify::{EventKind, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, DebouncedEvent, new_debouncer};
use tokio::sync::mpsc;

use crate::cli::output;

/// How long sources must stand still: an editor that saves several files causes one build.
const SETTLE: Duration = Duration::from_millis(200);

/// Watches folders of plugin crates; `out`, the folder of components, does not count though it may lie in one.
///
/// Gives one notice for any number of changes since the last one was taken. Dropping the first of the pair ends it.
pub(super) fn start(
    sources: &[PathBuf],
    out: &Path,
) -> (Option<impl Sized + use<>>, mpsc::Receiver<()>) {
    let (notice, notices) = mpsc::channel(1);
    let roots: Vec<PathBuf> = sources.iter().map(|folder| real(folder)).collect();
    let (watched, out) = (roots.clone(), real(out));
    let tell = move |events: DebounceEventResult| {
        // Lost events may have been anything.
        let changed = events.map_or(true, |events| {
            events.iter().any(|event| is_change(event, &roots, &out))
        });
        if changed {
            // A notice that is already waiting covers this one.
            let _ = notice.try_send(());
        }
    };
    let started = new_debouncer(SETTLE, None, tell).and_then(|mut debouncer| {
        for root in &watched {
            debouncer.watch(root, RecursiveMode::Recursive)?;
        }
        Ok(debouncer)
    });
    match started {
        Ok(debouncer) => (Some(debouncer), notices),
        Err(error) => {
            output::note(format!(
                "the sources cannot be watched, nothing is built again by itself: {error}"
            ));
            (None, notices)
        }
    }
}

fn is_change(event: &DebouncedEvent, roots: &[PathBuf], out: &Path) -> bool {
    // Reading is what builds do all the time.
    !matches!(event.kind, EventKind::Access(_))
        && event.paths.iter().any(|path| is_source(path, roots, out))
}

/// Tells sources from what tools write beside them.
fn is_source(path: &Path, roots: &[PathBuf], out: &Path) -> bool {
    let below = roots.iter().find_map(|root| path.strip_prefix(root).ok());
    let ours = below.unwrap_or(path).components().any(|part| {
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
            |path: &str| is_source(Path::new(path), &["/p".into()], Path::new("/p/build"));
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
