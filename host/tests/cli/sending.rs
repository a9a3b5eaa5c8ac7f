//! `command send`: one command, files of them, and hosts that are away.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::program::{Running, foldhost, run, run_with_input, values};
use crate::support::{Folder, HostProcess, free_port, plugins_folder};

/// A host with the sample's aggregate, and a folder for files.
pub(crate) struct Sent {
    pub(crate) host: HostProcess,
    pub(crate) folder: Folder,
}

impl Sent {
    pub(crate) async fn start() -> Self {
        let folder = Folder::new();
        plugins_folder(&folder.path().join("plugins"), &["post"]);
        let (data, plugins) = (folder.path().join("data"), folder.path().join("plugins"));
        let host = HostProcess::start(&data, &plugins, &[]).await;
        Self { host, folder }
    }

    pub(crate) fn foldhost(&self, arguments: &[&str]) -> Command {
        let mut command = foldhost(self.folder.path(), arguments);
        command.env("FOLDHOST_URL", self.host.client.base());
        command
    }

    pub(crate) fn send(&self, arguments: &[&str]) -> Command {
        self.foldhost(&[&["command", "send"], arguments].concat())
    }

    /// Writes commands to a file.
    pub(crate) fn file(&self, commands: &[Value]) -> PathBuf {
        write(&self.folder, commands)
    }
}

fn write(folder: &Folder, commands: &[Value]) -> PathBuf {
    let lines: String = commands
        .iter()
        .map(|command| format!("{command}\n"))
        .collect();
    let file = folder.path().join("commands.jsonl");
    std::fs::write(&file, lines).unwrap();
    file
}

pub(crate) fn create(id: &str) -> Value {
    json!({
        "aggregate": "post", "id": id, "command": "create", "command_id": format!("create-{id}"),
        "payload": { "author": "Anna", "message": "0" },
    })
}

fn edit(id: &str, message: usize) -> Value {
    json!({
        "aggregate": "post", "id": id, "command": "edit-message", "command_id": format!("edit-{id}-{message}"),
        "payload": { "message": message.to_string() },
    })
}

const HELLO: &str = r#"{"author":"Anna","message":"Hello"}"#;

#[tokio::test]
async fn an_accepted_command_is_told_with_what_happened() {
    let sent = Sent::start().await;
    let told = run(sent.send(&["post", "a/ü b", "create", HELLO])).worked();
    assert_eq!(
        told,
        "accepted: PostCreated (stream post-a/ü b, version 1, position 1)\n"
    );
    let receipt = run(sent.send(&["--json", "post", "a/ü b", "like", "--expect", "1"])).values();
    assert_eq!(
        (&receipt[0]["version"], &receipt[0]["position"]),
        (&json!(2), &json!(2))
    );
}

#[tokio::test]
async fn a_refused_command_is_one_line_with_its_code() {
    let sent = Sent::start().await;
    let error = run(sent.send(&["post", "1", "like"])).error(1);
    assert!(error.ends_with("(no-such-post)"), "{error}");
    let error = run(sent.send(&["post", "1", "create", HELLO, "--expect", "3"])).error(1);
    assert!(error.ends_with("(precondition-failed)"), "{error}");
    let error = run(sent.send(&["post", "1", "create", "{}"])).error(1);
    assert!(error.contains("author"), "{error}");
    run(sent.send(&["post", "1", "create", HELLO, "--expect", "0"])).worked();
}

#[tokio::test]
async fn the_same_id_twice_has_the_effect_of_once() {
    let sent = Sent::start().await;
    let create = ["post", "1", "create", HELLO, "--id", "first"];
    let first = run(sent.send(&create)).worked();
    assert_eq!(run(sent.send(&create)).worked(), first);
}

#[tokio::test]
async fn a_payload_comes_from_standard_input() {
    let sent = Sent::start().await;
    run_with_input(sent.send(&["post", "1", "create", "-"]), HELLO).worked();
}

#[tokio::test]
async fn a_file_is_sent_with_refusals_counted_and_receipts_written() {
    let sent = Sent::start().await;
    let mut commands = vec![create("a"), create("a"), create("b")];
    commands[1]["command_id"] = json!("again");
    commands
        .push(json!({ "aggregate": "post", "id": "c", "command": "like", "command_id": "early" }));
    let file = sent.file(&commands);
    let arguments = [
        "--json",
        "--file",
        file.to_str().unwrap(),
        "--receipts",
        "receipts.jsonl",
    ];
    let tally = run(sent.send(&arguments)).values().remove(0);
    assert_eq!(
        (&tally["accepted"], &tally["refused"], &tally["failed"]),
        (&json!(2), &json!(2), &json!(0))
    );
    assert_eq!(
        tally["refused_by_code"],
        json!({ "already-exists": 1, "no-such-post": 1 })
    );

    let receipts = std::fs::read_to_string(sent.folder.path().join("receipts.jsonl")).unwrap();
    let mut receipts = values(&receipts);
    receipts.sort_by_key(|receipt| receipt["command_id"].as_str().map(str::to_owned));
    let code = |receipt: &Value| {
        (
            receipt["command_id"].clone(),
            receipt["status"].clone(),
            receipt["code"].clone(),
        )
    };
    assert_eq!(
        receipts.iter().map(code).collect::<Vec<_>>(),
        [
            (json!("again"), json!(422), json!("already-exists")),
            (json!("create-a"), json!(200), Value::Null),
            (json!("create-b"), json!(200), Value::Null),
            (json!("early"), json!(422), json!("no-such-post")),
        ]
    );
}

