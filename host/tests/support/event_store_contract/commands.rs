use foldhost::event_store::{Entry, Outcome, RecordedCommand, StoredPlugin};
use foldhost::message::{CommandId, Digest, Position, StreamHead, Time, Version};

use super::EventStorePlace;
use crate::support::entries::{
    all, append, append_one, creating, on, plugin, refusal, speculated, stream,
};

pub(crate) async fn a_repeated_command_is_answered_with_its_first_outcome(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let head = append_one(&store, creating("post-a", 1)).await;
    let entry = on("post-a", head, 2);
    let first = recorded(&entry, 1, 3, 3);
    let latest = append_one(&store, entry.clone()).await;
    append_one(&store, on("post-a", latest, 1)).await;
    assert_eq!(
        append(&store, [entry.clone()]).await,
        [Outcome::Duplicate(first.clone())]
    );
    let decided_again = Entry {
        expected: latest,
        ..entry
    };
    assert_eq!(
        append(&store, [decided_again]).await,
        [Outcome::Duplicate(first)]
    );
    assert_eq!(all(&store).await.len(), 4);
}

pub(crate) async fn a_used_command_id_with_another_hash_is_answered_with_the_first_command(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let entry = creating("post-a", 1);
    let first = recorded(&entry, 0, 1, 1);
    append_one(&store, entry.clone()).await;
    let mut other = creating("post-b", 1);
    other.command.id = entry.command.id;
    assert_ne!(other.command.hash, first.hash);
    assert_eq!(append(&store, [other]).await, [Outcome::Duplicate(first)]);
    assert_eq!(all(&store).await.len(), 1);
}

pub(crate) async fn a_command_repeated_within_a_batch_is_answered_with_its_first_outcome(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let first = creating("post-a", 1);
    let again = first.clone();
    let on_top = Entry {
        expected: speculated(&first),
        ..first.clone()
    };
    let duplicate = Outcome::Duplicate(recorded(&first, 0, 1, 1));
    let [_, second, third] = append(&store, [first, again, on_top]).await;
    assert_eq!((second, third), (duplicate.clone(), duplicate));
    assert_eq!(all(&store).await.len(), 1);
}

pub(crate) async fn appending_the_same_batch_again_changes_nothing(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let first = creating("post-a", 2);
    let batch = [
        on("post-a", speculated(&first), 1),
        creating("post-b", 1),
        creating("post-c", 0),
    ];
    let [second, third, fourth] = batch;
    let batch = [first, second, third, fourth];
    append(&store, batch.clone()).await;
    let before = all(&store).await;
    let again = append(&store, batch).await;
    assert!(
        again
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Duplicate(_))),
        "{again:?}"
    );
    assert_eq!(all(&store).await, before);
}

pub(crate) async fn that_a_command_is_recorded_comes_before_everything_else(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let entry = creating("post-a", 1);
    let first = recorded(&entry, 0, 1, 1);
    append_one(&store, entry.clone()).await;
    let active = StoredPlugin {
        name: "post".into(),
        version: "2.0.0".into(),
        digest: Digest::of(b"newer"),
        aggregate: Some("post".into()),
        installed_at: Time(1),
    };
    store
        .install_plugin(active, Vec::new().into())
        .await
        .unwrap();
    store
        .activate_plugin("post", Digest::of(b"newer"))
        .await
        .unwrap();
    assert_eq!(entry.plugin, plugin());
    assert_eq!(append(&store, [entry]).await, [Outcome::Duplicate(first)]);
}

pub(crate) async fn a_refused_repetition_of_an_accepted_command_is_a_duplicate(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let entry = creating("post-a", 1);
    let first = recorded(&entry, 0, 1, 1);
    let head = append_one(&store, entry.clone()).await;
    for expected in [head, StreamHead::default()] {
        let refused = Entry {
            command: entry.command.clone(),
            ..refusal("post-a", expected)
        };
        assert_eq!(
            append(&store, [refused]).await,
            [Outcome::Duplicate(first.clone())]
        );
    }
}

pub(crate) async fn another_actors_command_id_is_another_command(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let entry = creating("post-a", 1);
    let head = append_one(&store, entry.clone()).await;
    let mut other = on("post-a", head, 1);
    other.command.id = entry.command.id;
    other.command.actor = "bert".into();
    assert_eq!(append_one(&store, other).await.version, Version(2));
}

pub(crate) async fn accepted_commands_are_found_and_refused_ones_are_not(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let (with, without) = (creating("post-a", 2), creating("post-b", 0));
    append(&store, [with.clone(), without.clone()]).await;
    let find = async |id: &CommandId| store.find_command("anne", id).await.unwrap();
    assert_eq!(find(&with.command.id).await, Some(recorded(&with, 0, 2, 2)));
    assert_eq!(
        find(&without.command.id).await,
        Some(recorded(&without, 0, 0, 0))
    );
    assert_eq!(find(&CommandId::random()).await, None);
    assert_eq!(
        store.find_command("bert", &with.command.id).await.unwrap(),
        None
    );
}

fn recorded(entry: &Entry, before: u64, after: u64, position: u64) -> RecordedCommand {
    RecordedCommand {
        stream: stream(entry.stream.as_str()),
        id: entry.command.id.clone(),
        hash: entry.command.hash,
        before: Version(before),
        after: Version(after),
        position: Position(position),
    }
}
