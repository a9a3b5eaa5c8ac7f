use std::sync::Arc;

use foldhost::event_store::sqlite::SqliteEventStore;
use foldhost::event_store::{
    CommandRecord, Cursor, Error, EventStore, Import, Outcome, StoredPlugin,
};
use foldhost::message::{CommandId, Digest, Position, RecordedEvent, StoreId, Time, Version};
use uuid::Uuid;

use super::EventStorePlace;
use crate::support::entries::{
    all, append, append_one, appended, creating, on, positions, refusal, stream,
};

/// Tells one export from others.
fn export() -> Digest {
    Digest::of(b"export")
}

fn origin() -> StoreId {
    StoreId(Uuid::from_u128(7))
}

fn installed(name: &str) -> StoredPlugin {
    StoredPlugin {
        name: name.into(),
        version: "1.2.0".into(),
        digest: Digest::of(name.as_bytes()),
        aggregate: Some(name.into()),
        installed_at: Time(1_700_000_000_000_001),
    }
}

async fn install(store: &Arc<dyn EventStore>, name: &str) -> StoredPlugin {
    let plugin = installed(name);
    let bytes = name.as_bytes().into();
    store.install_plugin(plugin.clone(), bytes).await.unwrap();
    plugin
}

async fn commands(store: &Arc<dyn EventStore>) -> Vec<CommandRecord> {
    store.read_commands(None, usize::MAX).await.unwrap()
}

/// Another store's history: two streams, three events, a command without events.
async fn history() -> (Vec<RecordedEvent>, Vec<CommandRecord>) {
    let folder = std::env::temp_dir().join(format!("foldhost-test-{}", Uuid::now_v7()));
    let store: Arc<dyn EventStore> = Arc::new(SqliteEventStore::open(&folder).unwrap());
    let head = append_one(&store, creating("post-a", 1)).await;
    append_one(&store, creating("post-b", 1)).await;
    let head = append_one(&store, on("post-a", head, 1)).await;
    append_one(&store, on("post-a", head, 0)).await;
    let events = all(&store).await;
    let commands = commands(&store).await;
    drop(store);
    // What is left is the system's to clean.
    let _ = std::fs::remove_dir_all(folder);
    (events.iter().map(|it| (**it).clone()).collect(), commands)
}

fn events_only(events: &[RecordedEvent]) -> Import {
    Import {
        events: events.to_vec(),
        commands: Vec::new(),
    }
}

async fn begin(store: &Arc<dyn EventStore>) -> Position {
    store.begin_import(origin(), export()).await.unwrap()
}

