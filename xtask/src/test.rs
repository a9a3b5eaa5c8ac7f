//! `cargo xtask test`.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use foldhost_test_servers::Kind;

use crate::services::{self, Available, given};
use crate::{cargo, note, root, say};

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Also run what takes longer: fifty kills of the host instead of five, ten of each server instead of two, and many
    /// more tries of everything that two hosts do together.
    #[arg(long)]
    full: bool,
    /// Go on without what cannot be had, and name every test that did not run.
    #[arg(long)]
    allow_missing: bool,
    /// Leave the servers that were started for the tests running.
    #[arg(long)]
    keep_services: bool,
}

/// Crates whose tests run a second time against their compiled component.
const PLUGINS: &[&str] = &[
    "post", "posts", "authors", "activity", "permit", "permits", "workload", "flow",
];

/// What only tests have: places at which the host ends itself.
const FEATURES: &[&str] = &["--features", "foldhost/crash-points"];

/// The tests of `host/tests` that start hosts. They run on the embedded profile like all others, and then on real servers.
const ON_EACH_PROFILE: &[&str] = &[
    "pipeline",
    "http",
    "sandbox",
    "hot_swap",
    "crash_recovery",
    "crash_points",
];

/// Those of them that FerretDB, which stands in for MongoDB here, takes many minutes for: its updates are a hundred times
/// slower, and it reads whole collections for every page.
const SLOW_ON_THE_CLUSTER: &[&str] = &["permits", "paging"];

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    add_target()?;
    let missing = root().join("target").join("missing-tests.txt");
    fs::create_dir_all(root().join("target"))?;
    fs::write(&missing, "").context("the list of tests that do not run cannot be begun")?;
    let _stopped_at_the_end = match options.keep_services {
        true => None,
        false => Some(Stopper::start()?),
    };
    let urls = build_beside_servers(options)?;
    let mut environment = BTreeMap::from([
        ("FOLDHOST_MISSING_LIST", missing.display().to_string()),
        (
            "FOLDHOST_TEST_SERVERS",
            services::folder().display().to_string(),
        ),
    ]);
    environment.extend(urls.iter().map(|(kind, url)| given::for_tests(*kind, url)));
    if options.full {
        environment.insert("FOLDHOST_TEST_FULL", "1".to_owned());
    }
    if options.allow_missing {
        environment.insert("FOLDHOST_ALLOW_MISSING", "1".to_owned());
    }
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut everything = vec!["test", "--workspace", "--no-fail-fast"];
    everything.extend(FEATURES);
    cargo(&everything, &environment)?;
    if urls.len() == Kind::ALL.len() {
        say("once more, on the cluster profile");
        let mut once_more = vec!["test", "--package", "foldhost", "--no-fail-fast"];
        once_more.extend(FEATURES);
        let slow = SLOW_ON_THE_CLUSTER.iter().filter(|_| options.full);
        let tests = ON_EACH_PROFILE.iter().chain(slow);
        once_more.extend(tests.flat_map(|test| ["--test", test]));
        let mut environment = environment.clone();
        environment.push(("FOLDHOST_TEST_PROFILE", "cluster"));
        cargo(&once_more, &environment)?;
    }
    let mut plugins = vec!["run", "--package", "foldhost", "--", "plugin", "test"];
    plugins.extend(["--sources", "plugins", "--sources", "examples/permits"]);
    plugins.extend(PLUGINS);
    plugins.splice(3..3, FEATURES.iter().copied());
    cargo(&plugins, &environment)?;
    report(&fs::read_to_string(&missing)?, options)
}

/// Builds the tests, and gets the servers meanwhile: fetching is waiting, and compiling is not.
fn build_beside_servers(options: &Options) -> anyhow::Result<BTreeMap<Kind, String>> {
    let for_tests = !options.keep_services;
    let servers = std::thread::spawn(move || services::make_available(for_tests));
    let mut build = vec!["test", "--workspace", "--no-run"];
    build.extend(FEATURES);
    let built = cargo(&build, &[]);
    let available = servers.join();
    built?;
    let available: Available =
        available.map_err(|_| anyhow!("the thread of the servers broke"))??;
    match available.or_fail() {
        Err(error) if options.allow_missing => note(&format!("{error:#}")),
        done => done?,
    }
    Ok(available.urls)
}

/// Stops what was started for the tests, however this run ends: it is another process, which waits for the end of its
/// input, so that Ctrl-C and even a kill of this one lead to it.
struct Stopper(Child);

impl Stopper {
    fn start() -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt as _;

        let mut stopper = Command::new(std::env::current_exe()?);
        stopper.args(["services", "stop-after-tests"]);
        stopper.stdin(Stdio::piped()).stdout(Stdio::null());
        // In a group of its own, since Ctrl-C goes to everyone in ours.
        Ok(Self(stopper.process_group(0).spawn()?))
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if !self.0.wait().is_ok_and(|status| status.success()) {
            note("not every server was stopped: see `cargo xtask services status`");
        }
    }
}

fn report(missing: &str, options: &Options) -> anyhow::Result<()> {
    if missing.is_empty() {
        say("every test ran, and passed");
        return Ok(());
    }
    say("these tests did not run:");
    missing.lines().for_each(|line| say(&format!("  {line}")));
    if options.allow_missing {
        return Ok(());
    }
    bail!("something that tests need is missing; --allow-missing goes on without it");
}

/// Plugins are built for WebAssembly by the tests themselves.
fn add_target() -> anyhow::Result<()> {
    let status = Command::new("rustup")
        .args(["target", "add", "wasm32-wasip2"])
        .current_dir(root())
        .status();
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    bail!(
        "rustup cannot add the target wasm32-wasip2, which plugins are built for: install rustup, or add the target"
    );
}
