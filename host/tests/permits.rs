//! A real event log through a running host: every count as in the data, with a kill in the middle, and twice.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{Client, Folder, HostProcess, Sender, free_port, missing, plugins_folder, root};

const PLUGINS: [&str; 4] = ["permit", "permits", "workload", "flow"];

/// The log, where it is told or beside the repository.
fn log() -> Option<PathBuf> {
    let told = std::env::var_os("FOLDHOST_RECEIPT_CSV").map(PathBuf::from);
    Some(told.unwrap_or_else(|| root().join("../shared/data/receipt.csv")))
        .filter(|path| path.exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_log_gives_the_known_counts_through_a_kill_and_importing_it_twice_changes_nothing()
{
    let Some(log) = log() else {
        return missing(
            "the_real_log_gives_the_known_counts",
            "receipt.csv; see examples/permits/README.md",
        );
    };
    let folder = Folder::new();
    let (data, plugins) = (folder.path().join("data"), folder.path().join("plugins"));
    plugins_folder(&plugins, &PLUGINS);
    let file = folder.path().join("permits.jsonl");
    let commands = write_commands(&log, &file);
    let port = free_port();
    let host = HostProcess::start_on(port, &data, &plugins, &[]).await;
    let mut sender = Sender::start(
        &file,
        host.client.base(),
        &folder.path().join("first.jsonl"),
    );
    while sender.answered() < commands / 2 {
        assert!(sender.is_sending(), "the sender ended before the kill");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    assert!(sender.is_sending());
    host.kill();
    let host = HostProcess::start_on(port, &data, &plugins, &[]).await;
    let answers = tokio::task::spawn_blocking(move || sender.finish())
        .await
        .unwrap();
    assert_eq!(answers.len(), commands);
    assert!(
        answers
            .values()
            .flatten()
            .all(|answer| answer["status"] == 200)
    );
    let first = look(&host.client).await;
    check(&first);
    let again = Sender::start(
        &file,
        host.client.base(),
        &folder.path().join("second.jsonl"),
    );
    let repeated = tokio::task::spawn_blocking(move || again.finish())
        .await
        .unwrap();
    let positions = |answer: &Value| answer["position"].as_u64();
    for (id, answers) in &repeated {
        assert!(
            answers.iter().all(|answer| answer["status"] == 200),
            "{id}: {answers:?}"
        );
        assert!(
            answers
                .iter()
                .all(|answer| positions(answer) <= Some(commands as u64)),
            "{id}: {answers:?}"
        );
    }
    assert_eq!(look(&host.client).await, first);
    host.kill();
}

fn write_commands(log: &Path, file: &Path) -> usize {
    let commands = permits_import::commands(std::fs::File::open(log).unwrap()).unwrap();
    let mut out = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
    for command in &commands {
        serde_json::to_writer(&mut out, command).unwrap();
        out.write_all(b"\n").unwrap();
    }
    out.flush().unwrap();
    commands.len()
}

/// Every collection, with every event in it.
async fn look(client: &Client) -> Value {
    let mut shown = serde_json::Map::new();
    let head = 1_434 + 8_577;
    for collection in ["permits", "workload", "flow-pairs", "flow-paths"] {
        let path = format!("/v1/collections/{collection}?wait_for={head}&timeout=60000");
        client.reached(&path).await;
        shown.insert(collection.to_owned(), client.all(&path).await.into());
    }
    shown.into()
}

/// The facts of the data's own description.
fn check(shown: &Value) {
    let list = |collection: &str| shown[collection].as_array().unwrap();
    let sum = |collection: &str, field: &str| {
        list(collection)
            .iter()
            .map(|document| document[field].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(list("permits").len(), 1_434);
    assert_eq!(sum("workload", "tasks"), 8_577);
    assert_eq!(list("flow-paths").len(), 116);
    assert_eq!(sum("flow-paths", "permits"), 1_434);
    assert_eq!(
        list("flow-paths")
            .iter()
            .map(|path| path["permits"].as_u64().unwrap())
            .max(),
        Some(713)
    );
    assert_eq!(list("flow-pairs").len(), 99);
    for (from, to, count) in [
        (
            "T04 Determine confirmation of receipt",
            "T05 Print and send confirmation of receipt",
            1_177,
        ),
        (
            "T06 Determine necessity of stop advice",
            "T10 Determine necessity to stop indication",
            1_165,
        ),
        (
            "T02 Check confirmation of receipt",
            "T04 Determine confirmation of receipt",
            1_119,
        ),
    ] {
        let pair = list("flow-pairs")
            .iter()
            .find(|pair| pair["from"] == from && pair["to"] == to);
        assert_eq!(pair.unwrap()["count"], json!(count), "{from} then {to}");
    }
}