pub(crate) async fn commands_are_read_in_order_of_actor_and_id_page_by_page(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let keys = [("b", "1"), ("a", "É"), ("a", "10"), ("a", "B"), ("a", "b")];
    for (number, (actor, id)) in keys.into_iter().enumerate() {
        let mut entry = creating(&format!("post-{number}"), number % 2);
        entry.command.actor = actor.into();
        entry.command.id = CommandId::parse(id).unwrap();
        append_one(&store, entry).await;
    }
    append(&store, [refusal("post-z", Default::default())]).await;
    let mut read: Vec<CommandRecord> = Vec::new();
    loop {
        let page = store.read_commands(read.last(), 2).await.unwrap();
        assert!(page.len() <= 2, "{} of 2", page.len());
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    let order: Vec<_> = read
        .iter()
        .map(|it| (&*it.actor, it.recorded.id.as_str()))
        .collect();
    assert_eq!(
        order,
        [("a", "10"), ("a", "B"), ("a", "b"), ("a", "É"), ("b", "1")]
    );
}

pub(crate) async fn a_command_is_read_whole(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let head = append_one(&store, creating("post-a", 2)).await;
    let entry = on("post-a", head, 1);
    append_one(&store, entry.clone()).await;
    let recorded = store
        .find_command("anne", &entry.command.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((recorded.before, recorded.after), (Version(2), Version(3)));
    let whole = CommandRecord {
        actor: entry.command.actor,
        name: entry.command.name,
        payload: entry.command.payload,
        time: entry.time,
        recorded,
    };
    assert!(commands(&store).await.contains(&whole));
}

pub(crate) async fn every_installed_version_is_listed_in_order_of_digest(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let mut plugins = Vec::new();
    for name in ["one", "two", "three"] {
        plugins.push(install(&store, name).await);
    }
    plugins.sort_by_key(|plugin| plugin.digest);
    assert_eq!(store.installed_plugins().await.unwrap(), plugins);
}

pub(crate) async fn an_imported_history_is_the_same_history(place: &dyn EventStorePlace) {
    let (events, records) = history().await;
    let store = place.open().await;
    assert_eq!(begin(&store).await, Position::START);
    let plugin = install(&store, "post").await;
    let batch = Import {
        events: events.clone(),
        commands: records.clone(),
    };
    store.import(batch).await.unwrap();
    store.finish_import(&[plugin.digest]).await.unwrap();
    drop(store);

    let store = place.open().await;
    assert_eq!(store.id(), Some(origin()));
    assert_eq!(*store.head().borrow(), Position(3));
    let there = all(&store).await;
    assert!(there.iter().map(|it| &**it).eq(&events), "{there:?}");
    assert_eq!(commands(&store).await, records);
    assert_eq!(store.census().await.unwrap().len(), 1);
    assert_eq!(store.active_plugins().await.unwrap(), [plugin]);
    assert_eq!(store.unfinished_import().await.unwrap(), None);
}

pub(crate) async fn what_was_imported_is_built_upon(place: &dyn EventStorePlace) {
    let (events, records) = history().await;
    let store = place.open().await;
    begin(&store).await;
    let batch = Import {
        events,
        commands: records.clone(),
    };
    store.import(batch).await.unwrap();
    store.finish_import(&[]).await.unwrap();
    let mut again = creating("post-a", 1);
    again.command.id = records[0].recorded.id.clone();
    let first = Outcome::Duplicate(records[0].recorded.clone());
    assert_eq!(append(&store, [again]).await, [first]);
    let head = store.stream_head(&stream("post-b")).await.unwrap();
    let [next] = append(&store, [on("post-b", head, 1)]).await;
    assert_eq!(appended(&next).position, Position(4));
}

pub(crate) async fn an_import_goes_on_where_it_was(place: &dyn EventStorePlace) {
    let (events, _) = history().await;
    let store = place.open().await;
    begin(&store).await;
    store.import(events_only(&events[..2])).await.unwrap();
    drop(store);

    let store = place.open().await;
    assert_eq!(store.unfinished_import().await.unwrap(), Some(export()));
    assert_eq!(begin(&store).await, Position(2));
    store.import(events_only(&events[2..])).await.unwrap();
    store.finish_import(&[]).await.unwrap();
    assert_eq!(positions(&all(&store).await), [1, 2, 3]);
}

pub(crate) async fn only_an_empty_store_takes_an_import(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let id = store.id();
    append_one(&store, creating("post-a", 0)).await;
    let refused = store.begin_import(origin(), export()).await;
    assert!(matches!(refused, Err(Error::NotEmpty)), "{refused:?}");
    assert_eq!(store.id(), id);
    assert_eq!(store.unfinished_import().await.unwrap(), None);
}

pub(crate) async fn a_store_with_an_active_plugin_takes_no_import(place: &dyn EventStorePlace) {
    let store = place.open().await;
    let plugin = install(&store, "post").await;
    store.activate_plugin("post", plugin.digest).await.unwrap();
    let refused = store.begin_import(origin(), export()).await;
    assert!(matches!(refused, Err(Error::NotEmpty)), "{refused:?}");
}

pub(crate) async fn one_import_is_finished_before_another_begins(place: &dyn EventStorePlace) {
    let store = place.open().await;
    begin(&store).await;
    let other = store.begin_import(origin(), Digest::of(b"other")).await;
    assert!(matches!(other, Err(Error::Unfinished)), "{other:?}");
}

pub(crate) async fn while_an_import_is_unfinished_nothing_is_decided_on_it(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    begin(&store).await;
    let plugin = install(&store, "post").await;
    let appended = store.append(Arc::new([creating("post-a", 1)])).await;
    assert!(matches!(appended, Err(Error::Unfinished)), "{appended:?}");
    let activated = store.activate_plugin("post", plugin.digest).await;
    assert!(matches!(activated, Err(Error::Unfinished)), "{activated:?}");
    let rebased = store.rebase().await;
    assert!(matches!(rebased, Err(Error::Unfinished)), "{rebased:?}");
    assert_eq!(all(&store).await, []);
}

pub(crate) async fn a_batch_with_a_hole_is_refused_and_leaves_nothing(place: &dyn EventStorePlace) {
    let (events, _) = history().await;
    let store = place.open().await;
    begin(&store).await;
    let mut renumbered = events.clone();
    renumbered[2].version = Version(3);
    for broken in [
        &events[1..],
        &[events[0].clone(), events[2].clone()],
        &renumbered,
    ] {
        let refused = store.import(events_only(broken)).await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
        assert_eq!(all(&store).await, []);
    }
    store.import(events_only(&events)).await.unwrap();
}

pub(crate) async fn a_command_that_is_there_already_is_left_as_it_is(place: &dyn EventStorePlace) {
    let (events, records) = history().await;
    let store = place.open().await;
    begin(&store).await;
    store.import(events_only(&events)).await.unwrap();
    for _ in 0..2 {
        let batch = Import {
            events: Vec::new(),
            commands: records.clone(),
        };
        store.import(batch).await.unwrap();
    }
    assert_eq!(commands(&store).await, records);
}

pub(crate) async fn nothing_is_imported_that_was_not_begun(place: &dyn EventStorePlace) {
    let (events, _) = history().await;
    let store = place.open().await;
    let refused = store.import(events_only(&events)).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    let refused = store.finish_import(&[]).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
}

pub(crate) async fn an_import_is_not_finished_with_a_plugin_that_is_not_there(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    begin(&store).await;
    let refused = store.finish_import(&[Digest::of(b"absent")]).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    assert_eq!(store.unfinished_import().await.unwrap(), Some(export()));
}

pub(crate) async fn a_rebased_store_is_another_one_with_the_same_history(
    place: &dyn EventStorePlace,
) {
    let store = place.open().await;
    let head = append_one(&store, creating("post-a", 2)).await;
    let cursor = Cursor {
        position: head.position,
        event_id: head.event_id,
    };
    store.save_cursor("relay", cursor).await.unwrap();
    let (before, epoch) = (store.id(), store.epoch());
    let events = all(&store).await;
    let id = store.rebase().await.unwrap();
    assert_eq!(store.id(), Some(id));
    assert_ne!(before, Some(id));
    assert!(epoch.has_changed().unwrap());
    drop(store);

    let store = place.open().await;
    assert_eq!(store.id(), Some(id));
    assert_eq!(store.load_cursor("relay").await.unwrap(), None);
    assert_eq!(all(&store).await, events);
}
