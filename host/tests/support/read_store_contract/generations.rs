use std::sync::Arc;

use foldhost::message::{Position, Time};
use foldhost::read_store::{Checkpoint, Commit, Error, Filter, Generation, GenerationId};
use serde_json::json;
use uuid::Uuid;

use super::ReadStorePlace;
use super::fold::{Fold, STORE, create, everything, indexed, plain, plugin, put};

pub(crate) async fn a_fresh_generation_is_empty_and_not_live(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[plain("posts")]).await;
    let checkpoint = Checkpoint {
        store: STORE,
        position: Position::START,
        event_id: Uuid::nil(),
        sequence: 0,
        plugin: plugin(),
        deviates: false,
    };
    let id = GenerationId {
        projection: "posts".into(),
        number: 1,
    };
    let generation = Generation {
        id,
        checkpoint: checkpoint.clone(),
        applied: Position::START,
        live: false,
        retired_at: None,
        parked: 0,
    };
    assert_eq!(fold.store.generations("posts").await.unwrap(), [generation]);
    assert_eq!(fold.checkpoint().await, checkpoint);
    assert_eq!(fold.matching("posts", &json!({})).await, [""; 0]);
}

pub(crate) async fn numbers_count_up_and_are_never_used_again(place: &dyn ReadStorePlace) {
    let store = place.open().await;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let generation = create(&store, "posts", &[plain("posts")]).await;
        store.drop_generation(&generation).await.unwrap();
        numbers.push(generation.number);
    }
    drop(store);
    let store = place.open().await;
    numbers.push(create(&store, "posts", &[plain("posts")]).await.number);
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(create(&store, "authors", &[]).await.number, 1);
}

pub(crate) async fn a_switch_makes_one_generation_live_and_retires_the_former(
    place: &dyn ReadStorePlace,
) {
    let old = Fold::new(place, &[]).await;
    let new = Fold::beside(Arc::clone(&old.store), &[]).await;
    let other = create(&old.store, "authors", &[]).await;
    old.store.switch(&old.generation).await.unwrap();
    old.store.switch(&other).await.unwrap();
    assert_eq!(
        (old.listed().await.live, new.listed().await.live),
        (true, false)
    );
    let before = Time::now();
    new.store.switch(&new.generation).await.unwrap();
    let (old, new) = (old.listed().await, new.listed().await);
    assert_eq!((old.live, new.live, new.retired_at), (false, true, None));
    assert!(
        old.retired_at
            .is_some_and(|at| at >= before && at <= Time::now())
    );
}

pub(crate) async fn switching_to_the_live_generation_changes_nothing(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[]).await;
    fold.store.switch(&fold.generation).await.unwrap();
    let before = fold.listed().await;
    fold.store.switch(&fold.generation).await.unwrap();
    assert_eq!(fold.listed().await, before);
}

pub(crate) async fn a_retired_generation_can_be_live_again(place: &dyn ReadStorePlace) {
    let old = Fold::new(place, &[]).await;
    let new = Fold::beside(Arc::clone(&old.store), &[]).await;
    for generation in [&old.generation, &new.generation, &old.generation] {
        old.store.switch(generation).await.unwrap();
    }
    let (old, new) = (old.listed().await, new.listed().await);
    assert_eq!(
        (old.live, old.retired_at, new.live, new.retired_at.is_some()),
        (true, None, false, true)
    );
}

pub(crate) async fn a_live_generation_is_not_dropped(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[plain("posts")]).await;
    fold.write([put("posts", "a", json!({}))]).await;
    fold.store.switch(&fold.generation).await.unwrap();
    let result = fold.store.drop_generation(&fold.generation).await;
    assert!(matches!(result, Err(Error::Refused { .. })), "{result:?}");
    assert_eq!(fold.matching("posts", &json!({})).await, ["a"]);
}

pub(crate) async fn dropping_again_changes_nothing(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[plain("posts")]).await;
    fold.store.drop_generation(&fold.generation).await.unwrap();
    fold.store.drop_generation(&fold.generation).await.unwrap();
    let unknown = GenerationId {
        projection: "unknown".into(),
        number: 1,
    };
    fold.store.drop_generation(&unknown).await.unwrap();
}

