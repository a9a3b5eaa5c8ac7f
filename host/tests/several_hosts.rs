//! Two hosts on the same servers: one truth, one order, and neither is ever behind what a client knows.

#![allow(clippy::expect_used, reason = "helpers of tests fail like tests")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhost::message::Position;
use foldhost::stores;
use serde_json::{Value, json};
use support::{
    Answer, Client, Folder, HostProcess, Profile, Servers, component, eventually, free_port,
    missing, plugins_folder,
};
use tokio::task::JoinSet;

/// Two hosts with folders of their own and everything else together.
struct Pair {
    folder: Folder,
    profile: Profile,
    hosts: Vec<HostProcess>,
}

/// How many times something is tried, in every run and with `--full`.
fn times(usually: u64, fully: u64) -> u64 {
    if std::env::var_os("FOLDHOST_TEST_FULL").is_some() {
        fully
    } else {
        usually
    }
}

impl Pair {
    /// Starts both; where there are no servers, the test is named as missing.
    async fn start(test: &str) -> Option<Self> {
        let servers = match Servers::of_environment() {
            Ok(servers) => servers,
            Err(what) => {
                missing(test, &what);
                return None;
            }
        };
        let (folder, profile) = (Folder::new(), Profile::shared(servers));
        plugins_folder(&folder.path().join("plugins"), &["post", "posts"]);
        let first = Self::host(&folder, &profile, "first").ready().await;
        let second = Self::host(&folder, &profile, "second").ready().await;
        Some(Self {
            folder,
            profile,
            hosts: vec![first, second],
        })
    }

    fn host(folder: &Folder, profile: &Profile, name: &str) -> HostProcess {
        let (data, plugins) = (folder.path().join(name), folder.path().join("plugins"));
        HostProcess::spawn_with(profile, free_port(), &data, &plugins, &[])
    }

    fn client(&self, host: u64) -> &Client {
        &self.hosts[usize::from(host % 2 == 1)].client
    }

    fn clients(&self) -> [Client; 2] {
        [self.client(0).clone(), self.client(1).clone()]
    }

    /// Every event, as the store gives them.
    async fn positions(&self) -> Vec<(u64, String, u64)> {
        let config = self.profile.config(&self.folder.path().join("first"));
        let store = stores::open_event_store(&config)
            .await
            .expect("the store opens");
        let (mut last, mut all) = (Position::START, Vec::new());
        loop {
            let page = store
                .read_all(last, 1_000)
                .await
                .expect("the store answers");
            let Some(end) = page.last() else { return all };
            last = end.position;
            let seen = page.iter();
            all.extend(seen.map(|it| (it.position.0, it.stream.to_string(), it.version.0)));
        }
    }
}

async fn create(client: &Client, id: &str) -> Answer {
    let payload = json!({"author": "ada", "message": "hello"});
    client.command("post", id, "create", payload).await
}

async fn like(client: &Client, id: &str) -> Answer {
    client.command("post", id, "like", json!({})).await
}

