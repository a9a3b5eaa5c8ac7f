//! Killed in the middle of it, again and again: what was acknowledged is there, once, and the read models are right.

mod support;

use support::{Example, Profile};

fn kills() -> usize {
    if std::env::var_os("FOLDHOST_TEST_FULL").is_some() {
        50
    } else {
        5
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_in_the_middle_of_the_example_loses_nothing_and_doubles_nothing() {
    let (mut example, mut host) = Example::start(Profile::of_run(), usize::MAX).await;
    for _ in 0..kills() {
        example.moment(kills()).await;
        host.kill();
        // Not waited for: the next kill may come while it is still getting ready, but for the first answer.
        host = example.spawn();
    }
    example.finish(host).await;
}
