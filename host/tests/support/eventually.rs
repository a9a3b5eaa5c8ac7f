//! Waiting for what must happen, without guessing how long it takes.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Polls until `probe` gives a value; fails with what it last said when it never does.
pub(crate) async fn eventually<R, E: Debug, F: Future<Output = Result<R, E>>>(
    what: &str,
    mut probe: impl FnMut() -> F,
) -> R {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(last) if Instant::now() > deadline => {
                panic!("{what} did not happen; last: {last:?}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
