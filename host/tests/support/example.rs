//! The example's six thousand commands, sent to a host that is disturbed meanwhile, and what must be true at the end.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhost::event_store::EventStore;
use foldhost::message::Position;
use foldhost::stores;
use posts_reference::{Command, Outcome, Reference};
use serde_json::{Value, json};

use super::{Client, Folder, HostProcess, Profile, Sender, free_port, plugins_folder, root};

const PLUGINS: [&str; 4] = ["post", "posts", "authors", "activity"];

/// The example under way.
pub(crate) struct Example {
    folder: Folder,
    pub(crate) port: u16,
    pub(crate) profile: Profile,
    pub(crate) commands: Vec<Command>,
    pub(crate) sender: Sender,
    before: usize,
}

impl Example {
    /// Starts a host on a fresh folder, waits until it is ready, and begins to send the first `most` commands.
    pub(crate) async fn start(profile: Profile, most: usize) -> (Self, HostProcess) {
        let (example, host) = Self::start_unready(profile, most, &[]);
        (example, host.ready().await)
    }

    /// Starts a host with more in its environment, and begins to send the first `most` commands.
    pub(crate) fn start_unready(
        profile: Profile,
        most: usize,
        environment: &[(&str, &str)],
    ) -> (Self, HostProcess) {
        let (folder, port) = (Folder::new(), free_port());
        plugins_folder(&folder.path().join("plugins"), &PLUGINS);
        let whole = root().join("examples/posts/commands.jsonl");
        let text = std::fs::read_to_string(whole).expect("the example can be read");
        let text: String = text.split_inclusive('\n').take(most).collect();
        let file = folder.path().join("commands.jsonl");
        std::fs::write(&file, &text).expect("the example can be written");
        let receipts = folder.path().join("receipts.jsonl");
        let mut example = Self {
            sender: Sender::start(&file, Client::local(port).base(), &receipts),
            commands: posts_commands::read_lines(&text).expect("the example is whole"),
            folder,
            port,
            profile,
            before: 0,
        };
        let host = example.spawn_in(environment);
        assert!(example.sender.is_sending(), "it waits for the host");
        (example, host)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts a host in the same folder, on the same port, and waits for nothing.
    pub(crate) fn spawn(&self) -> HostProcess {
        self.spawn_in(&[])
    }

    /// Starts a host with more in its environment, and waits for nothing.
    pub(crate) fn spawn_in(&self, environment: &[(&str, &str)]) -> HostProcess {
        let plugins = self.folder.path().join("plugins");
        HostProcess::spawn_with(
            &self.profile,
            self.port,
            &self.data(),
            &plugins,
            environment,
        )
    }

    /// Waits for a moment of its own each time, with answers since the last, of `times` moments over the whole example.
    pub(crate) async fn moment(&mut self, times: usize) {
        let before = self.before;
        assert!(
            self.moment_or_end(times).await && self.before > before,
            "{} answers, {before} at the last moment",
            self.before
        );
    }

    /// The same where the example may come to its end meanwhile; tells whether it has not.
    pub(crate) async fn moment_or_end(&mut self, times: usize) -> bool {
        let random = usize::from(uuid::Uuid::now_v7().as_bytes()[15]);
        let wanted = self.before + 1 + random * self.commands.len() / (times + 1) / 512;
        self.before = self.answers(wanted).await;
        self.sender.is_sending()
    }

    /// Waits until so many commands are answered.
    pub(crate) async fn answers(&mut self, wanted: usize) -> usize {
        let deadline = Instant::now() + Duration::from_secs(180);
        loop {
            let answered = self.sender.answered();
            if answered >= wanted || !self.sender.is_sending() {
                return answered;
            }
            assert!(
                Instant::now() < deadline,
                "{answered} answers, {wanted} wanted"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Sends the rest, and holds everything to the independent reference.
    pub(crate) async fn finish(self, host: HostProcess) {
        let (data, commands, profile) = (self.data(), self.commands, self.profile);
        let sender = self.sender;
        let answers = tokio::task::spawn_blocking(move || sender.finish())
            .await
            .expect("the sender is awaited");
        let host = host.ready().await;
        let shown = read_models(&host.client).await;
        host.kill();
        check_answers(&commands, &answers);
        let store = stores::open_event_store(&profile.config(&data)).await;
        let store = store.expect("the event store can be opened");
        check_events(store, &commands, &answers, &shown).await;
    }
}

/// The three read models with every event in them, in one canonical order.
async fn read_models(client: &Client) -> BTreeMap<String, Vec<String>> {
    let head = client
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
        client.reached(&path).await;
        let mut documents: Vec<String> = client
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
    store: Arc<dyn EventStore>,
    commands: &[Command],
    answers: &BTreeMap<String, Vec<Value>>,
    shown: &BTreeMap<String, Vec<String>>,
) {
    let by_id: HashMap<&str, &Command> = commands
        .iter()
        .map(|command| (&*command.command_id, command))
        .collect();
    let mut reference = Reference::default();
    let mut recorded = HashMap::<String, u64>::new();
    let mut last = Position::START;
    loop {
        let page = store
            .read_all(last, 1_000)
            .await
            .expect("the store answers");
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
            reference
                .record(&command, &envelope)
                .expect("the store answers");
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
