//! What only PostgreSQL can be asked: several processes, outages, and administrators.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and what only they use"
)]
#![allow(dead_code, reason = "each test file uses a part of the helpers")]

mod support {
    pub(crate) mod entries;
    pub(crate) mod event_log_contract;
    pub(crate) mod event_store_contract;
    pub(crate) mod eventually;
    mod folder;
    mod missing;
    pub(crate) mod postgres;
    pub(crate) mod proxy;
    pub(crate) mod read_store_contract;
    pub(crate) mod sqlite;
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhost::event_store::writer::Writer;
use foldhost::event_store::{Entry, Error, EventStore, Outcome, StoredPlugin};
use foldhost::message::{Digest, Json, Position, Time};
use support::entries::{all, append, append_one, creating, fill, positions};
use support::eventually::eventually;
use support::postgres::{Schema, place};
use support::proxy::Proxy;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

/// Longer than anything here may take; a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_database_itself_refuses_to_change_events() {
    let Some(schema) = place().await else { return };
    let store = schema.store().await;
    fill(&store, "a", 3).await;
    for sql in [
        "UPDATE events SET actor = 'bert'",
        "DELETE FROM events WHERE position = 3",
        "TRUNCATE events",
        "INSERT INTO events SELECT * FROM events
            ON CONFLICT (position) DO UPDATE SET actor = 'bert'",
    ] {
        let error = schema.run(sql).await.unwrap_err().to_string();
        assert!(error.contains("insert-only"), "{sql}: {error}");
    }
    assert_eq!(positions(&all(&store).await), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_what_two_processes_write_at_once_each_event_once_and_in_order() {
    let Some(schema) = place().await else { return };
    let each = match std::env::var_os("FOLDHOST_TEST_FULL") {
        Some(_) => 50_000,
        None => 10_000,
    };
    let (one, other) = (schema.store().await, schema.store().await);
    let reader = schema.store().await;
    let writing = tokio::spawn(async move {
        tokio::join!(write(one, "one-", each), write(other, "other-", each))
    });
    let (mut head, mut seen) = (reader.head(), Vec::new());
    while seen.len() < 2 * each {
        let after = Position(seen.len() as u64);
        let moved = timeout(LONG, head.wait_for(|head| *head > after)).await;
        moved.expect("the head is moved").unwrap();
        seen.extend(positions(&reader.read_all(after, 1_000).await.unwrap()));
    }
    writing.await.unwrap();
    assert!(seen.into_iter().eq(1..=2 * each as u64));
}

#[tokio::test]
async fn what_only_people_can_put_right_is_one_line_without_the_password() {
    let Some(schema) = place().await else { return };
    let (before, database) = schema.url().rsplit_once('/').unwrap();
    let (user, _) = before.rsplit_once('@').unwrap();
    let (user, password) = user.rsplit_once(':').unwrap();
    let at = schema.address();
    for (url, reason) in [
        (
            format!("{user}:wrong-{password}@{at}/{database}"),
            "password",
        ),
        (
            format!("{user}:{password}@{at}/not_there"),
            "does not exist",
        ),
        (
            format!("{user}:{password}@{at}x/{database}"),
            "not a valid URL",
        ),
        (
            schema.url().replace("postgres", "mysql"),
            "not a PostgreSQL URL",
        ),
    ] {
        let error = schema.try_open(&url).await.err().unwrap();
        assert!(matches!(error, Error::CannotOpen { .. }), "{error:?}");
        let line = error.to_string();
        let shows_password = line.contains(&format!(":{password}@")) || line.contains("wrong-");
        assert!(!shows_password && !line.contains('\n'), "{line}");
        assert!(
            line.contains("event_store") && line.contains(reason),
            "{line}"
        );
    }
}

#[tokio::test]
async fn another_programs_schema_is_left_alone() {
    let Some(schema) = place().await else { return };
    let name = schema.name();
    let theirs = format!("CREATE SCHEMA {name}; CREATE TABLE {name}.theirs (x int)");
    schema.run(&theirs).await.unwrap();
    let error = schema.try_open(schema.url()).await.err().unwrap();
    assert!(error.to_string().contains("another program"), "{error}");
}

#[tokio::test]
async fn an_older_host_refuses_a_newer_schema() {
    let Some(schema) = place().await else { return };
    drop(schema.store().await);
    let newer = "INSERT INTO event_store_migrations (version, name) VALUES (99, 'of the future')";
    schema.run(newer).await.unwrap();
    let error = schema.try_open(schema.url()).await.err().unwrap();
    assert!(matches!(error, Error::TooNew { found: 99, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_open_a_fresh_schema_at_once_share_one_store() {
    let Some(schema) = place().await else { return };
    let opening = (0..6).map(|_| schema.store());
    let stores = futures_util::future::join_all(opening).await;
    for store in &stores {
        assert!(store.id().is_some() && store.id() == stores[0].id());
        fill(store, &Uuid::now_v7().to_string(), 1).await;
    }
    assert_eq!(positions(&all(&stores[0]).await), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_store_whose_server_is_away_is_opened_and_comes_up_by_itself() {
    let Some(schema) = place().await else { return };
    let proxy = Proxy::start(&schema.address()).await;
    proxy.cut();
    let url = schema.url_by_way_of(proxy.address());
    let store = schema.try_open(&url).await.unwrap();
    assert_eq!(
        (store.id(), *store.head().borrow()),
        (None, Position::START)
    );
    let asked = Instant::now();
    let appending = store.append(vec![creating("post-a", 1)].into()).await;
    let reading = store.read_all(Position::START, 10).await;
    assert!(
        matches!(appending, Err(Error::Unavailable { .. })),
        "{appending:?}"
    );
    assert!(
        matches!(reading, Err(Error::Unavailable { .. })),
        "{reading:?}"
    );
    assert!(asked.elapsed() < Duration::from_secs(1));
    proxy.restore();
    eventually("the store is reached", async || store.id().ok_or("no id")).await;
    append_one(&store, creating("post-a", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_amid_appends_lose_nothing_and_double_nothing() {
    let Some(schema) = place().await else { return };
    let proxy = Proxy::start(&schema.address()).await;
    let url = schema.url_by_way_of(proxy.address());
    let store = schema.try_open(&url).await.unwrap();
    let direct = schema.store().await;
    let (mut head, mut epoch) = (direct.head(), store.epoch());
    let writing = tokio::spawn(write(Arc::clone(&store), "a", 3_000));
    for cut in 1..=5_u64 {
        let some = Position(cut * 200);
        let moved = timeout(LONG, head.wait_for(|head| *head > some)).await;
        moved.expect("appends go on").unwrap();
        proxy.cut();
        proxy.restore();
        let again = timeout(LONG, epoch.changed()).await;
        again.expect("the store is reached again").unwrap();
    }
    writing.await.unwrap();
    let events = all(&direct).await;
    assert!(positions(&events).into_iter().eq(1..=3_000));
}

#[tokio::test]
async fn an_append_that_waits_too_long_is_unavailable_and_stores_nothing() {
    let Some(schema) = place().await else { return };
    let store = schema.store().await;
    let mut administrator = schema.administrator().await;
    let lock = "SELECT pg_advisory_lock(hashtextextended(current_schema() || '.append', 0))";
    sqlx::query(lock).execute(&mut administrator).await.unwrap();
    let entry = creating("post-a", 1);
    let result = timeout(LONG, store.append(vec![entry.clone()].into())).await;
    let result = result.expect("an append never hangs");
    assert!(
        matches!(result, Err(Error::Unavailable { .. })),
        "{result:?}"
    );
    drop(administrator);
    let repeated = || async { store.append(vec![entry.clone()].into()).await };
    let outcomes = eventually("the append stands", repeated).await;
    assert!(matches!(outcomes[..], [Outcome::Appended { head }] if head.position == Position(1)));
}

#[tokio::test]
async fn a_server_that_hangs_is_unavailable_soon_and_what_was_owned_is_lost() {
    let Some(schema) = place().await else { return };
    let proxy = Proxy::start(&schema.address()).await;
    let url = schema.url_by_way_of(proxy.address());
    let store = schema.try_open(&url).await.unwrap();
    let mut epoch = store.epoch();
    let mut owned = store.own("relay").await.unwrap().expect("nobody owns it");
    proxy.stall();
    let entry = creating("post-a", 1);
    let asked = Instant::now();
    let (appending, ()) = tokio::join!(store.append(vec![entry.clone()].into()), owned.lost());
    assert!(
        matches!(appending, Err(Error::Unavailable { .. })),
        "{appending:?}"
    );
    assert!(asked.elapsed() < Duration::from_secs(15));
    proxy.restore();
    let moved = timeout(LONG, epoch.changed()).await;
    moved.expect("the store is reached again").unwrap();
    let repeated = || async { store.append(vec![entry.clone()].into()).await };
    let outcomes = eventually("the fate of the append is known", repeated).await;
    assert!(
        matches!(
            outcomes[..],
            [Outcome::Appended { .. } | Outcome::Duplicate(_)]
        ),
        "{outcomes:?}"
    );
    assert_eq!(positions(&all(&store).await), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_large_for_one_message_is_taken_in_parts() {
    let Some(schema) = place().await else { return };
    let store = schema.store().await;
    let large = |to: &str| {
        let mut entry = creating(to, 1);
        entry.command.payload = Json::from_store(&format!("\"{}\"", "x".repeat(33 << 20)));
        entry
    };
    let batch = vec![large("post-a"), large("post-b")];
    let result = store.append(batch.clone().into()).await;
    assert!(matches!(result, Err(Error::Refused { .. })));
    let (writer, task) = Writer::new(Arc::clone(&store));
    let task = tokio::spawn(task);
    let answers = batch.into_iter().map(|entry| submit(&writer, entry));
    for answer in futures_util::future::join_all(answers).await {
        assert!(matches!(answer, Ok(Outcome::Appended { .. })));
    }
    drop(writer);
    task.await.unwrap();
}

#[tokio::test]
async fn work_is_owned_by_one_process_until_it_gives_it_back_or_its_session_dies() {
    let Some(schema) = place().await else { return };
    let named = format!("{}?application_name={}", schema.url(), schema.name());
    let (one, other) = (schema.store().await, schema.try_open(&named).await.unwrap());
    let first = one.own("relay").await.unwrap().expect("nobody owns it");
    assert!(other.own("relay").await.unwrap().is_none());
    assert!(other.own("another work").await.unwrap().is_some());
    drop(first);
    let take = || async { other.own("relay").await.unwrap().ok_or("owned by one") };
    let mut second = eventually("the work is given back", take).await;
    assert!(one.own("relay").await.unwrap().is_none());
    let kill = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
        schema.name()
    );
    schema.run(&kill).await.unwrap();
    let lost = timeout(Duration::from_secs(10), second.lost()).await;
    lost.expect("the loss is noticed");
    assert!(one.own("relay").await.unwrap().is_some());
}

#[tokio::test]
async fn a_rewritten_history_is_another_epoch() {
    let Some(schema) = place().await else { return };
    let follower = schema.store().await;
    fill(&follower, "a", 5).await;
    let mut epoch = follower.epoch();
    delete_from(&schema, 4).await;
    let restored = schema.store().await;
    fill(&restored, "b", 3).await;
    let moved = timeout(LONG, epoch.changed()).await;
    moved.expect("the epoch moves").unwrap();
    assert_eq!(*follower.head().borrow(), Position(6));
    assert_eq!(all(&follower).await, all(&restored).await);
    append_one(&follower, creating("post-c", 1)).await;
}

#[tokio::test]
async fn a_lost_tail_is_another_epoch_with_a_lower_head() {
    let Some(schema) = place().await else { return };
    let store = schema.store().await;
    fill(&store, "a", 5).await;
    let mut epoch = store.epoch();
    delete_from(&schema, 4).await;
    let moved = timeout(LONG, epoch.changed()).await;
    moved.expect("the epoch moves").unwrap();
    assert_eq!(*store.head().borrow(), Position(3));
    assert_eq!(
        append_one(&store, creating("post-b", 1)).await.position,
        Position(4)
    );
}

#[tokio::test]
async fn an_activation_is_noticed_by_other_processes() {
    let Some(schema) = place().await else { return };
    let (one, other) = (schema.store().await, schema.store().await);
    let mut changed = other.plugins_changed();
    let plugin = StoredPlugin {
        name: "post".into(),
        version: "1.0.0".into(),
        digest: Digest::of(b"1"),
        aggregate: Some("post".into()),
        installed_at: Time::now(),
    };
    let digest = plugin.digest;
    one.install_plugin(plugin, b"1".as_slice().into())
        .await
        .unwrap();
    one.activate_plugin("post", digest).await.unwrap();
    let moved = timeout(LONG, changed.changed()).await;
    moved.expect("the change is noticed").unwrap();
    assert_eq!(other.active_plugins().await.unwrap().len(), 1);
    let [outcome] = append(&other, [creating("post-a", 1)]).await;
    assert_eq!(
        outcome,
        Outcome::StalePlugin {
            active: Some(digest)
        }
    );
}

/// Takes the newest events away, as only an administrator can.
async fn delete_from(schema: &Schema, position: u64) {
    let sql = format!(
        "ALTER TABLE events DISABLE TRIGGER events_are_never_changed;
        DELETE FROM events WHERE position >= {position};
        ALTER TABLE events ENABLE TRIGGER events_are_never_changed"
    );
    schema.run(&sql).await.unwrap();
}

/// Appends events, each on a stream of its own, through a writer as a host does; repeats what has an unknown fate.
async fn write(store: Arc<dyn EventStore>, prefix: &str, count: usize) {
    let (writer, task) = Writer::new(store);
    let task = tokio::spawn(task);
    let mut waiting: Vec<Entry> = (0..count)
        .map(|number| creating(&format!("post-{prefix}{number}"), 1))
        .collect();
    let deadline = Instant::now() + 2 * LONG;
    while !waiting.is_empty() {
        assert!(Instant::now() < deadline, "{} are left", waiting.len());
        let mut again = Vec::new();
        for part in waiting.chunks(2_000) {
            let answers = part.iter().map(|entry| submit(&writer, entry.clone()));
            let answers = futures_util::future::join_all(answers).await;
            for (answer, entry) in answers.into_iter().zip(part) {
                match answer {
                    Ok(Outcome::Appended { .. } | Outcome::Duplicate(_)) => {}
                    Err(Error::Unavailable { .. }) => again.push(entry.clone()),
                    other => panic!("{other:?}"),
                }
            }
        }
        waiting = again;
    }
    drop(writer);
    task.await.unwrap();
}

async fn submit(writer: &Writer, entry: Entry) -> Result<Outcome, Error> {
    let (reply, answer) = oneshot::channel();
    let reply = |outcome| {
        let _ = reply.send(outcome);
    };
    writer.submit(entry, Box::new(reply));
    answer.await.expect("the writer answers")
}