pub(crate) async fn what_was_dropped_is_gone_for_every_call(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[indexed("posts", &["author"])]).await;
    fold.write([put("posts", "a", json!({"author": 1}))]).await;
    let (store, generation) = (&fold.store, &fold.generation);
    store.drop_generation(generation).await.unwrap();
    assert_eq!(store.generations("posts").await.unwrap(), []);
    let gone = [
        store.checkpoint(generation).await.err(),
        store.commit(generation, 1, Commit::default()).await.err(),
        store.get(generation, "posts", &["a".into()]).await.err(),
        fold.find("posts", everything("", Filter::everything()))
            .await
            .err(),
        store.parked(generation, Position::START, 10).await.err(),
        store.parked_streams(generation).await.err(),
        store.switch(generation).await.err(),
    ];
    for error in gone {
        assert!(
            matches!(&error, Some(Error::NoGeneration { generation: gone }) if gone == generation),
            "{error:?}"
        );
    }
}

pub(crate) async fn generations_do_not_share_documents(place: &dyn ReadStorePlace) {
    let old = Fold::new(place, &[plain("posts")]).await;
    let new = Fold::beside(Arc::clone(&old.store), &[plain("posts")]).await;
    old.write([put("posts", "a", json!({"from": "old"}))]).await;
    new.write([put("posts", "b", json!({"from": "new"}))]).await;
    assert_eq!(
        (
            old.matching("posts", &json!({})).await,
            new.matching("posts", &json!({})).await
        ),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
    old.store.drop_generation(&old.generation).await.unwrap();
    assert_eq!(new.matching("posts", &json!({})).await, ["b"]);
}

pub(crate) async fn names_may_hold_anything(place: &dyn ReadStorePlace) {
    const NAMES: [&str; 8] = [
        "sqlite_x",
        "Posts",
        "posts",
        "a\"b",
        "a'; DROP TABLE generations; --",
        "a b",
        "été",
        "generations",
    ];
    let collections = NAMES.map(|name| indexed(name, &["author,-n"]));
    let fold = Fold::new(place, &collections).await;
    fold.write(NAMES.map(|name| put(name, "id", json!({"author": name, "n": 1}))))
        .await;
    for name in NAMES {
        assert_eq!(
            fold.matching(name, &json!({"author": {"eq": name}})).await,
            ["id"],
            "{name}"
        );
    }
    let hostile = create(&fold.store, "x'; DROP TABLE generations; --", &[]).await;
    assert_eq!(
        fold.store
            .generations(&hostile.projection)
            .await
            .unwrap()
            .len(),
        1
    );
    fold.store.drop_generation(&fold.generation).await.unwrap();
}

pub(crate) async fn projections_with_a_generation_are_listed(place: &dyn ReadStorePlace) {
    let store = place.open().await;
    assert_eq!(store.projections().await.unwrap(), [""; 0]);
    let posts = create(&store, "posts", &[]).await;
    create(&store, "posts", &[]).await;
    let authors = create(&store, "authors", &[]).await;
    let mut listed = store.projections().await.unwrap();
    listed.sort();
    assert_eq!(listed, ["authors", "posts"]);
    store.drop_generation(&authors).await.unwrap();
    store.drop_generation(&posts).await.unwrap();
    assert_eq!(store.projections().await.unwrap(), ["posts"]);
}

pub(crate) async fn a_generations_collections_are_listed_in_order(place: &dyn ReadStorePlace) {
    let store = place.open().await;
    let of_two = create(
        &store,
        "posts",
        &[plain("posts"), plain("authors of posts")],
    )
    .await;
    let of_none = create(&store, "posts", &[]).await;
    let names = store.collections(&of_two).await.unwrap();
    assert_eq!(names, ["authors of posts", "posts"]);
    assert_eq!(store.collections(&of_none).await.unwrap(), [""; 0]);
    store.drop_generation(&of_two).await.unwrap();
    let gone = store.collections(&of_two).await;
    assert!(matches!(gone, Err(Error::NoGeneration { .. })), "{gone:?}");
}