#[tokio::test]
async fn a_file_sent_twice_is_accepted_and_told_to_have_been_recorded_before() {
    let sent = Sent::start().await;
    let file = sent.file(&[create("a"), edit("a", 1), edit("a", 1), create("b")]);
    let file = file.to_str().unwrap();
    let first = run(sent.send(&["--json", "--file", file]))
        .values()
        .remove(0);
    assert_eq!(
        (&first["accepted"], &first["repeated"]),
        (&json!(4), &json!(1))
    );
    let second = run(sent.send(&["--json", "--file", file]))
        .values()
        .remove(0);
    assert_eq!(
        (&second["accepted"], &second["repeated"]),
        (&json!(4), &json!(4))
    );
}

#[tokio::test]
async fn commands_of_one_stream_keep_their_order_however_many_are_in_flight() {
    let sent = Sent::start().await;
    let posts = ["a", "b", "c"];
    let mut commands: Vec<Value> = posts.iter().map(|post| create(post)).collect();
    // The first post has long runs of its own, so that reading runs ahead of it.
    let post = |number: usize| {
        if number % 10 < 7 {
            "a"
        } else {
            posts[number % 3]
        }
    };
    commands.extend((1..=600).map(|number| edit(post(number), number)));
    let file = sent.file(&commands);
    let told = run(sent.send(&["--file", file.to_str().unwrap(), "--in-flight", "64"])).worked();
    assert!(
        told.starts_with("accepted 603, refused 0, failed 0; "),
        "{told}"
    );
    for id in posts {
        let events = sent
            .host
            .client
            .get(&format!("/v1/streams/post/{id}?limit=1000"))
            .await;
        let events = events.expect(200).body["items"].as_array().unwrap().clone();
        let seen = events
            .iter()
            .skip(1)
            .map(|event| event["data"]["message"].as_str().unwrap().to_owned());
        let sent = (1..=600)
            .filter(|number| post(*number) == id)
            .map(|number| number.to_string());
        assert_eq!(seen.collect::<Vec<_>>(), sent.collect::<Vec<_>>(), "{id}");
    }
}

#[tokio::test]
async fn what_is_neither_accepted_nor_refused_is_told_by_its_line_and_ends_with_1() {
    let sent = Sent::start().await;
    let lines = concat!(
        r#"{"aggregate":"post","id":"1","command":"create","payload":{"author":"A","message":"B"}}"#,
        "\n\n{\"aggregate\":\"post\"}\n",
        r#"{"aggregate":"past","id":"1","command":"like"}"#,
    );
    let ended = run_with_input(sent.send(&["--json", "--file", "-"]), lines);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let tally = values(&ended.stdout).remove(0);
    assert_eq!(
        (&tally["accepted"], &tally["failed"]),
        (&json!(1), &json!(2))
    );
    for line in [
        "line 3: no command: missing field `id`",
        "line 4: there is no aggregate \"past\"",
    ] {
        assert!(
            ended.stderr.contains(line),
            "does not tell {line}: {}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn a_host_that_is_away_is_given_up_in_time_and_the_rest_is_not_sent() {
    let folder = Folder::new();
    let url = format!("http://127.0.0.1:{}", free_port());
    let patience = ["--url", &url, "--give-up-after", "1"];
    let send = |arguments: &[&str]| {
        foldhost(
            folder.path(),
            &[&["command", "send"], arguments, &patience].concat(),
        )
    };
    let error = run(send(&["post", "1", "like", "--id", "mine"])).error(1);
    assert!(
        error.contains("given up after 1 s") && error.contains("--id mine"),
        "{error}"
    );

    let commands: Vec<Value> = (1..=20).map(|number| edit("a", number)).collect();
    let file = write(&folder, &commands);
    let ended = run(send(&["--json", "--file", file.to_str().unwrap()]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let tally = values(&ended.stdout).remove(0);
    assert_eq!(
        (&tally["accepted"], &tally["failed"]),
        (&json!(0), &json!(1))
    );
}

#[tokio::test]
async fn commands_wait_for_a_host_that_comes_later() {
    let folder = Folder::new();
    plugins_folder(&folder.path().join("plugins"), &["post"]);
    let (data, plugins) = (folder.path().join("data"), folder.path().join("plugins"));
    HostProcess::start(&data, &plugins, &[]).await.kill();
    let port = free_port();
    let file = write(&folder, &[create("a"), edit("a", 1)]);
    let url = format!("http://127.0.0.1:{port}");
    let arguments = [
        "command",
        "send",
        "--file",
        file.to_str().unwrap(),
        "--url",
        &url,
    ];
    let mut sending = Running::start(foldhost(folder.path(), &arguments));
    let _host = HostProcess::start_on(port, &data, &plugins, &[]).await;
    let told = sending.wait_for("the tally", |line| Some(line.to_owned()));
    assert!(
        told.starts_with("accepted 2, refused 0, failed 0; "),
        "{told}"
    );
}
