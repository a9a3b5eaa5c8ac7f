//! The relay and the Kafka event log, on a real Kafka: what travels, what is sent again, and what happens without Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and what only they use"
)]

#[path = "../support"]
mod support {
    #[macro_use]
    mod contract;
    #[allow(dead_code, reason = "each test file uses a part")]
    pub(crate) mod entries;
    #[allow(dead_code, reason = "each test file uses a part")]
    pub(crate) mod event_log_contract;
    mod eventually;
    mod folder;
    pub(crate) mod kafka;
    mod missing;
    pub(crate) mod python;

    pub(crate) use eventually::eventually;
}

mod identity;
mod outages;

use std::collections::HashMap;
use std::sync::Arc;

use foldhost::event_log::EventLog as _;
use foldhost::event_log::kafka::{KafkaEventLog, KafkaOptions};
use foldhost::event_store::{Cursor, Decision, Entry, EventStore};
use foldhost::message::{Json, NewEvent, Position, RecordedEvent};
use foldhost::relay::RelayState;
use support::entries::{all, append_one, creating, event, fill, on, positions};
use support::eventually;
use support::kafka::{Place, Running, Store, Topic, brokers, place};
use tokio::task::JoinSet;

/// Waits until the relay has carried everything.
async fn carried(relay: &Running, store: &Arc<dyn EventStore>) {
    eventually("the relay's having carried everything", async || {
        let status = relay.relay.status();
        let head = *store.head().borrow();
        if status.position == head && status.state == RelayState::Live {
            Ok(())
        } else {
            Err((status, head))
        }
    })
    .await;
}

/// Waits until the log follows the topic, so that what is appended from now on comes over Kafka.
async fn connected(log: &KafkaEventLog) {
    eventually("the log's following", async || {
        let status = log.status();
        status.connected.then_some(()).ok_or(status)
    })
    .await;
}

/// Waits until Kafka has brought all but some of the events.
async fn near(log: &KafkaEventLog, lag: u64) {
    eventually("Kafka's coming near the head", async || {
        let status = log.status();
        (status.lag <= lag).then_some(()).ok_or(status)
    })
    .await;
}

/// Waits until the relay is in a state, and returns why.
async fn state(relay: &Running, state: RelayState) -> String {
    eventually("the relay's state", async || {
        let status = relay.relay.status();
        if status.state == state {
            Ok(status.last_error.unwrap_or_default())
        } else {
            Err(status)
        }
    })
    .await
}

/// Follows the log from behind one position up to another.
async fn follow(log: &KafkaEventLog, after: u64, until: u64) -> Vec<Arc<RecordedEvent>> {
    let mut seen: Vec<Arc<RecordedEvent>> = Vec::new();
    while (seen.len() as u64) < until - after {
        let at = Position(after + seen.len() as u64);
        seen.extend(log.next(at, 100).await.unwrap());
    }
    seen
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    range.collect()
}

