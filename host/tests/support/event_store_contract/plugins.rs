use std::sync::Arc;

use foldhost::event_store::{Entry, Error, EventStore, Outcome, StoredPlugin};
use foldhost::message::{Digest, StreamHead, Time, Version};

use super::EventStorePlace;
use crate::support::entries::{append, append_one, creating, on, refusal};

pub(crate) async fn what_another_version_decided_is_stale_after_an_activation(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let (old, new) = (
        install(&store, "post", "post", b"1").await,
        install(&store, "post", "post", b"2").await,
    );
    store.activate_plugin("post", old).await.unwrap();
    let head = append_one(&store, by(old, creating("post-a", 1))).await;
    store.activate_plugin("post", new).await.unwrap();
    let stale = Outcome::StalePlugin { active: Some(new) };
    let outcomes = append(
        &store,
        [
            by(old, on("post-a", head, 1)),
            by(old, refusal("post-a", head)),
            by(old, refusal("post-a", StreamHead::default())),
            by(new, on("post-a", head, 1)),
        ],
    );
    let [event, refused, moved, fresh] = outcomes.await;
    assert_eq!((&event, &refused, &moved), (&stale, &stale, &stale));
    assert!(matches!(fresh, Outcome::Appended { head } if head.version == Version(2)));
}

pub(crate) async fn without_an_active_version_every_plugin_may_decide(place: &dyn EventStorePlace) {
    let store = place.open().await;
    install(&store, "post", "post", b"1").await;
    append_one(&store, by(Digest::of(b"any"), creating("post-a", 1))).await;
}

pub(crate) async fn an_activation_concerns_its_own_aggregate_only(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let digest = install(&store, "posting", "post", b"1").await;
    store.activate_plugin("posting", digest).await.unwrap();
    append_one(&store, by(Digest::of(b"any"), creating("posting-a", 1))).await;
    append_one(&store, by(Digest::of(b"any"), creating("permit-a", 1))).await;
}

pub(crate) async fn an_installed_version_is_found_with_its_bytes(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let digest = install(&store, "post", "post", b"1").await;
    assert_eq!(
        store.find_plugin(digest).await.unwrap(),
        Some(plugin("post", "post", b"1"))
    );
    assert_eq!(
        store.load_plugin(digest).await.unwrap().as_deref(),
        Some(b"1".as_slice())
    );
    let unknown = Digest::of(b"unknown");
    assert_eq!(store.find_plugin(unknown).await.unwrap(), None);
    assert_eq!(store.load_plugin(unknown).await.unwrap(), None);
}

pub(crate) async fn installing_again_changes_nothing(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let digest = install(&store, "post", "post", b"1").await;
    let later = StoredPlugin {
        installed_at: Time(99),
        ..plugin("post", "post", b"1")
    };
    store
        .install_plugin(later, b"1".as_slice().into())
        .await
        .unwrap();
    assert_eq!(
        store.find_plugin(digest).await.unwrap(),
        Some(plugin("post", "post", b"1"))
    );
}

pub(crate) async fn the_active_version_of_each_name_is_listed(place: &dyn EventStorePlace) {
    let store = place.open().await;
    assert_eq!(store.active_plugins().await.unwrap(), []);
    let projection = StoredPlugin {
        aggregate: None,
        ..plugin("authors", "", b"3")
    };
    store
        .install_plugin(projection.clone(), b"3".as_slice().into())
        .await
        .unwrap();
    let (old, new) = (
        install(&store, "post", "post", b"1").await,
        install(&store, "post", "post", b"2").await,
    );
    for (name, digest) in [
        ("post", old),
        ("authors", projection.digest),
        ("post", new),
        ("post", new),
    ] {
        store.activate_plugin(name, digest).await.unwrap();
    }
    assert_eq!(
        store.active_plugins().await.unwrap(),
        [projection, plugin("post", "post", b"2")]
    );
}

pub(crate) async fn what_is_not_installed_cannot_be_activated(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let digest = install(&store, "post", "post", b"1").await;
    for (name, digest) in [("post", Digest::of(b"unknown")), ("other", digest)] {
        let result = store.activate_plugin(name, digest).await;
        assert!(
            matches!(result, Err(Error::Refused { .. })),
            "{name}: {result:?}"
        );
    }
    assert_eq!(store.active_plugins().await.unwrap(), []);
}

pub(crate) async fn two_names_never_decide_for_one_aggregate(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let (post, intruder) = (
        install(&store, "post", "post", b"1").await,
        install(&store, "other", "post", b"2").await,
    );
    store.activate_plugin("post", post).await.unwrap();
    let result = store.activate_plugin("other", intruder).await;
    assert!(matches!(result, Err(Error::Refused { .. })), "{result:?}");
    assert_eq!(
        store.active_plugins().await.unwrap(),
        [plugin("post", "post", b"1")]
    );
}

fn plugin(name: &str, aggregate: &str, bytes: &[u8]) -> StoredPlugin {
    StoredPlugin {
        name: name.into(),
        version: "1.0.0".into(),
        digest: Digest::of(bytes),
        aggregate: Some(aggregate.into()),
        installed_at: Time(7),
    }
}

async fn install(store: &Arc<dyn EventStore>, name: &str, aggregate: &str, bytes: &[u8]) -> Digest {
    store
        .install_plugin(plugin(name, aggregate, bytes), bytes.into())
        .await
        .unwrap();
    Digest::of(bytes)
}

fn by(plugin: Digest, entry: Entry) -> Entry {
    Entry { plugin, ..entry }
}
