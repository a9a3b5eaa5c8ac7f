//! `store`: what is exported is imported as the same store, what is not right is refused, and a store can become another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{Ended, Running, foldhost, run, until};
use crate::support::{
    Answer, Client, Folder, HostProcess, Profile, eventually, free_port, missing, plugins_folder,
};

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
async fn a_file_that_is_not_whole_or_not_as_it_was_written_is_refused_with_the_cause() {
    let filled = Filled::with(4).await;
    let lines = filled.export("data", "export.jsonl");
    let (event, command) = (line_of(&lines, "event"), line_of(&lines, "command"));
    let edit = |at: usize, from: &str, to: &str| {
        let mut edited = lines.clone();
        assert!(edited[at].contains(from), "{}", edited[at]);
        edited[at] = edited[at].replacen(from, to, 1);
        edited
    };
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat();
    let number = |at: usize| format!("line {}: ", at + 1);
    let cases: [(&str, Vec<String>, String); 9] = [
        (
            "cut off",
            lines[..lines.len() - 1].to_vec(),
            "it was cut off".into(),
        ),
        (
            "tampered",
            edit(event, "message 0", "message X"),
            "the events of the file".into(),
        ),
        (
            "a command's",
            edit(command, "message 0", "message X"),
            "the commands of the file".into(),
        ),
        (
            "not JSON",
            edit(event, "{\"event\":", "{event:"),
            format!("{}not understood", number(event)),
        ),
        (
            "a hole",
            without(event + 1),
            format!("{}position 3 where 2", number(event + 1)),
        ),
        ("no command", without(command), "there are 3 of 4".into()),
        (
            "other bytes",
            edit(1, "\"bytes\":\"AGFz", "\"bytes\":\"AGFa"),
            format!("{}the plugin's bytes", number(1)),
        ),
        (
            "newer",
            edit(0, "\"version\":1", "\"version\":2"),
            "version 2 of the format".into(),
        ),
        (
            "commands",
            vec!["{\"aggregate\":\"post\"}".into()],
            "no export of a store".into(),
        ),
    ];
    for (what, lines, cause) in cases {
        filled.write("broken.jsonl", &lines);
        let error = filled
            .store(&["import", "--data", "copy", "broken.jsonl"])
            .error(1);
        assert!(error.contains(&cause), "{what}: {error}");
    }
    let text = fs::read_to_string(filled.path("export.jsonl")).unwrap();
    fs::write(filled.path("broken.jsonl"), &text[..text.len() / 2]).unwrap();
    let error = filled
        .store(&["import", "--data", "copy", "broken.jsonl"])
        .error(1);
    assert!(error.contains("it was cut off"), "{error}");
    // None of them has left anything.
    filled
        .store(&["import", "--data", "copy", "export.jsonl"])
        .worked();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_empty_store_that_no_host_has_takes_an_import() {
    let (filled, host) = Filled::and_host(2).await;
    filled.export("data", "export.jsonl");
    let import = ["import", "--data", "data", "export.jsonl"];
    let error = filled.store(&import).error(1);
    assert!(
        error.contains("data is in use by another process"),
        "{error}"
    );
    let error = filled
        .store(&["rebase", "--data", "data", "--yes"])
        .error(1);
    assert!(
        error.contains("data is in use by another process"),
        "{error}"
    );
    host.kill();
    let error = filled.store(&import).error(1);
    assert!(error.contains("an empty store only"), "{error}");
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

/// A longer history than any host has to make: the events of one that was exported, each many times under other names.
fn multiply(lines: &[String], times: usize) -> Vec<String> {
    let (first_event, first_command) = (line_of(lines, "event"), line_of(lines, "command"));
    let mut events = Vec::new();
    for time in 0..times {
        for line in &lines[first_event..first_command] {
            let mut event: Value = serde_json::from_str(line).unwrap();
            let it = &mut event["event"];
            it["position"] = json!(events.len() + 1);
            it["event_id"] = json!(uuid::Uuid::now_v7());
            it["stream"] = json!(format!("{}-{time}", it["stream"].as_str().unwrap()));
            events.push(event.to_string());
        }
    }
    let sum: String = events.iter().map(|line| format!("{line}\n")).collect();
    let mut header: Value = serde_json::from_str(&lines[0]).unwrap();
    header["header"]["head"] = json!(events.len());
    let mut end: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let digest = foldhost::message::Digest::of(sum.as_bytes()).to_string();
    end["end"]["events"] = json!({ "count": events.len(), "digest": digest });
    let mut all = vec![header.to_string()];
    all.extend_from_slice(&lines[1..first_event]);
    all.extend(events);
    all.extend_from_slice(&lines[first_command..lines.len() - 1]);
    all.push(end.to_string());
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_is_known_and_repeated_to_its_end() {
    let filled = Filled::with(10).await;
    let long = multiply(&filled.export("data", "export.jsonl"), 2_000);
    filled.write("long.jsonl", &long);
    let import = ["store", "import", "--data", "copy", "long.jsonl"];
    let mut importing = foldhost(filled.folder.path(), &import);
    let mut importing = importing.stdout(Stdio::null()).spawn().unwrap();
    let events = || {
        let file = rusqlite::Connection::open(filled.path("copy/events.db")).ok()?;
        let count = "SELECT count(*) FROM events";
        let count = file.query_row(count, [], |row| row.get::<_, i64>(0)).ok()?;
        (count > 0).then_some(count)
    };
    until("the first events", || {
        filled.path("copy/events.db").exists().then_some(())
    });
    until("the first events", events);
    importing.kill().unwrap();
    importing.wait().unwrap();
    let there = events().unwrap();
    assert!(there < 20_000, "it was killed too late to tell");

    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", "copy"];
    let error = run(foldhost(filled.folder.path(), &serve)).error(1);
    assert!(error.contains("repeat foldhost store import"), "{error}");
    let error = filled.store(&["digest", "--data", "copy"]).error(1);
    assert!(error.contains("was begun and not finished"), "{error}");
    let other = filled
        .store(&["import", "--data", "copy", "export.jsonl"])
        .error(1);
    assert!(other.contains("an import of another file"), "{other}");

    let told = run(foldhost(filled.folder.path(), &import)).worked();
    assert!(
        told.contains(&format!("of which {there} events were there already")),
        "{told}"
    );
    let end: Value = serde_json::from_str(long.last().unwrap()).unwrap();
    let digest = filled.digest("copy");
    assert_eq!(digest["events"], end["end"]["events"]);
    assert_eq!(digest["commands"], end["end"]["commands"]);
    let mut host = Running::start(foldhost(filled.folder.path(), &serve));
    host.url();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebased_store_rebuilds_its_projections_while_the_old_documents_serve() {
    let (filled, host) = Filled::and_host(6).await;
    let before = posts(&host.client, 6).await;
    host.kill();
    let asked = filled.store(&["rebase", "--data", "data"]);
    assert!(
        asked.stdout.contains("would get a new identity"),
        "{asked:?}"
    );
    let error = asked.error(1);
    assert!(error.contains("say --yes to do it"), "{error}");
    let first = filled.digest("data");
    let told = filled
        .store(&["rebase", "--data", "data", "--yes", "--json"])
        .values();
    assert_eq!(told[0]["before"], first["store"]);
    let second = filled.digest("data");
    assert_eq!(second["store"], told[0]["store"]);
    assert_ne!(second["store"], first["store"]);
    assert_eq!(second["events"], first["events"]);
    assert_eq!(
        second["projections"], first["projections"],
        "still those of the old store"
    );

    let host = filled.host("data").await;
    eventually("the new generation", || async {
        let shown = host
            .client
            .get("/v1/collections/posts?limit=1000")
            .await
            .expect(200);
        assert_eq!(shown.body["items"], json!(before), "at every moment");
        let projections = host.client.get("/v1/projections").await.expect(200);
        let generation = projections.body["items"][0]["generation"].as_u64();
        if generation == Some(2) {
            Ok(())
        } else {
            Err(projections)
        }
    })
    .await;
    create(&host.client, 6).await;
    assert_eq!(posts(&host.client, 7).await.len(), 7);
    let third = filled.digest("data");
    assert_eq!(third["projections"][0]["store"], second["store"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_ahead_of_a_restored_backup_stop_until_the_store_is_rebased() {
    let (filled, host) = Filled::and_host(3).await;
    host.kill();
    let copy = |from: &str, to: &str| {
        fs::create_dir_all(filled.path(to)).unwrap();
        for file in ["events.db", "events.db-wal"] {
            let (from, to) = (filled.path(from).join(file), filled.path(to).join(file));
            let _ = fs::remove_file(&to);
            if from.exists() {
                fs::copy(from, to).unwrap();
            }
        }
    };
    copy("data", "backup");
    let host = filled.host("data").await;
    for number in 3..8 {
        create(&host.client, number).await;
    }
    assert_eq!(posts(&host.client, 8).await.len(), 8);
    host.kill();
    copy("backup", "data");
    // Its shared index describes the log that was there before.
    let _ = fs::remove_file(filled.path("data/events.db-shm"));

    let host = serve(&filled.path("data"), &filled.plugins);
    eventually("the fault", || async {
        let ready = host
            .client
            .try_get("/readyz")
            .await
            .map_err(|error| error.to_string())?;
        let said = ready.body.to_string();
        if ready.status == 503 && said.contains("posts") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    host.kill();
    filled
        .store(&["rebase", "--data", "data", "--yes"])
        .worked();
    let host = filled.host("data").await;
    eventually("one truth", || async {
        let shown = host
            .client
            .get("/v1/collections/posts?limit=1000")
            .await
            .expect(200);
        let count = shown.body["items"].as_array().map(Vec::len);
        if count == Some(3) { Ok(()) } else { Err(shown) }
    })
    .await;
    create(&host.client, 3).await;
    assert_eq!(posts(&host.client, 4).await.len(), 4);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_store_moves_from_a_folder_to_a_server_and_back_and_stays_the_same() {
    let Ok(url) = std::env::var("FOLDHOST_TEST_POSTGRES") else {
        let test = "a_store_moves_from_a_folder_to_a_server_and_back_and_stays_the_same";
        let what = "FOLDHOST_TEST_POSTGRES is not set; run cargo xtask services up";
        return missing(test, what);
    };
    let filled = Filled::with(6).await;
    let exported = filled.export("data", "there.jsonl");
    let schema = format!("test_{}", uuid::Uuid::now_v7().simple());
    let on_server = |arguments: &[&str]| {
        let mut command = foldhost(filled.folder.path(), &[&["store"], arguments].concat());
        command
            .env("FOLDHOST_EVENT_STORE", &url)
            .env("FOLDHOST_DATA", "elsewhere")
            .env("FOLDHOST_POSTGRES__SCHEMA", &schema);
        run(command)
    };
    on_server(&["import", "there.jsonl"]).worked();
    let error = on_server(&["import", "there.jsonl"]).error(1);
    assert!(error.contains("an empty store only"), "{error}");
    let (mut here, there) = (
        filled.digest("data"),
        on_server(&["digest", "--json"]).values(),
    );
    here["projections"] = json!([]);
    assert_eq!(here, there[0]);
    on_server(&["export", "back.jsonl"]).worked();
    let back = fs::read_to_string(filled.path("back.jsonl")).unwrap();
    let back: Vec<String> = back.lines().map(ToOwned::to_owned).collect();
    assert_eq!(body(&exported), body(&back));
    filled
        .store(&["import", "--data", "copy", "back.jsonl"])
        .worked();
    assert_eq!(filled.digest("copy"), here);
    let told = on_server(&["rebase", "--yes", "--json"]).values();
    assert_eq!(told[0]["before"], here["store"]);
    let rebased = on_server(&["digest", "--json"]).values();
    assert_eq!(rebased[0]["store"], told[0]["store"]);
    assert_eq!(rebased[0]["events"], here["events"]);
    drop_schema(&url, &schema).await;
}

async fn drop_schema(url: &str, schema: &str) {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    let sql = sqlx::AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {schema} CASCADE"));
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}
