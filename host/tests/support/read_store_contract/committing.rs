use std::sync::Arc;

use foldhost::message::{Json, Position};
use foldhost::read_store::{Commit, Error};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::ReadStorePlace;
use super::fold::{Fold, delete, indexed, plain, put};

pub(crate) async fn a_commit_moves_the_checkpoint_together_with_its_documents(
    place: &dyn ReadStorePlace,
) {
    let fold = Fold::new(place, &[plain("posts"), plain("tags")]).await;
    let event_id = Uuid::now_v7();
    let writes = vec![
        put("posts", "a", json!({"n": 1})),
        put("tags", "a", json!({"n": 2})),
    ];
    fold.commit(Commit {
        position: Position(9),
        event_id,
        writes,
        ..Commit::default()
    })
    .await
    .unwrap();
    let checkpoint = fold.checkpoint().await;
    assert_eq!(
        (
            checkpoint.position,
            checkpoint.event_id,
            checkpoint.sequence
        ),
        (Position(9), event_id, 1)
    );
    assert_eq!(
        fold.get("posts", &["a"]).await,
        [("a".into(), Json::from(&json!({"n": 1})))]
    );
    assert_eq!(
        fold.get("tags", &["a"]).await,
        [("a".into(), Json::from(&json!({"n": 2})))]
    );
}

pub(crate) async fn a_commit_out_of_sequence_is_refused_and_changes_nothing(
    place: &dyn ReadStorePlace,
) {
    let fold = Fold::new(place, &[plain("posts")]).await;
    fold.write([put("posts", "a", json!({"n": 1}))]).await;
    let before = fold.listed().await;
    for sequence in [0, 2, u64::MAX] {
        let writes = vec![
            put("posts", "a", json!({"n": 2})),
            put("posts", "b", json!({})),
        ];
        let commit = Commit {
            position: Position(9),
            writes,
            deviates: true,
            ..Commit::default()
        };
        let result = fold.store.commit(&fold.generation, sequence, commit).await;
        let lost = matches!(&result, Err(Error::LostOwnership { generation }) if *generation == fold.generation);
        assert!(lost, "{sequence}: {result:?}");
    }
    assert_eq!(fold.listed().await, before);
    assert_eq!(
        fold.get("posts", &["a", "b"]).await,
        [("a".into(), Json::from(&json!({"n": 1})))]
    );
}

pub(crate) async fn what_was_taken_over_is_no_longer_committed_to_by_its_former_owner(
    place: &dyn ReadStorePlace,
) {
    let former = Fold::new(place, &[plain("posts")]).await;
    former
        .write([put("posts", "a", json!({"by": "former"}))])
        .await;
    let present = former.elsewhere(place).await;
    let late = Commit {
        position: Position(2),
        writes: vec![put("posts", "a", json!({"by": "former, late"}))],
        ..Commit::default()
    };
    let refused = former.commit(late).await;
    assert!(
        matches!(refused, Err(Error::LostOwnership { .. })),
        "{refused:?}"
    );
    let refused = former.store.switch(&former.generation).await;
    assert!(
        matches!(refused, Err(Error::LostOwnership { .. })),
        "{refused:?}"
    );
    present.store.switch(&present.generation).await.unwrap();
    present
        .write([
            delete("posts", "a"),
            put("posts", "b", json!({"by": "present"})),
        ])
        .await;
    assert_eq!(present.matching("posts", &json!({})).await, ["b"]);
    assert_eq!(former.matching("posts", &json!({})).await, ["b"]);
    assert_eq!(former.listed().await.applied, Position(2));
}

pub(crate) async fn of_twenty_owners_exactly_one_commits(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[plain("posts")]).await;
    let mut owners = JoinSet::new();
    for owner in 0..20 {
        let (store, generation) = (Arc::clone(&fold.store), fold.generation.clone());
        let commit = Commit {
            writes: vec![put("posts", &owner.to_string(), json!({}))],
            ..Commit::default()
        };
        owners.spawn(async move { store.commit(&generation, 0, commit).await.is_ok() });
    }
    assert_eq!(
        owners
            .join_all()
            .await
            .into_iter()
            .filter(|won| *won)
            .count(),
        1
    );
    assert_eq!(fold.matching("posts", &json!({})).await.len(), 1);
    assert_eq!(fold.checkpoint().await.sequence, 1);
}

pub(crate) async fn a_commit_to_an_undeclared_collection_leaves_nothing(
    place: &dyn ReadStorePlace,
) {
    let fold = Fold::new(place, &[plain("posts")]).await;
    let writes = vec![put("posts", "a", json!({})), put("authors", "a", json!({}))];
    let result = fold
        .commit(Commit {
            position: Position(9),
            writes,
            ..Commit::default()
        })
        .await;
    assert!(
        matches!(&result, Err(Error::NoCollection { collection }) if collection == "authors"),
        "{result:?}"
    );
    assert_eq!(
        (
            fold.checkpoint().await.sequence,
            fold.get("posts", &["a"]).await
        ),
        (0, vec![])
    );
}

