use foldhost::event_store::{Outcome, StoredPlugin};
use foldhost::message::{Digest, Position, Time};

use super::EventStorePlace;
use super::reading::snapshot;
use crate::support::entries::{all, append, append_one, creating, on};

pub(crate) async fn everything_is_there_after_reopening(place: &dyn EventStorePlace) {
    let entry = creating("post-a", 2);
    let snapshot = snapshot("post-a", b"one", 2);
    let plugin = StoredPlugin {
        name: "permit".into(),
        version: "1.0.0".into(),
        digest: Digest::of(b"1"),
        aggregate: Some("permit".into()),
        installed_at: Time(7),
    };
    let store = place.open().await;
    let (id, head) = (store.id(), append_one(&store, entry.clone()).await);
    store.save_snapshot(snapshot.clone()).await.unwrap();
    store
        .install_plugin(plugin.clone(), b"1".as_slice().into())
        .await
        .unwrap();
    store
        .activate_plugin("permit", plugin.digest)
        .await
        .unwrap();
    let (events, census) = (all(&store).await, store.census().await.unwrap());
    drop(store);

    let store = place.open().await;
    assert_eq!((store.id(), *store.head().borrow()), (id, Position(2)));
    assert_eq!(
        (all(&store).await, store.census().await.unwrap()),
        (events, census)
    );
    assert_eq!(
        store
            .load_snapshot(&snapshot.stream, snapshot.plugin)
            .await
            .unwrap(),
        Some(snapshot)
    );
    assert_eq!(store.active_plugins().await.unwrap(), [plugin]);
    assert!(matches!(
        append(&store, [entry]).await,
        [Outcome::Duplicate(_)]
    ));
    assert_eq!(
        append_one(&store, on("post-a", head, 1)).await.position,
        Position(3)
    );
}
