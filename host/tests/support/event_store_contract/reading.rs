use std::sync::Arc;

use foldhost::event_store::{CensusEntry, Cursor, Decision, Entry, Snapshot};
use foldhost::message::{Digest, Position, StreamHead, StreamId, Version};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::EventStorePlace;
use crate::support::entries::{append, append_one, creating, event, fill, on, positions, stream};

pub(crate) async fn a_stream_is_read_behind_a_version_up_to_a_limit(place: &dyn EventStorePlace) {
    let store = place.open().await;
    append(&store, [creating("post-b", 1), creating("post-a", 5)]).await;
    let read = async |after, limit| {
        let events = store
            .read_stream(&stream("post-a"), Version(after), limit)
            .await
            .unwrap();
        events
            .iter()
            .map(|event| event.version.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(read(0, 100).await, [1, 2, 3, 4, 5]);
    assert_eq!(read(2, 2).await, [3, 4]);
    assert_eq!(read(4, 2).await, [5]);
    assert_eq!(
        (read(5, 2).await, read(u64::MAX, 2).await, read(0, 0).await),
        (vec![], vec![], vec![])
    );
}

pub(crate) async fn all_events_are_read_behind_a_position_up_to_a_limit(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    append(&store, [creating("post-b", 2), creating("post-a", 3)]).await;
    let read =
        async |after, limit| positions(&store.read_all(Position(after), limit).await.unwrap());
    assert_eq!(read(0, usize::MAX).await, [1, 2, 3, 4, 5]);
    assert_eq!(read(1, 3).await, [2, 3, 4]);
    assert_eq!(
        (read(5, 3).await, read(u64::MAX, 3).await, read(0, 0).await),
        (vec![], vec![], vec![])
    );
}

pub(crate) async fn a_stream_without_events_has_no_head(place: &dyn EventStorePlace) {
    let store = place.open().await;
    append_one(&store, creating("post-a", 0)).await;
    assert_eq!(
        store.stream_head(&stream("post-a")).await.unwrap(),
        StreamHead::default()
    );
    assert!(
        store
            .read_stream(&stream("post-a"), Version::NONE, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn streams_are_told_apart_by_their_whole_name(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let names = [
        "post-a", "post-A", "post-a ", "post-a-b", "post-ab", "post-á", "post-%", "post-_",
        "posta-a",
    ];
    append(&store, names.map(|name| creating(name, 1))).await;
    for name in names {
        let events = store
            .read_stream(&stream(name), Version::NONE, 10)
            .await
            .unwrap();
        assert_eq!(
            events
                .iter()
                .map(|event| event.stream.as_str())
                .collect::<Vec<_>>(),
            [name]
        );
    }
}

pub(crate) async fn a_reader_beside_writers_sees_each_event_once_and_in_order(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for round in 0..20 {
                fill(&store, &format!("{writer}-{round}-"), 7).await;
            }
        });
    }
    let (mut head, mut seen) = (store.head(), Vec::new());
    while seen.len() < 4 * 20 * 7 {
        let after = Position(seen.len() as u64);
        head.wait_for(|head| *head > after).await.unwrap();
        seen.extend(positions(&store.read_all(after, 50).await.unwrap()));
    }
    writers.join_all().await;
    assert_eq!(seen, (1..=4 * 20 * 7).collect::<Vec<u64>>());
}

pub(crate) async fn the_census_lists_each_type_and_schema_version_once(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let of = |to: &str, event_type: &str, schema_version| {
        let typed = foldhost::message::NewEvent {
            event_type: event_type.into(),
            schema_version,
            ..event(0)
        };
        Entry {
            decision: Decision::Accepted(vec![typed]),
            ..creating(to, 0)
        }
    };
    append(
        &store,
        [
            of("post-a", "Created", 1),
            of("post-b", "Created", 2),
            of("post-c", "Created", 1),
        ],
    )
    .await;
    append(
        &store,
        [of("post-d", "Created", 1), of("permit-d", "Closed", 3)],
    )
    .await;
    let failing = on(
        "post-x",
        StreamHead {
            version: Version(9),
            ..StreamHead::default()
        },
        1,
    );
    append(&store, [failing]).await;
    let mut census = store.census().await.unwrap();
    census.sort();
    let entry = |full_type: &str, schema_version| CensusEntry {
        full_type: full_type.into(),
        schema_version,
    };
    assert_eq!(
        census,
        [
            entry("permit.Closed", 3),
            entry("post.Created", 1),
            entry("post.Created", 2)
        ]
    );
}

pub(crate) async fn the_streams_written_last_are_sampled_first(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let a = append_one(&store, creating("post-a", 1)).await;
    append(
        &store,
        [
            creating("post-b", 1),
            creating("post2-x", 1),
            creating("post-c", 1),
            on("post-a", a, 1),
        ],
    )
    .await;
    let sample = async |category: &str, limit| {
        let streams = store.sample_streams(category, limit).await.unwrap();
        streams
            .iter()
            .map(|stream| stream.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(sample("post", 10).await, ["post-a", "post-c", "post-b"]);
    assert_eq!(sample("post", 2).await, ["post-a", "post-c"]);
    assert_eq!(sample("pos", 2).await, [""; 0]);
}

pub(crate) async fn a_snapshot_is_loaded_only_by_the_plugin_that_wrote_it(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let (one, two) = (snapshot("post-a", b"one", 3), snapshot("post-a", b"two", 5));
    let newer = snapshot("post-a", b"one", 9);
    for snapshot in [&one, &two, &newer, &snapshot("post-b", b"one", 4)] {
        store.save_snapshot(snapshot.clone()).await.unwrap();
    }
    let load = async |stream: StreamId, plugin| {
        store
            .load_snapshot(&stream, Digest::of(plugin))
            .await
            .unwrap()
    };
    assert_eq!(load(stream("post-a"), b"one").await, Some(newer));
    assert_eq!(load(stream("post-a"), b"two").await, Some(two));
    assert_eq!(load(stream("post-a"), b"six").await, None);
    assert_eq!(load(stream("post-c"), b"one").await, None);
}

pub(crate) async fn a_late_snapshot_does_not_replace_a_newer_one(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let (newer, late) = (snapshot("post-a", b"one", 9), snapshot("post-a", b"one", 3));
    store.save_snapshot(newer.clone()).await.unwrap();
    store.save_snapshot(late).await.unwrap();
    assert_eq!(
        store
            .load_snapshot(&newer.stream, newer.plugin)
            .await
            .unwrap(),
        Some(newer)
    );
}

pub(super) fn snapshot(of: &str, plugin: &[u8], version: u64) -> Snapshot {
    Snapshot {
        stream: stream(of),
        plugin: Digest::of(plugin),
        head: StreamHead {
            version: Version(version),
            position: Position(version + 1),
            ..StreamHead::default()
        },
        bytes: vec![0, 255, version as u8],
    }
}

pub(crate) async fn a_followers_cursor_is_kept_and_moved(place: &dyn EventStorePlace) {
    let store = place.open().await;
    assert_eq!(store.load_cursor("relay").await.unwrap(), None);
    for position in [7, 9, 3] {
        let cursor = Cursor {
            position: Position(position),
            event_id: Uuid::now_v7(),
        };
        store.save_cursor("relay", cursor).await.unwrap();
        assert_eq!(store.load_cursor("relay").await.unwrap(), Some(cursor));
    }
    assert_eq!(store.load_cursor("another").await.unwrap(), None);
}
