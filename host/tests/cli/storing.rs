//! `store`: what is exported is imported as the same store, what is not right is refused, and a store can become another.

mod importing;
mod rebasing;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::program::{Ended, foldhost, run};
use crate::support::{Answer, Client, Folder, HostProcess, Profile, free_port, plugins_folder};

/// A folder with a data folder in it that a host has filled, and has left.
struct Filled {
    folder: Folder,
    plugins: PathBuf,
}

impl Filled {
    /// Posts, some of them with likes, and a command that set nothing down.
    async fn with(posts: usize) -> Self {
        let (filled, host) = Self::and_host(posts).await;
        host.kill();
        filled
    }

    async fn and_host(count: usize) -> (Self, HostProcess) {
        let folder = Folder::new();
        let plugins = folder.path().join("plugins");
        plugins_folder(&plugins, &["post", "posts"]);
        let host = serve(&folder.path().join("data"), &plugins).ready().await;
        for number in 0..count {
            create(&host.client, number).await;
        }
        posts(&host.client, count as u64).await;
        let filled = Self { folder, plugins };
        (filled, host)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self, arguments: &[&str]) -> Ended {
        run(foldhost(
            self.folder.path(),
            &[&["store"], arguments].concat(),
        ))
    }

    /// Exports the data folder and gives the lines.
    fn export(&self, data: &str, file: &str) -> Vec<String> {
        self.store(&["export", "--data", data, file]).worked();
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().map(ToOwned::to_owned).collect()
    }

    fn write(&self, file: &str, lines: &[String]) {
        fs::write(self.path(file), lines.join("\n") + "\n").unwrap();
    }

    fn digest(&self, data: &str) -> Value {
        let told = self.store(&["digest", "--json", "--data", data]);
        told.values().remove(0)
    }

    async fn host(&self, data: &str) -> HostProcess {
        serve(&self.path(data), &self.plugins).ready().await
    }
}

/// Starts a host of the embedded profile, whatever the run's is.
fn serve(data: &Path, plugins: &Path) -> HostProcess {
    HostProcess::spawn_with(&Profile::Embedded, free_port(), data, plugins, &[])
}

async fn create(client: &Client, number: usize) -> Answer {
    let payload = json!({ "author": "Anna", "message": format!("message {number}") });
    let key = format!("create-{number}");
    let headers = [("idempotency-key", key.as_str())];
    let id = format!("p{number}");
    client
        .command_with("post", &id, "create", payload, &headers)
        .await
        .expect(200)
}

/// All posts, with every event in them.
async fn posts(client: &Client, head: u64) -> Vec<Value> {
    let path = format!("/v1/collections/posts?wait_for={head}&timeout=60000");
    client.all(&path).await
}

fn line_of(lines: &[String], kind: &str) -> usize {
    let begin = format!("{{\"{kind}\":");
    lines
        .iter()
        .position(|line| line.starts_with(&begin))
        .unwrap()
}

