//! What happens when the relay, the topic or all of Kafka is gone for a while.

use std::sync::Arc;

use foldhost::event_store::Cursor;
use foldhost::message::Position;
use foldhost::relay::RelayState;
use uuid::Uuid;

use crate::support::entries::{all, fill, positions};
use crate::support::eventually;
use crate::support::kafka::{Place, Proxy, Running, Topic, brokers, place};
use crate::{carried, connected, follow, numbers, state};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crashed_relay_sends_again_is_seen_once() {
    let Some(place) = place().await else { return };
    let store = Arc::clone(&place.store.store);
    connected(&place.log).await;
    fill(&store, "a", 100).await;
    carried(&place.relay, &store).await;
    place.relay.crash().await;
    // Where the crash would have left the cursor, had it come before it was saved.
    let early = store.read_all(Position(9), 1).await.unwrap()[0].event_id;
    let cursor = Cursor {
        position: Position(10),
        event_id: early,
    };
    let follower = format!("relay/{}", place.topic.options.topic);
    store.save_cursor(&follower, cursor).await.unwrap();
    let relay = Running::start(&place.topic.options, &store);
    fill(&store, "b", 10).await;
    carried(&relay, &store).await;
    let seen = follow(&place.log, 0, 110).await;
    assert_eq!(positions(&seen), numbers(1..=110));
    eventually("what was sent again being dropped", async || {
        let status = place.log.status();
        (status.duplicates == 90).then_some(()).ok_or(status)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_go_on_while_the_topic_is_gone_and_the_relay_makes_it_again() {
    let Some(place) = place().await else { return };
    let store = &place.store.store;
    connected(&place.log).await;
    fill(store, "a", 20).await;
    carried(&place.relay, store).await;
    assert_eq!(positions(&follow(&place.log, 0, 20).await), numbers(1..=20));
    place.topic.delete().await;
    fill(store, "b", 20).await;
    assert_eq!(
        positions(&follow(&place.log, 20, 40).await),
        numbers(21..=40)
    );
    carried(&place.relay, store).await;
    let before = place.log.status().from_kafka;
    eventually("events coming over Kafka again", async || {
        fill(store, &format!("{}-", Uuid::now_v7()), 1).await;
        let last = store.head().borrow().0;
        assert_eq!(positions(&follow(&place.log, last - 1, last).await), [last]);
        let status = place.log.status();
        (status.from_kafka > before).then_some(()).ok_or(status)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_everything_starts_and_with_it_the_relay_catches_up() {
    let Some(brokers) = brokers() else { return };
    // Brokers are found through an address where nobody listens yet.
    let proxy = Proxy::reserved();
    let mut topic = Topic::fresh(&brokers);
    topic.options.brokers = proxy.address();
    let place = Place::on(topic);
    let store = &place.store.store;
    fill(store, "a", 30).await;
    assert_eq!(follow(&place.log, 0, 30).await, all(store).await);
    state(&place.relay, RelayState::Waiting).await;
    let status = place.log.status();
    assert_eq!((status.connected, status.from_kafka), (false, 0));
    assert!(status.last_error.is_some());
    proxy.open(&brokers).await;
    carried(&place.relay, store).await;
    connected(&place.log).await;
}
