use foldhost::message::Position;
use foldhost::read_store::{Error, ReadStore as _};
use mongodb::bson::{Binary, doc, spec::BinarySubtype};
use serde_json::{Value, json};

use crate::eventually::eventually;
use crate::fold::{all, commit, delete, docs, generation, put, write};
use crate::proxy::Proxy;
use crate::server::{open, place};

fn by(who: &str) -> Value {
    json!({ "by": who })
}

#[tokio::test]
async fn a_former_owner_that_resumes_changes_nothing() {
    let Some(place) = place().await else {
        return;
    };
    let (former, later) = (place.store().await, place.store().await);
    let posts = generation(&former, &docs(&[], &[])).await;
    let last = commit(
        1,
        vec![
            put("a", &by("former")),
            delete("b"),
            put("c", &by("former")),
        ],
    );
    former.commit(&posts, 0, last.clone()).await.unwrap();
    assert_eq!(later.take_over(&posts).await.unwrap().sequence, 1);
    write(&later, &posts, vec![delete("a"), put("b", &by("later"))])
        .await
        .unwrap();
    let expected = [
        ("b".to_owned(), by("later")),
        ("c".to_owned(), by("former")),
    ];
    assert_eq!(all(&later, &posts).await, expected);
    // Its last commit again, which took effect; then others.
    let repeated = former.commit(&posts, 0, last).await;
    assert!(
        matches!(repeated, Ok(()) | Err(Error::LostOwnership { .. })),
        "{repeated:?}"
    );
    for sequence in [1, 2] {
        let next = commit(2, vec![put("a", &by("former")), delete("b")]);
        let late = former.commit(&posts, sequence, next).await;
        assert!(matches!(late, Err(Error::LostOwnership { .. })), "{late:?}");
    }
    assert_eq!(all(&later, &posts).await, expected);
    write(&later, &posts, vec![put("d", &by("later"))])
        .await
        .unwrap();
    assert_eq!(
        later.checkpoint(&posts).await.unwrap().position,
        Position(3)
    );
}

#[tokio::test]
async fn ownership_goes_back_and_forth_and_every_commit_stays() {
    let Some(place) = place().await else {
        return;
    };
    let stores = [place.store().await, place.store().await];
    let posts = generation(&stores[0], &docs(&[], &[])).await;
    for round in 0..6_u64 {
        let store = &stores[round as usize % 2];
        assert_eq!(store.take_over(&posts).await.unwrap().sequence, round);
        write(
            store,
            &posts,
            vec![
                put("last", &json!(round)),
                put(&round.to_string(), &by("x")),
            ],
        )
        .await
        .unwrap();
        let other = &stores[(round as usize + 1) % 2];
        let late = other
            .commit(&posts, round + 1, commit(99, vec![delete("last")]))
            .await;
        assert!(matches!(late, Err(Error::LostOwnership { .. })), "{late:?}");
    }
    let documents = all(&stores[0], &posts).await;
    assert_eq!((documents.len(), &documents[6].1), (7, &json!(5)));
}

