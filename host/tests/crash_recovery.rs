//! Killed in the middle of it, again and again: what was acknowledged is there, once, and the read models are right.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use foldhost::event_store::EventStore as _;
use foldhost::event_store::sqlite::SqliteEventStore;
use foldhost::message::Position;
use posts_reference::{Command, Outcome, Reference};
use serde_json::{Value, json};
use support::{Folder, HostProcess, Sender, free_port, plugins_folder, root};

const PLUGINS: [&str; 4] = ["post", "posts", "authors", "activity"];

fn kills() -> usize {
    if std::env::var_os("FOLDHOST_TEST_FULL").is_some() {
        50
    } else {
        5
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_in_the_middle_of_the_example_loses_nothing_and_doubles_nothing() {
    let folder = Folder::new();
    let (data, plugins) = (folder.path().join("data"), folder.path().join("plugins"));
    plugins_folder(&plugins, &PLUGINS);
    let file = root().join("examples/posts/commands.jsonl");
    let commands = posts_commands::read_lines(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let port = free_port();
    let mut host = HostProcess::start_on(port, &data, &plugins, &[]).await;
    let mut sender = Sender::start(
        &file,
        host.client.base(),
        &folder.path().join("receipts.jsonl"),
    );
    let mut before = 0;
    for kill in 0..kills() {
        // At a moment of its own each time, but never without answers since the last.
        let random = usize::from(uuid::Uuid::now_v7().as_bytes()[15]);
        let wanted = before + 1 + random * commands.len() / (kills() + 1) / 512;
        let answered = answers(&mut sender, wanted).await;
        assert!(
            answered > before && sender.is_sending(),
            "kill {kill}: {answered} answers, {before} at the last kill"
        );
        host.kill();
        before = sender.answered();
        // Not waited for: the next kill may come while it is still getting ready, but for the first answer.
        host = HostProcess::spawn_on(port, &data, &plugins, &[]);
    }
    let answers = tokio::task::spawn_blocking(move || sender.finish())
        .await
        .unwrap();
    let shown = read_models(&host).await;
    host.kill();
    check_answers(&commands, &answers);
    check_events(&data, &commands, &answers, &shown).await;
}

/// Waits until so many commands are answered.
async fn answers(sender: &mut Sender, wanted: usize) -> usize {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let answered = sender.answered();
        if answered >= wanted || !sender.is_sending() {
            return answered;
        }
        assert!(
            Instant::now() < deadline,
            "{answered} answers, {wanted} wanted"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The three read models with every event in them, in one canonical order.
async fn read_models(host: &HostProcess) -> BTreeMap<String, Vec<String>> {
    let head = host
        .client
        .command(
            "post",
            "the-last",
            "create",
            json!({"author": "z", "message": "z"}),
        )
        .await;
    let head = head.expect(200).position();
    let mut models = BTreeMap::new();
    for collection in ["posts", "authors", "activity"] {
        let path = format!("/v1/collections/{collection}?wait_for={head}&timeout=60000");
        let mut documents: Vec<String> = host
            .client
            .all(&path)
            .await
            .iter()
            .map(Value::to_string)
            .collect();
        documents.sort_unstable();
        models.insert(collection.to_owned(), documents);
    }
    models
}

/// Every answer is what an independent fold of the same commands says.
fn check_answers(commands: &[Command], answers: &BTreeMap<String, Vec<Value>>) {
    let mut reference = Reference::default();
    let mut next = HashMap::<&str, usize>::new();
    for command in commands {
        let at = next.entry(&command.command_id).or_default();
        let answer = &answers[&command.command_id][*at];
        *at += 1;
        match reference.apply(command, "2026-01-01T00:00:00.000Z") {
            Outcome::Accepted { version, .. } | Outcome::Repeated { version } => {
                assert_eq!(
                    (&answer["status"], &answer["version"]),
                    (&json!(200), &json!(version)),
                    "{command:?}"
                );
            }
            Outcome::Refused { code } => {
                assert_eq!(
                    (&answer["status"], &answer["code"]),
                    (&json!(422), &json!(code)),
                    "{command:?}"
                );
            }
        }
    }
}

/// Positions are dense, every acknowledged command's event is there once, and the read models equal the fold of them.
async fn check_events(
    data: &Path,
    commands: &[Command],
    answers: &BTreeMap<String, Vec<Value>>,
    shown: &BTreeMap<String, Vec<String>>,
) {
    let store = SqliteEventStore::open(data).unwrap();
    let by_id: HashMap<&str, &Command> = commands
        .iter()
        .map(|command| (&*command.command_id, command))
        .collect();
    let mut reference = Reference::default();
    let mut recorded = HashMap::<String, u64>::new();
    let mut last = Position::START;
    loop {
        let page = store.read_all(last, 1_000).await.unwrap();
        let Some(end) = page.last() else { break };
        for event in &page {
            last = last.next();
            assert_eq!(event.position, last, "positions are dense");
            let doubled = recorded.insert(event.causation_id.to_string(), event.position.0);
            assert_eq!(doubled, None, "{} is recorded twice", event.causation_id);
            let command = by_id
                .get(&*event.causation_id)
                .map_or_else(last_command, |command| (*command).clone());
            let envelope = json!({
                "type": &*event.event_type, "version": event.version.0, "time": event.time.to_string(),
                "data": event.data.to_value(),
            });
            reference.record(&command, &envelope).unwrap();
        }
        assert_eq!(end.position, last);
    }
    for (id, answer) in answers
        .iter()
        .flat_map(|(id, all)| all.iter().map(move |answer| (id, answer)))
    {
        if answer["status"] == 200 {
            assert_eq!(
                answer["position"].as_u64(),
                recorded.get(id).copied(),
                "the event of {id}"
            );
        }
    }
    for (collection, documents) in reference.documents() {
        let mut expected: Vec<String> = documents.values().map(Value::to_string).collect();
        expected.sort_unstable();
        assert_eq!(shown[collection], expected, "{collection}");
    }
}

/// The command that [`read_models`] has sent to know the head.
fn last_command() -> Command {
    Command {
        aggregate: "post".to_owned(),
        id: "the-last".to_owned(),
        command: "create".to_owned(),
        payload: json!({"author": "z", "message": "z"}),
        command_id: "the-last".to_owned(),
    }
}
