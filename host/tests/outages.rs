//! Servers that are killed, that are not there at the start, that vanish and come back: nothing acknowledged is lost, the
//! rest goes on, and nobody has to restart anything.

mod support;

use foldhost_test_servers::Kind;
use serde_json::{Value, json};
use support::{
    Client, Example, Folder, HostProcess, OwnServers, Profile, eventually, free_port,
    plugins_folder,
};

/// Three servers and a host are as much as the machine bears at a time.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// How often a server is killed, during how many commands.
fn kills() -> (usize, usize) {
    if std::env::var_os("FOLDHOST_TEST_FULL").is_some() {
        (10, usize::MAX)
    } else {
        (2, 2_000)
    }
}

async fn survives_kills_of(kind: Kind, test: &str) {
    let _one = ONE_AT_A_TIME.lock().await;
    let Some(mut servers) = OwnServers::start(test) else {
        return;
    };
    let profile = Profile::shared(servers.servers());
    let (kills, commands) = kills();
    let (mut example, host) = Example::start(profile, commands).await;
    for kill in 0..kills {
        // A broker takes so long to come back that the example may be over before the last kill; then the relay and the
        // projections are still at work.
        assert!(example.moment_or_end(kills).await || kill > 0);
        servers.kill(kind);
        servers.restart(kind);
    }
    example.finish(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_killed_in_the_middle_of_the_example_and_nothing_is_lost_or_doubled() {
    survives_kills_of(Kind::Postgres, "postgres_is_killed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_is_killed_in_the_middle_of_the_example_and_nothing_is_lost_or_doubled() {
    survives_kills_of(Kind::Kafka, "the_broker_is_killed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_read_store_is_killed_in_the_middle_of_the_example_and_nothing_is_lost_or_doubled() {
    survives_kills_of(Kind::Mongodb, "the_read_store_is_killed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_starts_without_its_servers_says_so_and_serves_when_they_come() {
    let _one = ONE_AT_A_TIME.lock().await;
    let Some(mut servers) = OwnServers::start("a_host_starts_without_its_servers") else {
        return;
    };
    let profile = Profile::shared(servers.servers());
    for kind in Kind::ALL {
        servers.kill(kind);
    }
    let folder = Folder::new();
    let host = start(&folder, &profile);
    let client = host.client.clone();
    let reasons = eventually("that both stores are named", || async {
        let answer = client
            .try_get("/readyz")
            .await
            .map_err(|error| error.to_string())?;
        let reasons = answer.body["reasons"].to_string();
        let named = reasons.contains("event store") && reasons.contains("read store");
        if answer.status == 503 && named {
            Ok(reasons)
        } else {
            Err(reasons)
        }
    })
    .await;
    assert!(!reasons.contains("postgres:"), "no credentials: {reasons}");
    client.get("/healthz").await.expect(200);
    let answer = create(&client, "1").await.expect(503);
    assert_eq!(answer.code(), "unavailable");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    client.get("/v1/collections/posts").await.expect(503);
    for kind in Kind::ALL {
        servers.restart(kind);
    }
    let host = host.ready().await;
    let position = create(&client, "1").await.expect(200).position();
    reads(&client, "1", position).await;
    host.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_need_the_event_store_alone_and_queries_the_read_store_alone() {
    let _one = ONE_AT_A_TIME.lock().await;
    let Some(mut servers) = OwnServers::start("commands_need_the_event_store_alone") else {
        return;
    };
    let profile = Profile::shared(servers.servers());
    let folder = Folder::new();
    let host = start(&folder, &profile).ready().await;
    let client = host.client.clone();
    let first = create(&client, "1").await.expect(200).position();
    reads(&client, "1", first).await;

    servers.kill(Kind::Kafka);
    servers.kill(Kind::Mongodb);
    let second = create(&client, "2").await.expect(200).position();
    let answer = client.get("/v1/collections/posts/1").await.expect(503);
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    not_ready(&client, "read store").await;

    servers.restart(Kind::Mongodb);
    // Over the event store, since the broker is still away.
    reads(&client, "2", second).await;

    servers.kill(Kind::Postgres);
    client.get("/v1/collections/posts/1").await.expect(200);
    let answer = create(&client, "3").await.expect(503);
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    not_ready(&client, "event store").await;

    servers.restart(Kind::Postgres);
    servers.restart(Kind::Kafka);
    let third = eventually("that the third is accepted", || async {
        let answer = create(&client, "3").await;
        if answer.status == 200 {
            Ok(answer.position())
        } else {
            Err(answer)
        }
    })
    .await;
    reads(&client, "3", third).await;
    host.ready().await.kill();
}

fn start(folder: &Folder, profile: &Profile) -> HostProcess {
    let (data, plugins) = (folder.path().join("data"), folder.path().join("plugins"));
    plugins_folder(&plugins, &["post", "posts"]);
    HostProcess::spawn_with(profile, free_port(), &data, &plugins, &[])
}

async fn create(client: &Client, id: &str) -> support::Answer {
    let payload = json!({"author": "ada", "message": "hello"});
    // The same identity, however often it is tried.
    client
        .command_with("post", id, "create", payload, &[("idempotency-key", id)])
        .await
}

/// The document is there as of a position.
async fn reads(client: &Client, id: &str, position: u64) {
    let path = format!("/v1/collections/posts/{id}?wait_for={position}&timeout=30000");
    let read = eventually("that the document is read", || async {
        let answer = client.get(&path).await;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(answer)
        }
    });
    assert_eq!(read.await["post_id"], Value::from(id));
}

async fn not_ready(client: &Client, why: &str) {
    eventually("that it is not ready", || async {
        let answer = client.get("/readyz").await;
        let is_named = answer.body["reasons"].to_string().contains(why);
        if answer.status == 503 && is_named {
            Ok(())
        } else {
            Err(answer)
        }
    })
    .await;
}