async fn document(client: &Client, id: &str, position: u64) -> Answer {
    let path = format!("/v1/collections/posts/{id}?wait_for={position}&timeout=30000");
    client.get(&path).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_write_to_the_same_streams_and_positions_and_versions_stay_dense() {
    const POSTS: u64 = 5;
    let Some(pair) = Pair::start("both_write_to_the_same_streams").await else {
        return;
    };
    for post in 0..POSTS {
        create(pair.client(post), &post.to_string())
            .await
            .expect(200);
    }
    let likes = times(400, 4_000);
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let client = pair.client(sender).clone();
        senders.spawn(async move {
            for number in (sender..likes).step_by(8) {
                let post = (number / 8 % POSTS).to_string();
                like(&client, &post).await.expect(200);
            }
        });
    }
    senders.join_all().await;
    let all = pair.positions().await;
    assert_eq!(all.len() as u64, POSTS + likes);
    let mut versions = BTreeMap::<&str, u64>::new();
    for (expected, (position, stream, version)) in (1..).zip(&all) {
        let before = versions.entry(stream).or_default();
        *before += 1;
        assert_eq!((*position, *version), (expected, *before));
    }
    let mut counted = 0;
    for post in 0..POSTS {
        for client in pair.clients() {
            let answer = document(&client, &post.to_string(), POSTS + likes)
                .await
                .expect(200);
            counted += answer.body["likes"].as_u64().unwrap_or_default();
        }
    }
    assert_eq!(counted, 2 * likes, "seen by both hosts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_read_at_either_host_as_soon_as_its_position_is_waited_for() {
    let Some(pair) = Pair::start("what_was_written_is_read_at_either_host").await else {
        return;
    };
    let tries = times(400, 10_000);
    let clients = Arc::new(pair.clients());
    let mut senders = JoinSet::new();
    for sender in 0..8_u64 {
        let clients = Arc::clone(&clients);
        senders.spawn(async move {
            for number in (sender..tries).step_by(8) {
                let id = number.to_string();
                let at = usize::from(number % 3 == 0);
                let position = create(&clients[at], &id).await.expect(200).position();
                for client in clients.iter() {
                    let answer = document(client, &id, position).await.expect(200);
                    assert_eq!(answer.body["post_id"], Value::from(id.as_str()));
                }
            }
        });
    }
    senders.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_created_the_other_uses_at_once_and_never_refuses_falsely() {
    let Some(pair) = Pair::start("what_one_created_the_other_uses_at_once").await else {
        return;
    };
    let pairs = times(300, 10_000);
    let clients = Arc::new(pair.clients());
    let mut senders = JoinSet::new();
    for sender in 0..8_u64 {
        let clients = Arc::clone(&clients);
        senders.spawn(async move {
            for number in (sender..pairs).step_by(8) {
                let (here, there) = (
                    &clients[usize::from(number % 2 == 0)],
                    &clients[usize::from(number % 2 == 1)],
                );
                let id = number.to_string();
                // The other host has seen that there is nothing, and may remember it.
                like(there, &id).await.expect(422);
                create(here, &id).await.expect(200);
                like(there, &id).await.expect(200);
                // And the first one's memory is behind now.
                let answer = like(here, &id).await.expect(200);
                assert_eq!(answer.body["version"], 3);
            }
        });
    }
    senders.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_at_one_host_reaches_the_other_and_fails_no_request() {
    let Some(pair) = Pair::start("an_activation_at_one_host_reaches_the_other").await else {
        return;
    };
    create(pair.client(0), "1").await.expect(200);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut senders = JoinSet::new();
    for sender in 0..6_u64 {
        let (client, stopped) = (pair.client(sender).clone(), stopped.clone());
        senders.spawn(async move {
            let mut sent = 0_u64;
            while !*stopped.borrow() {
                like(&client, "1").await.expect(200);
                sent += 1;
            }
            sent
        });
    }
    for plugin in ["post-variant", "post", "post-variant"] {
        let answer = pair
            .client(0)
            .put("/v1/plugins/post", component(plugin))
            .await;
        let digest = answer.expect(200).body["digest"].clone();
        let path = "/v1/plugins/post/activate";
        pair.client(0)
            .post(path, json!({"digest": digest}))
            .await
            .expect(200);
        for client in pair.clients() {
            eventually("that a host decides with the new version", || async {
                let answer = client.get("/v1/plugins").await;
                let items = answer.body["items"].as_array().cloned().unwrap_or_default();
                let is = |item: &&Value| item["digest"] == digest;
                items.iter().find(is).map(|_| ()).ok_or(answer)
            })
            .await;
        }
    }
    stop.send_replace(true);
    let sent = senders.join_all().await;
    assert!(sent.iter().all(|sent| *sent > 0), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_host_is_killed_the_other_one_folds_on() {
    let Some(mut pair) = Pair::start("whichever_host_is_killed").await else {
        return;
    };
    for round in 0..4_u64 {
        let (killed, other) = (round % 2, (round + 1) % 2);
        let position = create(pair.client(killed), &format!("{round}-a"))
            .await
            .expect(200)
            .position();
        document(pair.client(other), &format!("{round}-a"), position)
            .await
            .expect(200);
        let at = usize::from(killed == 1);
        pair.hosts.remove(at).kill();
        let client = pair.hosts[0].client.clone();
        let position = create(&client, &format!("{round}-b"))
            .await
            .expect(200)
            .position();
        document(&client, &format!("{round}-b"), position)
            .await
            .expect(200);
        let name = ["first", "second"][at];
        let fresh = Pair::host(&pair.folder, &pair.profile, name).ready().await;
        pair.hosts.insert(at, fresh);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stood_still_and_goes_on_changes_nothing() {
    let Some(pair) = Pair::start("a_host_that_stood_still_and_goes_on").await else {
        return;
    };
    create(pair.client(0), "1").await.expect(200);
    let mut likes = 0;
    for round in 0..2 {
        let (stopped, other) = (&pair.hosts[round], &pair.hosts[1 - round].client);
        signal(stopped, "STOP");
        for _ in 0..20 {
            like(other, "1").await.expect(200);
            likes += 1;
        }
        // Deleted, and made anew, while the former owner may still hold its own writes.
        create(other, &format!("r{round}")).await.expect(200);
        other
            .command(
                "post",
                &format!("r{round}"),
                "delete",
                json!({"username": "ada"}),
            )
            .await
            .expect(200);
        let position = like(other, "1").await.expect(200).position();
        likes += 1;
        let seen = document(other, "1", position).await.expect(200);
        assert_eq!(seen.body["likes"], likes, "the other one has taken over");
        signal(stopped, "CONT");
        for client in pair.clients() {
            let seen = document(&client, "1", position).await.expect(200);
            assert_eq!(seen.body["likes"], likes);
            let gone = client.get(&format!("/v1/collections/posts/r{round}")).await;
            assert_eq!(gone.status, 404, "{gone:?}");
        }
    }
}

fn signal(host: &HostProcess, name: &str) {
    let id = host.id().to_string();
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), &id])
        .status();
    assert!(sent.expect("a signal can be sent").success());
}
