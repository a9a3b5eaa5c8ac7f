//! The process ends between any two steps whose order matters, and nothing is lost or doubled.

mod support;

use support::{Example, Profile};

/// Enough to pass every place more often than below.
const COMMANDS: usize = 1_000;
/// Each place, and at which passing the process ends there.
const EVERYWHERE: &[(&str, u32)] = &[
    ("append/collected", 9),
    ("append/committed", 9),
    ("fold/folded", 5),
    ("fold/committed", 5),
    ("generation/created", 1),
    ("switch/ready", 2),
    ("switch/done", 1),
];
/// What only SQLite has.
const EMBEDDED: &[(&str, u32)] = &[("append/written", 7), ("commit/written", 7)];
/// What only the servers' adapters have.
const CLUSTER: &[(&str, u32)] = &[
    ("relay/produced", 3),
    ("relay/acknowledged", 3),
    ("relay/saved", 2),
    ("checkpoint/set", 5),
    ("checkpoint/half-applied", 5),
    ("checkpoint/applied", 5),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_ends_between_any_two_steps_loses_nothing_and_doubles_nothing() {
    let profile = Profile::of_run();
    let own = match &profile {
        Profile::Embedded => EMBEDDED,
        Profile::Cluster(_) | Profile::Shared(..) => CLUSTER,
    };
    for (place, time) in EVERYWHERE.iter().chain(own) {
        let at = format!("{place}:{time}");
        eprintln!("{at}");
        let (example, host) =
            Example::start_unready(profile.clone(), COMMANDS, &[("FOLDHOST_CRASH_AT", &at)]);
        host.ends_by_itself(&at).await;
        let host = example.spawn();
        example.finish(host).await;
    }
}
