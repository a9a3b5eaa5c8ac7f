//! Whose records are in the topic, and of which past.

use std::sync::Arc;

use foldhost::event_log::kafka::KafkaEventLog;
use foldhost::event_store::Cursor;
use foldhost::message::Position;
use foldhost::relay::RelayState;
use uuid::Uuid;

use crate::support::entries::{all, fill};
use crate::support::eventually;
use crate::support::kafka::{Place, Running, Store, Topic, brokers, place};
use crate::{carried, connected, follow, state};

#[tokio::test(flavor = "multi_thread")]
async fn another_stores_records_are_refused_and_its_topic_is_left_alone() {
    let Some(first) = place().await else { return };
    fill(&first.store.store, "a", 20).await;
    carried(&first.relay, &first.store.store).await;
    let (options, second) = (&first.topic.options, Store::fresh());
    let relay = Running::start(options, &second.store);
    let log = KafkaEventLog::open(options.clone(), Arc::clone(&second.store)).unwrap();
    let reason = state(&relay, RelayState::Faulted).await;
    assert!(reason.contains("belongs to another store"), "{reason}");
    assert!(reason.contains("foldhost store rebase"), "{reason}");
    connected(&log).await;
    fill(&first.store.store, "b", 20).await;
    fill(&second.store, "c", 5).await;
    assert_eq!(follow(&log, 0, 5).await, all(&second.store).await);
    eventually("foreign records being counted", async || {
        let status = log.status();
        (status.foreign == 20).then_some(()).ok_or(status)
    })
    .await;
    assert_eq!(log.status().from_kafka, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_history_stops_the_relay() {
    let Some(brokers) = brokers() else { return };
    for (position, what) in [(3, "holds event"), (9, "ends before it")] {
        let (topic, store) = (Topic::fresh(&brokers), Store::fresh());
        fill(&store.store, "a", 5).await;
        let cursor = Cursor {
            position: Position(position),
            event_id: Uuid::now_v7(),
        };
        let follower = format!("relay/{}", topic.options.topic);
        store.store.save_cursor(&follower, cursor).await.unwrap();
        let relay = Running::start(&topic.options, &store.store);
        let reason = state(&relay, RelayState::Faulted).await;
        assert!(reason.contains("history was rewritten"), "{reason}");
        assert!(reason.contains(what), "{reason}");
        assert_eq!(relay.relay.status().position, Position::START);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_ahead_of_its_store_stops_the_relay() {
    let Some(place) = place().await else { return };
    fill(&place.store.store, "a", 5).await;
    carried(&place.relay, &place.store.store).await;
    let Place {
        relay,
        topic,
        mut store,
        ..
    } = place;
    relay.stop().await;
    // The same store, restored from before its third event: the cursor too is of that time.
    store.forget_behind(2);
    let relay = Running::start(&topic.options, &store.store);
    let reason = state(&relay, RelayState::Faulted).await;
    assert!(reason.contains("history was rewritten"), "{reason}");
}
