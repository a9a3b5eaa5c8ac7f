use std::sync::Arc;

use foldhost::event_store::{Decision, Entry, Error, EventStore, Outcome};
use foldhost::message::{NewEvent, Position, StreamHead, Time, Version};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::EventStorePlace;
use crate::support::entries::{
    NOON, all, append, append_one, appended, creating, event, fill, on, plugin, positions, refusal,
    speculated, stream,
};

pub(crate) async fn positions_are_dense_and_versions_count_within_the_stream(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let a = append_one(&store, creating("post-a", 2)).await;
    append(&store, [creating("post-b", 1), on("post-a", a, 2)]).await;
    let events = all(&store).await;
    let seen: Vec<_> = events
        .iter()
        .map(|e| (e.position.0, e.stream.as_str(), e.version.0))
        .collect();
    assert_eq!(
        seen,
        [
            (1, "post-a", 1),
            (2, "post-a", 2),
            (3, "post-b", 1),
            (4, "post-a", 3),
            (5, "post-a", 4)
        ]
    );
}

pub(crate) async fn an_appended_head_carries_its_time_and_position(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let entry = creating("post-a", 3);
    let expected = StreamHead {
        position: Position(3),
        ..speculated(&entry)
    };
    let head = append_one(&store, entry).await;
    assert_eq!((head, head.time), (expected, NOON));
    assert_eq!(store.stream_head(&stream("post-a")).await.unwrap(), head);
}

pub(crate) async fn events_come_back_as_they_were_appended(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let mut entry = creating("post-O'Neill \"😀\"", 2);
    entry.time = Time(-1);
    append_one(&store, entry.clone()).await;
    let Decision::Accepted(new) = &entry.decision else {
        unreachable!()
    };
    for (event, new) in all(&store).await.iter().zip(new) {
        let given = NewEvent {
            event_id: event.event_id,
            event_type: Arc::clone(&event.event_type),
            schema_version: event.schema_version,
            data: event.data.clone(),
        };
        assert_eq!(&given, new);
        assert_eq!(
            (&event.stream, event.time, event.plugin),
            (&entry.stream, entry.time, plugin())
        );
        assert_eq!(
            (&event.actor, &event.metadata),
            (&entry.command.actor, &entry.command.metadata)
        );
        assert_eq!(&*event.causation_id, entry.command.id.as_str());
        assert_eq!(event.correlation_id, entry.command.correlation_id);
    }
}

pub(crate) async fn appending_no_entries_changes_nothing(place: &dyn EventStorePlace) {
    let store = place.open().await;
    append(&store, []).await;
    assert!(all(&store).await.is_empty());
    assert_eq!(*store.head().borrow(), Position::START);
}

pub(crate) async fn a_command_without_events_moves_nothing(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let head = append_one(&store, creating("post-a", 2)).await;
    assert_eq!(append_one(&store, on("post-a", head, 0)).await, head);
    assert_eq!(
        append_one(&store, creating("post-b", 0)).await,
        StreamHead::default()
    );
    assert_eq!(*store.head().borrow(), Position(2));
}

pub(crate) async fn a_moved_head_is_a_conflict_that_names_the_actual_one(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let old = append_one(&store, creating("post-a", 1)).await;
    let actual = append_one(&store, on("post-a", old, 2)).await;
    let outcomes = append(
        &store,
        [
            on("post-a", old, 1),
            creating("post-a", 1),
            on("post-b", old, 1),
        ],
    )
    .await;
    let conflict = |actual| Outcome::Conflict { actual };
    assert_eq!(
        outcomes,
        [
            conflict(actual),
            conflict(actual),
            conflict(StreamHead::default())
        ]
    );
    assert_eq!(all(&store).await.len(), 3);
}

pub(crate) async fn the_same_version_with_another_event_id_is_a_conflict(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let actual = append_one(&store, creating("post-a", 1)).await;
    let rewritten = StreamHead {
        event_id: Uuid::now_v7(),
        ..actual
    };
    assert_eq!(
        append(&store, [on("post-a", rewritten, 1)]).await,
        [Outcome::Conflict { actual }]
    );
}

pub(crate) async fn an_entry_may_build_on_the_one_before_it(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let first = creating("post-a", 2);
    let second = on("post-a", speculated(&first), 1);
    let third = on("post-a", speculated(&second), 0);
    let outcomes = append(&store, [first, creating("post-b", 1), second, third]).await;
    let heads: Vec<(u64, u64)> = outcomes
        .iter()
        .map(appended)
        .map(|head| (head.version.0, head.position.0))
        .collect();
    assert_eq!(heads, [(2, 2), (1, 3), (3, 4), (3, 4)]);
}