/// Without the time at which it was written.
fn body(lines: &[String]) -> (Value, &[String]) {
    let mut header: Value = serde_json::from_str(&lines[0]).unwrap();
    header["header"]["exported_at"].take();
    (header, &lines[1..])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_store_is_exported_as_the_same_file_and_has_the_same_digest() {
    let filled = Filled::with(7).await;
    let first = filled.export("data", "first.jsonl");
    let told = filled
        .store(&["import", "--data", "copy", "first.jsonl"])
        .worked();
    assert!(
        told.starts_with("imported 7 events, 7 commands, 2 plugin versions"),
        "{told}"
    );
    let second = filled.export("copy", "second.jsonl");
    assert_eq!(body(&first), body(&second));
    let (original, copy) = (filled.digest("data"), filled.digest("copy"));
    assert_eq!(copy["projections"], json!([]), "documents are not moved");
    for part in ["store", "head", "events", "commands", "active_plugins"] {
        assert_eq!(original[part], copy[part], "{part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_store_folds_the_same_documents_and_still_knows_its_commands() {
    let (filled, host) = Filled::and_host(5).await;
    let receipt = create(&host.client, 3).await;
    let before = posts(&host.client, 5).await;
    host.kill();
    filled.export("data", "export.jsonl");
    filled
        .store(&["import", "--data", "copy", "export.jsonl"])
        .worked();
    let host = filled.host("copy").await;
    assert_eq!(posts(&host.client, 5).await, before);
    assert_eq!(create(&host.client, 3).await.body, receipt.body);
    assert_eq!(
        filled.digest("data"),
        filled.digest("copy"),
        "documents too"
    );
    create(&host.client, 5).await;
    assert_eq!(posts(&host.client, 6).await.len(), 6);
    let (original, copy) = (filled.digest("data"), filled.digest("copy"));
    for part in ["events", "commands", "projections"] {
        assert_ne!(original[part], copy[part], "{part}");
    }
    assert_eq!(original["active_plugins"], copy["active_plugins"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_of_events_is_that_of_their_lines_in_the_file() {
    let filled = Filled::with(3).await;
    let lines = filled.export("data", "export.jsonl");
    let events: String = lines
        .iter()
        .filter(|line| line.starts_with("{\"event\":"))
        .map(|line| format!("{line}\n"))
        .collect();
    let digest = foldhost::message::Digest::of(events.as_bytes()).to_string();
    assert_eq!(filled.digest("data")["events"]["digest"], digest.as_str());
    let told = filled.store(&["digest", "--data", "data"]).worked();
    assert!(
        told.contains(&format!("events          {digest}  3\n")),
        "{told}"
    );
    assert!(told.contains("of posts at position 3"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_beside_a_running_host_is_a_prefix_of_its_history() {
    let (filled, host) = Filled::and_host(1).await;
    let client = host.client.clone();
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let writing = tokio::spawn(async move {
        let mut number = 1;
        while !*stopped.borrow_and_update() {
            create(&client, number).await;
            number += 1;
        }
    });
    let mut exports = Vec::new();
    for number in 0..3 {
        exports.push(filled.export("data", &format!("{number}.jsonl")));
    }
    stop.send_replace(true);
    writing.await.unwrap();
    host.kill();
    let whole = filled.export("data", "whole.jsonl");
    for lines in exports {
        let events = |lines: &[String]| -> Vec<String> {
            let is_event = |line: &&String| line.starts_with("{\"event\":");
            lines.iter().filter(is_event).cloned().collect()
        };
        let (part, all) = (events(&lines), events(&whole));
        assert_eq!(part, all[..part.len()]);
        let header: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(header["header"]["head"], part.len());
        let commands = lines.iter().filter(|it| it.starts_with("{\"command\":"));
        assert_eq!(
            commands.count(),
            part.len(),
            "each of these commands has one event"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_or_a_file_that_is_not_there_is_told_and_none_is_made() {
    let folder = Folder::new();
    for arguments in [
        ["store", "export", "--data", "nothing", "x.jsonl"].as_slice(),
        &["store", "digest", "--data", "nothing"],
        &["store", "rebase", "--data", "nothing", "--yes"],
    ] {
        let error = run(foldhost(folder.path(), arguments)).error(1);
        assert!(
            error.contains("there is no event store in nothing"),
            "{error}"
        );
    }
    assert!(!folder.path().join("nothing").exists());
    fs::write(folder.path().join("x.jsonl"), "").unwrap();
    let export = ["store", "export", "--data", "nothing", "x.jsonl"];
    let error = run(foldhost(folder.path(), &export)).error(1);
    assert!(error.contains("x.jsonl is there already"), "{error}");
    let import = ["store", "import", "--data", "data", "absent.jsonl"];
    let error = run(foldhost(folder.path(), &import)).error(1);
    assert!(error.contains("cannot read absent.jsonl"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_to_standard_output_where_no_file_is_named() {
    let filled = Filled::with(1).await;
    let ended = filled.store(&["export", "--data", "data"]);
    assert!(ended.stderr.contains("exported 1 events"), "{ended:?}");
    let to_stdout = ended.worked();
    let to_file = filled.export("data", "export.jsonl");
    let lines: Vec<String> = to_stdout.lines().map(ToOwned::to_owned).collect();
    assert_eq!(body(&lines), body(&to_file));
}