/// An entry whose one event has this much text.
fn large(to: &str, bytes: usize) -> Entry {
    let text = Json::from_store(&format!("{{\"text\":\"{}\"}}", "x".repeat(bytes)));
    let event = NewEvent {
        data: text,
        ..event(0)
    };
    Entry {
        decision: Decision::Accepted(vec![event]),
        ..creating(to, 0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_over_kafka_equal_to_those_in_the_store() {
    let Some(place) = place().await else { return };
    connected(&place.log).await;
    fill(&place.store.store, "a", 50).await;
    eventually("the log's having merged all", async || {
        let status = place.log.status();
        (status.position == Position(50))
            .then_some(())
            .ok_or(status)
    })
    .await;
    assert_eq!(
        follow(&place.log, 0, 50).await,
        all(&place.store.store).await
    );
    let status = place.log.status();
    assert!(status.from_kafka > status.from_store, "{status:?}");
    assert_eq!((status.lag, status.foreign, status.malformed), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_committed_so_that_tools_show_no_lag() {
    let Some(place) = place().await else { return };
    connected(&place.log).await;
    fill(&place.store.store, "a", 30).await;
    eventually("all offsets being committed", async || {
        let committed = place.topic.committed();
        (committed == 30).then_some(()).ok_or(committed)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_stops_keeps_how_far_it_has_come() {
    let Some(place) = place().await else { return };
    fill(&place.store.store, "a", 20).await;
    carried(&place.relay, &place.store.store).await;
    let (store, options) = (Arc::clone(&place.store.store), place.topic.options.clone());
    let relay = place.relay.relay.clone();
    place.relay.stop().await;
    assert_eq!(relay.status().state, RelayState::Stopped);
    let last = store.read_all(Position(19), 1).await.unwrap();
    let cursor = Cursor {
        position: Position(20),
        event_id: last[0].event_id,
    };
    let follower = format!("relay/{}", options.topic);
    assert_eq!(store.load_cursor(&follower).await.unwrap(), Some(cursor));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_applications_read_cloud_events_in_the_order_of_their_streams() {
    let Some(place) = place().await else { return };
    let store = &place.store.store;
    let mut heads = HashMap::new();
    for _ in 0..10 {
        for stream in ["post-a", "post-été", "post-c"] {
            let head = heads.get(stream).copied().unwrap_or_default();
            heads.insert(stream, append_one(store, on(stream, head, 2)).await);
        }
    }
    carried(&place.relay, store).await;
    let Some(records) = support::python::read(&place.topic.options) else {
        return;
    };
    let events = all(store).await;
    assert_eq!(records.len(), events.len());
    let (mut versions, mut partitions) = (HashMap::new(), HashMap::new());
    for record in &records {
        let headers = &record["headers"];
        let position: usize = headers["ce_position"].as_str().unwrap().parse().unwrap();
        let event = &events[position - 1];
        assert_eq!(record["data"], event.data.to_value());
        assert_eq!(record["key"], event.stream.as_str());
        assert_eq!(headers["ce_subject"], event.stream.as_str());
        assert_eq!(headers["ce_type"], "post.PostCreated");
        assert_eq!(headers["traceparent"], "00-1");
        let version = versions.entry(event.stream.as_str()).or_insert(0);
        assert_eq!(event.version.0, *version + 1, "{headers}");
        *version = event.version.0;
        let partition = partitions.entry(event.stream.as_str());
        assert_eq!(
            *partition.or_insert(&record["partition"]),
            &record["partition"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_too_large_for_the_brokers_goes_as_a_stub_and_is_read_from_the_store() {
    let Some(place) = place().await else { return };
    let store = &place.store.store;
    connected(&place.log).await;
    fill(store, "a", 1).await;
    append_one(store, large("post-large", 1_500_000)).await;
    fill(store, "b", 1).await;
    carried(&place.relay, store).await;
    assert_eq!(follow(&place.log, 0, 3).await, all(store).await);
    assert!(place.log.status().from_store >= 1);
    let Some(records) = support::python::read(&place.topic.options) else {
        return;
    };
    let stubs = records.iter().filter(|record| record["stub"] == true);
    let stubs: Vec<_> = stubs.map(|stub| (&stub["key"], &stub["bytes"])).collect();
    assert_eq!(stubs, [(&"post-large".into(), &0.into())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_takes_little_gets_what_fits_and_stubs() {
    let Some(brokers) = brokers() else { return };
    let topic = Topic::fresh(&brokers);
    topic.make(&[("max.message.bytes", "20000")]).await;
    let place = Place::on(topic);
    let store = &place.store.store;
    for number in 0..40 {
        append_one(store, large(&format!("post-{number}"), 1_000 * number)).await;
    }
    carried(&place.relay, store).await;
    assert_eq!(follow(&place.log, 0, 40).await, all(store).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_followers_see_each_of_twenty_thousand_events_once_and_in_order() {
    const EVENTS: u64 = 20_000;
    let Some(place) = place().await else { return };
    let mut followers = JoinSet::new();
    for after in [0, 0, 5_000] {
        let log = Arc::clone(&place.log);
        followers.spawn(async move { (after, positions(&follow(&log, after, EVENTS).await)) });
    }
    connected(&place.log).await;
    for round in 0..EVENTS / 100 {
        fill(&place.store.store, &format!("{round}-"), 100).await;
        if round > 100 {
            // A first half as fast as the store can, a second one that Kafka keeps up with.
            near(&place.log, 100).await;
        }
    }
    for (after, seen) in followers.join_all().await {
        assert!(seen == numbers(after + 1..=EVENTS), "behind {after}");
    }
    carried(&place.relay, &place.store.store).await;
    let status = place.log.status();
    assert!(status.from_kafka > 0, "{status:?}");
}

#[tokio::test]
async fn a_setting_that_cannot_work_is_refused_by_name_before_anything_starts() {
    let store = Store::fresh().store;
    for (name, value) in [
        ("acks", "1"),
        ("security.protocol", "ssl"),
        ("no.such", "x"),
    ] {
        let mut options = KafkaOptions::parse_url("kafka://127.0.0.1:1/t").unwrap();
        options.client.insert(name.to_owned(), value.to_owned());
        let refused = KafkaEventLog::open(options, Arc::clone(&store));
        let line = refused.err().unwrap().to_string();
        assert!(line.contains(name), "{line}");
    }
}
