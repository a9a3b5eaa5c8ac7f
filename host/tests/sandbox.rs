//! Every way in which a plugin can misbehave, and that it costs nobody else anything.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::time::{Duration, Instant};

use foldhost::message::{Command, Expected, Json, StreamId};
use serde_json::{Value, json};
use support::{Client, TestHost, eventually};

/// A deadline that only a call without end can miss, on a machine however busy.
fn patient(config: &mut foldhost::Config) {
    config.limits.deadline_ms = 2_000;
    // Room for what is too large to come out.
    config.limits.memory_mib = 256;
}

/// What the library says of a failing command: what the log shows, and HTTP does not.
async fn told(host: &TestHost, command: &str) -> String {
    let command = Command {
        stream: StreamId::parse("saboteur-1").unwrap(),
        name: command.into(),
        payload: Json::from(&json!({})),
        command_id: None,
        expected: Expected::Any,
        correlation_id: None,
        actor: "test".into(),
        metadata: Json::from(&json!({})),
    };
    host.host.dispatch(command).await.unwrap_err().to_string()
}

/// What a harmful command is answered with: status, code, and words of the reason.
const HARMFUL: &[(&str, u16, &str, &str)] = &[
    (
        "loop-forever",
        504,
        "plugin-too-slow",
        "plugin saboteur did not finish decide within 2000 ms",
    ),
    ("chatter", 504, "plugin-too-slow", "within 2000 ms"),
    (
        "recurse",
        500,
        "plugin-failed",
        "the call stack grew too deep",
    ),
    (
        "allocate",
        500,
        "plugin-failed",
        "wanted more than 256 MiB of memory",
    ),
    (
        "grow",
        500,
        "plugin-failed",
        "wanted more than 256 MiB of memory",
    ),
    (
        "panic",
        500,
        "plugin-failed",
        "the saboteur panics on purpose",
    ),
    ("sleep", 500, "plugin-failed", "a plugin may not sleep"),
    (
        "not-json",
        500,
        "plugin-failed",
        "the data of event Behaved: not JSON",
    ),
    (
        "undeclared-event",
        500,
        "plugin-failed",
        "event type \"NeverDeclared\" is not declared",
    ),
    (
        "undeclared-version",
        500,
        "plugin-failed",
        "has schema version 9, declared is 1",
    ),
    ("wrong-data", 500, "plugin-failed", "could not fold event 0"),
    ("huge-event", 500, "plugin-failed", "more than"),
    (
        "many-events",
        500,
        "plugin-failed",
        "events for one command, 1000 are the most",
    ),
    ("huge-rejection", 500, "plugin-failed", "more than"),
    (
        "break-evolve",
        500,
        "plugin-failed",
        "the saboteur cannot fold this on purpose",
    ),
];