pub(crate) async fn a_document_that_cannot_be_indexed_leaves_nothing(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[indexed("posts", &["a.b"])]).await;
    for document in [
        json!({"a": {"b": [1]}}),
        json!({"a": {"b": {}}}),
        json!({"a": [{"b": 1}]}),
    ] {
        let writes = vec![
            put("posts", "fine", json!({"a": 5})),
            put("posts", "bad", document.clone()),
        ];
        let result = fold
            .commit(Commit {
                writes,
                ..Commit::default()
            })
            .await;
        assert!(
            matches!(result, Err(Error::Refused { .. })),
            "{document}: {result:?}"
        );
    }
    assert_eq!(
        (
            fold.checkpoint().await.sequence,
            fold.matching("posts", &json!({})).await.len()
        ),
        (0, 0)
    );
}

pub(crate) async fn documents_are_replaced_deleted_and_written_again(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[indexed("posts", &["n"])]).await;
    fold.write([
        put("posts", "a", json!({"n": 1})),
        put("posts", "b", json!({"n": 1})),
    ])
    .await;
    fold.write([
        put("posts", "a", json!({"n": 2})),
        delete("posts", "b"),
        delete("posts", "never"),
    ])
    .await;
    assert_eq!(fold.matching("posts", &json!({})).await, ["a"]);
    assert_eq!(
        fold.matching("posts", &json!({"n": {"eq": 1}})).await,
        [""; 0]
    );
    assert_eq!(
        fold.matching("posts", &json!({"n": {"eq": 2}})).await,
        ["a"]
    );
    fold.write([put("posts", "b", json!({"n": 3}))]).await;
    assert_eq!(
        fold.get("posts", &["b"]).await,
        [("b".into(), Json::from(&json!({"n": 3})))]
    );
}

pub(crate) async fn documents_come_back_byte_for_byte(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[indexed("posts", &["title", "n"])]).await;
    let documents = [
        json!({"title": "O'Neill \"quoted\" \\ 😀 \u{7f}", "n": 0.1, "nested": {"": [], "list": [{}, null, [1]]}}),
        json!({"n": i64::MAX, "m": i64::MIN, "float": 1.0, "small": 5e-324, "large": 1.7976931348623157e308}),
        json!({"n": 0.30000000000000004, "title": "<script>", "false": false}),
    ];
    let ids = ["a", "'; DROP TABLE posts; --", "é\"😀 \t"];
    fold.write(
        ids.iter()
            .zip(&documents)
            .map(|(id, document)| put("posts", id, document.clone())),
    )
    .await;
    for (id, document) in ids.iter().zip(&documents) {
        let expected = ((*id).to_owned(), Json::from(document));
        assert_eq!(fold.get("posts", &[id]).await, [expected]);
        assert_eq!(
            fold.matching("posts", &json!({"_id": {"eq": id}})).await,
            [*id]
        );
    }
}

pub(crate) async fn absent_documents_are_left_out(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[plain("posts")]).await;
    fold.write([put("posts", "a", json!({})), put("posts", "c", json!({}))])
        .await;
    let found = fold.get("posts", &["c", "x", "a"]).await;
    assert_eq!(
        found.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
        ["a", "c"]
    );
    assert_eq!(fold.get("posts", &[]).await, []);
    let result = fold
        .store
        .get(&fold.generation, "authors", &["a".into()])
        .await;
    assert!(
        matches!(&result, Err(Error::NoCollection { collection }) if collection == "authors"),
        "{result:?}"
    );
}

pub(crate) async fn once_deviating_a_generation_stays_so(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[]).await;
    for (deviates, expected) in [(false, false), (true, true), (false, true)] {
        fold.commit(Commit {
            deviates,
            ..Commit::default()
        })
        .await
        .unwrap();
        assert_eq!(fold.checkpoint().await.deviates, expected);
    }
}

pub(crate) async fn everything_is_there_after_reopening(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[indexed("posts", &["n"])]).await;
    fold.write([put("posts", "a", json!({"n": 1}))]).await;
    fold.store.switch(&fold.generation).await.unwrap();
    let (before, generation) = (fold.listed().await, fold.generation.clone());
    drop(fold);
    let fold = Fold {
        store: place.open().await,
        generation,
    };
    assert_eq!(fold.listed().await, before);
    assert_eq!(
        fold.matching("posts", &json!({"n": {"gte": 1}})).await,
        ["a"]
    );
}