pub(crate) async fn what_builds_on_a_failed_entry_falls_and_the_others_stand(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let actual = append_one(&store, creating("post-a", 1)).await;
    let failing = creating("post-a", 1);
    let building = on("post-a", speculated(&failing), 1);
    let outcomes = append(
        &store,
        [
            failing,
            creating("post-b", 1),
            building,
            on("post-a", actual, 1),
        ],
    )
    .await;
    assert_eq!(
        (&outcomes[0], &outcomes[2]),
        (&Outcome::Conflict { actual }, &Outcome::Conflict { actual })
    );
    assert_eq!(
        (
            appended(&outcomes[1]).position,
            appended(&outcomes[3]).position
        ),
        (Position(2), Position(3))
    );
}

pub(crate) async fn a_refusal_on_the_true_head_is_checked_and_stores_nothing(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let head = append_one(&store, creating("post-a", 1)).await;
    let refused = refusal("post-a", head);
    let id = refused.command.id.clone();
    assert_eq!(append(&store, [refused]).await, [Outcome::Checked]);
    assert_eq!(all(&store).await.len(), 1);
    assert_eq!(store.find_command("anne", &id).await.unwrap(), None);
}

pub(crate) async fn a_refusal_on_a_moved_head_is_a_conflict(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let actual = append_one(&store, creating("post-a", 1)).await;
    let outcomes = append(&store, [refusal("post-a", StreamHead::default())]).await;
    assert_eq!(outcomes, [Outcome::Conflict { actual }]);
}

pub(crate) async fn a_refusal_may_build_on_an_entry_of_its_batch(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let first = creating("post-a", 1);
    let (true_head, old_head) = (speculated(&first), first.expected);
    let outcomes = append(
        &store,
        [
            first,
            refusal("post-a", true_head),
            refusal("post-a", old_head),
        ],
    )
    .await;
    assert_eq!(outcomes[1], Outcome::Checked);
    assert!(matches!(&outcomes[2], Outcome::Conflict { actual } if actual.version == Version(1)));
}

pub(crate) async fn a_batch_with_a_used_event_id_is_refused_and_leaves_nothing(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let used = event(1);
    let with_used = |to| Entry {
        decision: Decision::Accepted(vec![event(0), used.clone()]),
        ..creating(to, 0)
    };
    append_one(&store, with_used("post-a")).await;
    let batch = vec![creating("post-b", 1), with_used("post-c")];
    let result = store.append(batch.into()).await;
    assert!(matches!(result, Err(Error::Refused { .. })), "{result:?}");
    assert_eq!(
        (all(&store).await.len(), *store.head().borrow()),
        (2, Position(2))
    );
    assert_eq!(
        append_one(&store, creating("post-b", 1)).await.position,
        Position(3)
    );
}

pub(crate) async fn of_twenty_writers_on_one_head_exactly_one_wins(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let head = append_one(&store, creating("post-a", 1)).await;
    let mut writers = JoinSet::new();
    for _ in 0..20 {
        let store = Arc::clone(&store);
        writers.spawn(async move { append(&store, [on("post-a", head, 1)]).await });
    }
    let outcomes: Vec<Outcome> = writers.join_all().await.into_iter().flatten().collect();
    let won: Vec<StreamHead> = outcomes
        .iter()
        .filter(|o| !matches!(o, Outcome::Conflict { .. }))
        .map(appended)
        .collect();
    assert_eq!(won.len(), 1);
    let lost = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Conflict { actual: won[0] });
    assert_eq!(lost.count(), 19);
}

pub(crate) async fn sixteen_parallel_writers_leave_no_holes(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let store = Arc::clone(&store);
        writers.spawn(async move { write(&store, &format!("post-{writer}"), 25).await });
    }
    writers.join_all().await;
    assert_eq!(
        positions(&all(&store).await),
        (1..=16 * 25 * 2).collect::<Vec<u64>>()
    );
}

pub(crate) async fn two_processes_at_once_leave_no_holes(place: &dyn EventStorePlace) {
    let (one, other) = (place.open().await, place.open().await);
    assert_eq!(one.id(), other.id());
    tokio::join!(write(&one, "post-one", 50), write(&other, "post-other", 50));
    assert_eq!(positions(&all(&one).await), (1..=200).collect::<Vec<u64>>());
    assert_eq!(
        positions(&all(&other).await),
        (1..=200).collect::<Vec<u64>>()
    );
}

pub(crate) async fn the_head_is_moved_by_each_commit(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let mut head = store.head();
    let appending = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { fill(&store, "a", 3).await })
    };
    assert_eq!(
        *head.wait_for(|head| *head >= Position(3)).await.unwrap(),
        Position(3)
    );
    assert_eq!(
        all(&store).await.len(),
        3,
        "what the head promises can be read"
    );
    appending.await.unwrap();
}

/// Appends entries of two events, each on the one before.
async fn write(store: &Arc<dyn EventStore>, to: &str, entries: usize) {
    let mut head = StreamHead::default();
    for _ in 0..entries {
        head = append_one(store, on(to, head, 2)).await;
    }
}
