//! Tests that need something that may not be there.

use std::io::Write as _;

/// Says that a test cannot run for want of something: fails, unless missing things are allowed; then the test is named
/// in the list that `cargo xtask test` prints at its end.
#[track_caller]
pub(crate) fn missing(test: &str, what: &str) {
    let line = format!("{test}: {what}");
    if let Some(list) = std::env::var_os("FOLDHOST_MISSING_LIST") {
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(list);
        file.and_then(|mut file| writeln!(file, "{line}"))
            .expect("the list of missing tests can be written");
    }
    assert!(
        std::env::var_os("FOLDHOST_ALLOW_MISSING").is_some(),
        "{line}"
    );
}
