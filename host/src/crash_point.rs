//! Places at which a test ends the process, between any two steps whose order matters.
//!
//! Compiled only with the feature `crash-points`, which no release has: elsewhere [`reached`] is nothing.
//! The environment names one place and the how-manieth time: `FOLDHOST_CRASH_AT=append/committed:7`.

/// Ends the process, as `kill -9` would, when this is the place and the time that the environment names.
#[cfg(feature = "crash-points")]
pub(crate) fn reached(place: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static TIMES: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let named = std::env::var("FOLDHOST_CRASH_AT").ok()?;
        let (place, times) = named.split_once(':').unwrap_or((&named, "1"));
        Some((place.to_owned(), times.parse().unwrap_or(1)))
    });
    if let Some((wanted, times)) = wanted
        && wanted == place
        && TIMES.fetch_add(1, Ordering::Relaxed) + 1 == *times
    {
        // No destructor runs and nothing is flushed.
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub(crate) fn reached(_place: &str) {}