/// What a poisonous event does to the projection, and words that the reason for parking must hold.
const POISONS: &[(&str, &str)] = &[
    ("loop", "did not finish project within 1000 ms"),
    ("recurse", "the call stack grew too deep"),
    ("allocate", "of memory in project"),
    ("grow", "of memory in project"),
    ("panic", "the saboteur panics on purpose"),
    ("sleep", "a plugin may not sleep"),
    ("fail", "the saboteur fails on purpose"),
    ("undeclared-collection", "saboteur_undeclared"),
    ("huge-document", "saboteur"),
    ("not-an-object", "is not an object"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_harmful_command_is_answered_with_its_own_error_and_stores_nothing() {
    let host = TestHost::start_with(&["saboteur"], patient).await;
    host.client
        .command("saboteur", "1", "behave", json!({}))
        .await
        .expect(200);
    for (command, status, code, words) in HARMFUL {
        let answer = host
            .client
            .command("saboteur", "1", command, json!({}))
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (*status, *code),
            "{command}: {answer:?}"
        );
        assert!(
            answer.body["detail"]
                .as_str()
                .unwrap()
                .contains("plugin saboteur"),
            "{command}: {answer:?}"
        );
        let reason = told(&host, command).await;
        assert!(reason.contains(words), "{command}: {reason}");
        host.client
            .command("saboteur", "1", "behave", json!({}))
            .await
            .expect(200);
    }
    let state = host
        .client
        .get("/v1/aggregates/saboteur/1")
        .await
        .expect(200)
        .body;
    assert_eq!(state["state"]["behaved"], HARMFUL.len() + 1);
    assert_eq!(state["version"], HARMFUL.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_told_with_its_place() {
    let host = TestHost::start(&["saboteur"]).await;
    let reason = told(&host, "panic").await;
    assert!(reason.contains("harm.rs:"), "{reason}");
}

/// Sends fifty healthy commands, every fifth to the plugin that misbehaves; gives how long the slowest took.
async fn fifty_healthy(client: Client, sender: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for number in 0..50 {
        let started = Instant::now();
        let answer = if number % 5 == 0 {
            let id = format!("healthy-{sender}");
            client.command("saboteur", &id, "behave", json!({})).await
        } else {
            let id = ((sender * 7 + number) % 50).to_string();
            client.command("post", &id, "like", json!({})).await
        };
        answer.expect(200);
        slowest = slowest.max(started.elapsed());
    }
    slowest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_healthy_requests_succeed_within_a_second_each_while_others_misbehave() {
    let host = TestHost::start(&["saboteur", "post"]).await;
    for post in 0..50 {
        let payload = json!({"author": "ada", "message": "hello"});
        host.client
            .command("post", &post.to_string(), "create", payload)
            .await
            .expect(200);
    }
    let harm =
        HARMFUL
            .iter()
            .flat_map(|harm| [harm; 2])
            .enumerate()
            .map(|(number, (command, ..))| {
                let client = host.client.clone();
                let id = format!("harmful-{}", number % 3);
                tokio::spawn(
                    async move { client.command("saboteur", &id, command, json!({})).await },
                )
            });
    let harm: Vec<_> = harm.collect();
    let healthy = (0..20).map(|sender| tokio::spawn(fifty_healthy(host.client.clone(), sender)));
    for sender in healthy.collect::<Vec<_>>() {
        let slowest = sender.await.unwrap();
        assert!(
            slowest < Duration::from_secs(1),
            "the slowest healthy request took {slowest:?}"
        );
    }
    for harm in harm {
        // On a busy machine the deadline may come before the other limit.
        let answer = harm.await.unwrap();
        assert!(
            ["plugin-failed", "plugin-too-slow"].contains(&answer.code()),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_the_commands_time_seeded_randomness_and_nothing_else() {
    let host = TestHost::start(&["saboteur"]).await;
    host.client
        .command("saboteur", "1", "read-clock", json!({}))
        .await
        .expect(200);
    host.client
        .command("saboteur", "1", "read-files", json!({}))
        .await
        .expect(200);
    let events = host.client.all("/v1/streams/saboteur/1").await;
    let shown = events[0]["data"]["system_micros"].as_i64().unwrap();
    let time = foldhost::message::Time::parse(events[0]["time"].as_str().unwrap()).unwrap();
    assert_eq!(
        shown / 1_000,
        time.0 / 1_000,
        "the clock shows the command's time"
    );
    assert_eq!(
        events[0]["data"]["elapsed_nanos"], 0,
        "the steady clock stands still"
    );
    let files = events[1]["data"]["files"].as_array().unwrap();
    assert!(
        files
            .iter()
            .all(|answer| !answer.as_str().unwrap().contains("bytes")),
        "{files:?}"
    );
    let none: &[Value] = &[];
    assert_eq!(events[1]["data"]["environment"].as_array().unwrap(), none);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_draws_the_same_randomness_and_another_one_draws_other() {
    let host = TestHost::start(&["saboteur"]).await;
    let mut draws = Vec::new();
    for key in ["a", "b"] {
        let header = [("idempotency-key", key)];
        host.client
            .command_with("saboteur", key, "read-random", json!({}), &header)
            .await
            .expect(200);
        let events = host
            .client
            .all(&format!("/v1/streams/saboteur/{key}"))
            .await;
        draws.push(events[0]["data"]["draws"].clone());
    }
    assert_ne!(draws[0], draws[1]);
    assert_ne!(draws[0][0], draws[0][1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_poisonous_event_is_parked_with_its_reason_and_everything_else_goes_on() {
    let host = TestHost::start(&["saboteur"]).await;
    for (how, _) in POISONS {
        let id = format!("poisoned-{how}");
        host.client
            .command("saboteur", &id, "behave", json!({}))
            .await
            .expect(200);
        host.client
            .command("saboteur", &id, "poison", json!({"how": how}))
            .await
            .expect(200);
        host.client
            .command("saboteur", &id, "behave", json!({}))
            .await
            .expect(200);
    }
    let last = host
        .client
        .command("saboteur", "healthy", "behave", json!({"times": 7}))
        .await
        .expect(200)
        .position();
    let path = format!("/v1/collections/saboteur/healthy?wait_for={last}&timeout=60000");
    assert_eq!(host.client.get(&path).await.expect(200).body["behaved"], 7);
    let parked = host.client.all("/v1/projections/saboteur/parked").await;
    assert_eq!(
        parked.len(),
        2 * POISONS.len(),
        "each poison, and the event behind it: {parked:?}"
    );
    for ((how, words), pair) in POISONS.iter().zip(parked.chunks(2)) {
        let reason = pair[0]["error"].as_str().unwrap();
        assert!(reason.contains(words), "{how}: {reason}");
        assert_eq!(
            pair[1]["error"],
            Value::Null,
            "{how}: the event behind it has no error of its own"
        );
        let document = host
            .client
            .get(&format!("/v1/collections/saboteur/poisoned-{how}"))
            .await
            .expect(200)
            .body;
        assert_eq!(
            document["behaved"], 1,
            "{how}: what came before stands, what came after waits"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_an_own_write_that_is_parked_says_so() {
    let host = TestHost::start(&["saboteur"]).await;
    let parked = host
        .client
        .command("saboteur", "1", "poison", json!({"how": "fail"}))
        .await
        .expect(200)
        .position();
    let path = format!("/v1/queries/best-saboteurs?wait_for={parked}&timeout=60000");
    let answer = host.client.get(&path).await.expect(200);
    assert_eq!(
        answer.headers["foldhost-parked"],
        parked.to_string().as_str()
    );
    let healthy = host
        .client
        .command("saboteur", "2", "behave", json!({}))
        .await
        .expect(200)
        .position();
    let answer = host
        .client
        .get(&format!("/v1/queries/best-saboteurs?wait_for={healthy}"))
        .await
        .expect(200);
    assert!(!answer.headers.contains_key("foldhost-parked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_streams_stay_parked_over_a_restart() {
    let host = TestHost::start(&["saboteur"]).await;
    host.client
        .command("saboteur", "1", "poison", json!({"how": "fail"}))
        .await
        .expect(200);
    eventually("the event is parked", async || {
        let parked = host.host.projections()[0].parked;
        if parked == 1 { Ok(()) } else { Err(parked) }
    })
    .await;
    let folder = host.stop().await;
    let host = TestHost::start_in(folder, |_| {}).await;
    let behind = host
        .client
        .command("saboteur", "1", "behave", json!({}))
        .await
        .expect(200)
        .position();
    host.client
        .get(&format!("/v1/queries/best-saboteurs?wait_for={behind}"))
        .await
        .expect(200);
    assert_eq!(
        host.client
            .all("/v1/projections/saboteur/parked")
            .await
            .len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_breaks_its_planner_is_told_and_the_next_one_is_answered() {
    let host = TestHost::start(&["saboteur"]).await;
    host.client
        .command("saboteur", "1", "behave", json!({}))
        .await
        .expect(200);
    host.client
        .get("/v1/queries/plan-badly?how=loop")
        .await
        .expect(504);
    host.client
        .get("/v1/queries/plan-badly?how=panic")
        .await
        .expect(500);
    host.client
        .get("/v1/queries/best-saboteurs")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_to_come_out_of_a_call_is_refused() {
    let host = TestHost::start_with(&["saboteur"], |config| {
        patient(config);
        config.limits.events_per_command = 100_000;
        config.limits.output_kib = 256;
    })
    .await;
    let reason = told(&host, "many-events").await;
    assert!(reason.contains("gave more than 256 KiB"), "{reason}");
    let behaved = host.client.command("saboteur", "1", "behave", json!({}));
    behaved.await.expect(200);
}

/// Each limit has a test on both sides of its edge.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_events_per_command_admits_what_is_within_it() {
    let host = TestHost::start_with(&["saboteur"], |config| {
        patient(config);
        config.limits.events_per_command = 100_000;
    })
    .await;
    let answer = host
        .client
        .command("saboteur", "1", "many-events", json!({}))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body["detail"]);
    let state = host
        .client
        .get("/v1/aggregates/saboteur/1")
        .await
        .expect(200)
        .body;
    assert_eq!(state["state"]["behaved"], 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_configurable_per_plugin() {
    let tight = foldhost::plugin::Limits {
        deadline_ms: 30,
        ..foldhost::plugin::Limits::default()
    };
    let change = |config: &mut foldhost::Config| {
        config.plugin_limits.insert("saboteur".to_owned(), tight);
    };
    let host = TestHost::start_with(&["saboteur"], change).await;
    let answer = host
        .client
        .command("saboteur", "1", "loop-forever", json!({}))
        .await
        .expect(504);
    assert!(
        answer.body["detail"]
            .as_str()
            .unwrap()
            .contains("within 30 ms"),
        "{answer:?}"
    );
}
