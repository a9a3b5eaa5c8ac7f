//! Servers as containers, through `docker-compose.yml`, in a project of their own: what somebody runs from the same file
//! by hand is not touched.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::bail;
use foldhost_test_servers::{Kind, free_port};

use super::state::{Entry, Locked, Origin};
use crate::{note, root};

const PROJECT: &str = "foldhost-services";

/// Whether there is an engine that answers, and the client has its `compose`.
pub(crate) fn works() -> bool {
    let succeeds = |arguments: &[&str]| {
        let mut docker = Command::new("docker");
        docker.args(arguments).stdin(Stdio::null());
        let status = docker.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    succeeds(&["info"]) && succeeds(&["compose", "version"])
}

/// A service's name in the compose file, and the variable of its port there.
fn service(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Postgres => ("postgres", "POSTGRES_PORT"),
        Kind::Kafka => ("kafka", "KAFKA_PORT"),
        Kind::Mongodb => ("mongo", "MONGO_PORT"),
    }
}

fn url(kind: Kind, port: u16) -> String {
    match kind {
        Kind::Postgres => format!("postgres://foldhost:foldhost@127.0.0.1:{port}/foldhost"),
        Kind::Kafka => format!("kafka://127.0.0.1:{port}/foldhost"),
        Kind::Mongodb => format!("mongodb://127.0.0.1:{port}/foldhost"),
    }
}

/// Starts containers for these kinds, on free ports, and waits until they are healthy.
pub(crate) fn up(
    locked: &mut Locked,
    wanted: &[Kind],
    for_tests: bool,
) -> anyhow::Result<BTreeMap<Kind, String>> {
    note("starting containers");
    let mut ports = BTreeMap::new();
    for kind in wanted {
        ports.insert(*kind, free_port()?);
    }
    let mut command = compose(&["up", "--detach", "--wait"]);
    for (kind, port) in &ports {
        let (service, variable) = service(*kind);
        command.arg(service).env(variable, port.to_string());
    }
    if let Err(error) = run(&mut command) {
        // What came up halfway is in nobody's way.
        down(false)?;
        return Err(error);
    }
    let mut urls = BTreeMap::new();
    for (kind, port) in ports {
        let url = url(kind, port);
        let entry = Entry {
            url: url.clone(),
            for_tests,
            origin: Origin::Docker,
        };
        locked.add(kind, entry)?;
        urls.insert(kind, url);
    }
    Ok(urls)
}

/// Stops one container.
pub(crate) fn stop(kind: Kind) -> anyhow::Result<()> {
    run(&mut compose(&["stop", service(kind).0]))
}

/// Removes the containers, and what they stored when that is to go too.
pub(crate) fn down(delete: bool) -> anyhow::Result<()> {
    let mut command = compose(&["down"]);
    if delete {
        command.arg("--volumes");
    }
    run(&mut command)
}

fn compose(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(["compose", "--project-name", PROJECT, "--file"]);
    command
        .arg(root().join("docker-compose.yml"))
        .args(arguments);
    command
}

/// Its output must not stand between the lines that a shell evaluates.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("docker compose failed, {}: {}", output.status, said.trim());
    }
    Ok(())
}
