//! What an import takes, what it refuses, and that it can be repeated.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{Filled, body, line_of};
use crate::program::{Running, foldhost, run, until};
use crate::support::missing;

/// Ways in which a file can be wrong: what is wrong, its lines, and what is said of it.
fn broken(lines: &[String]) -> [(&'static str, Vec<String>, String); 9] {
    let (event, command) = (line_of(lines, "event"), line_of(lines, "command"));
    let edit = |at: usize, from: &str, to: &str| {
        let mut edited = lines.to_vec();
        assert!(edited[at].contains(from), "{}", edited[at]);
        edited[at] = edited[at].replacen(from, to, 1);
        edited
    };
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat();
    let number = |at: usize| format!("line {}: ", at + 1);
    [
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
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_whole_or_not_as_it_was_written_is_refused_with_the_cause() {
    let filled = Filled::with(4).await;
    let lines = filled.export("data", "export.jsonl");
    for (what, lines, cause) in broken(&lines) {
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