#[tokio::test]
async fn what_a_process_left_undone_is_completed_by_whoever_takes_over() {
    let Some(place) = place().await else {
        return;
    };
    let (gone, next) = (place.store().await, place.store().await);
    let posts = generation(&gone, &docs(&[], &[])).await;
    write(
        &gone,
        &posts,
        vec![put("a", &by("first")), put("b", &by("first"))],
    )
    .await
    .unwrap();
    // The slot of a commit whose process ended before it applied anything.
    let slots = place.collection("foldhost_checkpoints").await;
    let newest = slots
        .find_one(doc! {"kind": "committed"})
        .sort(doc! {"_id": -1})
        .await
        .unwrap();
    let mut slot = newest.unwrap();
    let number = slot.get_i64("slot").unwrap() + 1;
    let mut writes = Vec::new();
    for document in [
        doc! {"_id": "a", "by": "second", "_foldhost": {"seq": number}},
        doc! {"_id": "b", "_foldhost": {"seq": number, "deleted": true}},
    ] {
        doc! {"c": "t_docs_g1", "d": document}
            .to_writer(&mut writes)
            .unwrap();
    }
    let bytes = Binary {
        subtype: BinarySubtype::Generic,
        bytes: writes,
    };
    slot.extend(doc! {
        "_id": format!("posts/0000000001/{number:020}"), "slot": number, "redo": number, "sequence": 2_i64,
        "before": 1_i64, "position": 2_i64, "applied": false, "writes": bytes,
    });
    slots.insert_one(slot).await.unwrap();
    let listed = next.generations("posts").await.unwrap().remove(0);
    assert_eq!(
        (listed.applied, listed.checkpoint.position),
        (Position(1), Position(2))
    );
    assert_eq!(all(&next, &posts).await[0].1, by("first"));
    let at = next.take_over(&posts).await.unwrap();
    assert_eq!((at.position, at.sequence), (Position(2), 2));
    assert_eq!(all(&next, &posts).await, [("a".to_owned(), by("second"))]);
    assert_eq!(
        next.generations("posts").await.unwrap()[0].applied,
        Position(2)
    );
    let late = gone
        .commit(&posts, 1, commit(2, vec![put("b", &by("gone"))]))
        .await;
    assert!(matches!(late, Err(Error::LostOwnership { .. })), "{late:?}");
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_takes_effect_once() {
    let Some(place) = place().await else {
        return;
    };
    let url = place.url();
    let (host, database) = url.split_once("://").unwrap().1.split_once('/').unwrap();
    let proxy = Proxy::start(([127, 0, 0, 1], 0).into(), host.into()).await;
    let store = open(&format!("mongodb://{}/{database}", proxy.address))
        .await
        .unwrap();
    let posts = generation(&store, &docs(&[], &[])).await;
    let ours = commit(1, vec![put("a", &by("us"))]);
    store.checkpoint(&posts).await.unwrap();
    proxy.lose_answers(true);
    let unknown = store.commit(&posts, 0, ours.clone()).await.unwrap_err();
    assert!(unknown.is_transient(), "{unknown}");
    proxy.lose_answers(false);
    eventually("the commit's fate is known", || {
        store.commit(&posts, 0, ours.clone())
    })
    .await;
    store.commit(&posts, 0, ours).await.unwrap();
    let at = store.checkpoint(&posts).await.unwrap();
    assert_eq!((at.sequence, at.position), (1, Position(1)));
    assert_eq!(all(&store, &posts).await, [("a".to_owned(), by("us"))]);
    let other = store
        .commit(&posts, 0, commit(1, vec![put("a", &by("another"))]))
        .await;
    assert!(
        matches!(other, Err(Error::LostOwnership { .. })),
        "{other:?}"
    );
}

#[tokio::test]
async fn a_commit_of_more_than_a_document_holds_is_committed_and_carried_over() {
    let Some(place) = place().await else {
        return;
    };
    let (store, next) = (place.store().await, place.store().await);
    let posts = generation(&store, &docs(&[], &[])).await;
    let text = "x".repeat(1024 * 1024);
    let ids: Vec<String> = (0..20).map(|id| format!("{id:02}")).collect();
    let writes = ids
        .iter()
        .map(|id| put(id, &json!({"id": id, "text": text})))
        .collect();
    write(&store, &posts, writes).await.unwrap();
    assert_eq!(store.get(&posts, "docs", &ids).await.unwrap().len(), 20);
    next.take_over(&posts).await.unwrap();
    write(&next, &posts, vec![delete("07")]).await.unwrap();
    assert_eq!(next.get(&posts, "docs", &ids).await.unwrap().len(), 19);
    let parts = place.collection("foldhost_redo").await;
    eventually("its parts are forgotten", || async {
        match parts.count_documents(doc! {}).await.unwrap() {
            0 => Ok(()),
            left => Err(left),
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_applied_needs_no_redo_log() {
    let Some(place) = place().await else {
        return;
    };
    let store = place.store().await;
    let posts = generation(&store, &docs(&[], &[])).await;
    for round in 0..20 {
        write(&store, &posts, vec![put("a", &json!(round))])
            .await
            .unwrap();
    }
    let slots = place.collection("foldhost_checkpoints").await;
    eventually("the log is short", || async {
        let all = slots.count_documents(doc! {}).await.unwrap();
        let with_writes = slots
            .count_documents(doc! {"writes": {"$exists": true}})
            .await
            .unwrap();
        // The creation, the take-over and the last commit.
        if (all, with_writes) == (3, 0) {
            Ok(())
        } else {
            Err((all, with_writes))
        }
    })
    .await;
}

#[tokio::test]
async fn hundreds_of_documents_are_rewritten_in_one_commit() {
    let Some(place) = place().await else {
        return;
    };
    let store = place.store().await;
    let posts = generation(&store, &docs(&[], &[])).await;
    for round in 0..3 {
        let writes = (0..250).map(|id| put(&id.to_string(), &json!({ "round": round })));
        write(&store, &posts, writes.collect()).await.unwrap();
    }
    let documents = all(&store, &posts).await;
    assert_eq!(documents.len(), 250);
    assert!(
        documents
            .iter()
            .all(|(_, document)| *document == json!({ "round": 2 }))
    );
}
