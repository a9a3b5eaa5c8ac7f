//! A PostgreSQL that comes back from a backup, under a running host, relay, topic and read models: whatever is ahead of it
//! stops and says so, and `store rebase` brings everything to one truth.

#![allow(clippy::expect_used, reason = "helpers of tests fail like tests")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use foldhost_test_servers::{Kind, Place, UntilDropped, cache};
use serde_json::json;
use support::{
    Client, Folder, HostProcess, Profile, Servers, eventually, free_port, missing, plugins_folder,
};

/// Events before the backup, and after it.
fn events() -> (u64, u64) {
    if std::env::var_os("FOLDHOST_TEST_FULL").is_some() {
        (500, 1_000)
    } else {
        (40, 100)
    }
}

/// A server of the test's own, a host on it, and everything that they have in common.
struct Scene {
    folder: Folder,
    profile: Profile,
    postgres: UntilDropped,
}

impl Scene {
    /// Starts the server; where one is missing, the test is named as missing.
    fn start(test: &str) -> Option<Self> {
        let server = Kind::Postgres
            .find(&cache())
            .expect("the cache can be read");
        let (server, servers) = match (server, Servers::of_environment()) {
            (Some(server), Ok(servers)) => (server, servers),
            (server, servers) => {
                let what = servers.err().filter(|_| server.is_some());
                missing(
                    test,
                    &what.unwrap_or_else(|| "PostgreSQL is not there".to_owned()),
                );
                return None;
            }
        };
        let place = Place::anywhere("restored").expect("a port is free");
        let postgres = server.start(&place).expect("it starts").until_dropped();
        let profile = Profile::shared(Servers {
            postgres: postgres.url().to_owned(),
            ..servers
        });
        let folder = Folder::new();
        plugins_folder(&folder.path().join("plugins"), &["post", "posts"]);
        Some(Self {
            folder,
            profile,
            postgres,
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    async fn host(&self, profile: &Profile) -> HostProcess {
        let plugins = self.folder.path().join("plugins");
        let host = HostProcess::spawn_with(profile, free_port(), &self.data(), &plugins, &[]);
        host.ready().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ahead_of_a_restored_store_stops_and_a_rebase_brings_all_to_one_truth() {
    let Some(mut scene) = Scene::start("what_is_ahead_of_a_restored_store_stops") else {
        return;
    };
    let host = scene.host(&scene.profile).await;
    let client = host.client.clone();
    let (before, after) = events();
    write(&client, "kept", before).await;
    let backup = scene.folder.path().join("backup");
    while_stopped(&mut scene.postgres, |data| copy(data, &backup));
    write(&client, "lost", after).await;
    relayed(&client).await;
    while_stopped(&mut scene.postgres, |data| {
        std::fs::remove_dir_all(data).expect("the data can be removed");
        copy(&backup, data);
    });

    everything_ahead_says_so(&client).await;
    // What was read before is still read, the truth goes on, and nobody takes the one for the other.
    client.get("/v1/collections/posts/lost-0").await.expect(200);
    client.get("/v1/streams/post/lost-0").await.expect(404);
    let position = create(&client, "new-0").await;
    assert_eq!(position, before + 1);
    let path = format!("/v1/collections/posts/new-0?wait_for={position}&timeout=500");
    client.get(&path).await.expect(503);
    host.kill();

    rebase(&scene.profile, &scene.data());
    let host = scene.host(&scene.profile.with_topic("fresh")).await;
    let position = create(&host.client, "new-1").await;
    let documents = documents_without_the_lost(&host.client, position).await;
    assert_eq!(documents as u64, before + 2);
    relayed(&host.client).await;
    host.kill();
}

async fn everything_ahead_says_so(client: &Client) {
    let reasons = eventually("that the projection and the relay say so", async || {
        let answer = client.get("/readyz").await;
        let reasons = answer.body["reasons"].to_string();
        let both = reasons.contains("projection posts: ") && reasons.contains("relay: ");
        if answer.status == 503 && both {
            Ok(reasons)
        } else {
            Err(answer)
        }
    });
    let reasons = reasons.await;
    assert!(reasons.contains("foldhost store rebase"), "{reasons}");
}

async fn documents_without_the_lost(client: &Client, position: u64) -> usize {
    let path = format!("/v1/collections/posts?wait_for={position}&limit=1000&timeout=30000");
    eventually("that the documents are the store's again", async || {
        let answer = client.get(&path).await;
        let lost = answer.body["items"].to_string().contains("lost-");
        match answer.body["items"].as_array() {
            Some(items) if answer.status == 200 && !lost => Ok(items.len()),
            _ => Err(answer.status),
        }
    })
    .await
}

async fn create(client: &Client, id: &str) -> u64 {
    let payload = json!({"author": "ada", "message": "hello"});
    let accepted = eventually("that a command is accepted", async || {
        let answer = client
            .command_with(
                "post",
                id,
                "create",
                payload.clone(),
                &[("idempotency-key", id)],
            )
            .await;
        if answer.status == 200 {
            Ok(answer)
        } else {
            Err(answer)
        }
    });
    accepted.await.position()
}

/// Writes posts, and waits until the last is read.
async fn write(client: &Client, what: &str, count: u64) {
    let mut position = 0;
    for number in 0..count {
        position = create(client, &format!("{what}-{number}")).await;
    }
    let path = format!("/v1/collections/posts?wait_for={position}&limit=1&timeout=60000");
    eventually("that the last one is read", async || {
        let answer = client.get(&path).await;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer)
        }
    })
    .await;
}

/// Waits until nothing is left to be carried to the topic.
async fn relayed(client: &Client) {
    eventually("that the relay has caught up", async || {
        let answer = client.get("/readyz").await;
        if answer.body["relay"]["lag"].as_u64() == Some(0) {
            Ok(())
        } else {
            Err(answer)
        }
    })
    .await;
}

fn while_stopped(postgres: &mut UntilDropped, work: impl FnOnce(&Path)) {
    tokio::task::block_in_place(|| {
        postgres.stop().expect("it can be stopped");
        let data = postgres.place.data.clone();
        work(&data);
        postgres.restart().expect("it comes back");
    });
}

/// With owners and modes, which the server is strict about.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.expect("cp can be run").success());
}

fn rebase(profile: &Profile, data: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foldhost"));
    command
        .args(["store", "rebase", "--yes", "--data"])
        .arg(data);
    let settings = profile.settings(data).into_iter();
    command.envs(settings.map(|(key, value)| (format!("FOLDHOST_{}", key.to_uppercase()), value)));
    let done = command.output().expect("the program can be run");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}
