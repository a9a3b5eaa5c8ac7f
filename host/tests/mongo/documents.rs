use foldhost::message::Json;
use foldhost::read_store::{Error, ReadStore as _};
use mongodb::bson::{Document, doc};
use serde_json::json;

use crate::fold::{all, delete, docs, everything, generation, put, write};
use crate::server::place;

#[tokio::test]
async fn ordinary_tools_see_real_dates_numbers_and_names() {
    let Some(place) = place().await else {
        return;
    };
    let store = place.store().await;
    let posts = generation(
        &store,
        &docs(&["author,-created"], &["created", "meta.seen"]),
    )
    .await;
    let post = json!({
        "author": "ann", "created": "2011-10-11T11:45:40.276Z", "meta": {"seen": "1960-02-29T00:00:00.001Z"},
        "likes": 3, "large": 5_000_000_000_i64, "rate": 0.5, "tags": ["a", "b"], "grid": [[1, 2], [3]],
    });
    write(&store, &posts, vec![put("a", &post)]).await.unwrap();
    let documents = place.collection("docs_g1").await;
    let raw = documents
        .find_one(doc! {"author": "ann", "likes": {"$gt": 2}, "tags": "b"})
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        raw.get_datetime("created").unwrap().timestamp_millis(),
        1_318_333_540_276
    );
    assert!(
        raw.get_document("meta")
            .unwrap()
            .get_datetime("seen")
            .is_ok()
    );
    assert_eq!(
        (raw.get_i32("likes").unwrap(), raw.get_i64("large").unwrap()),
        (3, 5_000_000_000)
    );
    assert_eq!(
        (raw.get_f64("rate").unwrap(), raw.get_str("_id").unwrap()),
        (0.5, "a")
    );
    assert_eq!(
        store.get(&posts, "docs", &["a".into()]).await.unwrap(),
        [("a".into(), Json::from(&post))]
    );
}

#[tokio::test]
async fn declared_indexes_are_there_when_the_generation_is() {
    let Some(place) = place().await else {
        return;
    };
    let store = place.store().await;
    generation(
        &store,
        &docs(
            &["author,-created", "meta.kind", "author,-created"],
            &["created"],
        ),
    )
    .await;
    let documents = place.collection("docs_g1").await;
    let mut listed = documents.list_indexes().await.unwrap();
    let mut keys: Vec<Document> = Vec::new();
    while listed.advance().await.unwrap() {
        keys.push(listed.deserialize_current().unwrap().keys);
    }
    let expected = [
        doc! {"_id": 1},
        doc! {"author": 1, "created": -1, "_id": 1},
        doc! {"meta.kind": 1, "_id": 1},
    ];
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn tombstones_are_hidden_from_every_reader_and_stay() {
    let Some(place) = place().await else {
        return;
    };
    let store = place.store().await;
    let posts = generation(&store, &docs(&["n"], &[])).await;
    write(
        &store,
        &posts,
        vec![put("a", &json!({"n": 1})), put("b", &json!({"n": 2}))],
    )
    .await
    .unwrap();
    write(&store, &posts, vec![delete("a"), delete("never")])
        .await
        .unwrap();
    let ids = ["a".to_owned(), "b".to_owned(), "never".to_owned()];
    assert_eq!(store.get(&posts, "docs", &ids).await.unwrap().len(), 1);
    assert_eq!(store.get(&posts, "docs", &ids[..1]).await.unwrap(), []);
    for order in ["", "n", "-n", "x", "-_id"] {
        let found = store.find(&posts, "docs", everything(order)).await.unwrap();
        assert_eq!(found.len(), 1, "{order}");
    }
    for (filter, expected) in [
        ("{}", 1),
        (r#"{"n": null}"#, 0),
        (r#"{"_id": "a"}"#, 0),
        (r#"{"n": {"$gt": 1}}"#, 1),
    ] {
        assert_eq!(
            store
                .find_raw(&posts, "docs", filter, 10)
                .await
                .unwrap()
                .len(),
            expected,
            "{filter}"
        );
    }
    let documents = place.collection("docs_g1").await;
    assert_eq!(
        documents
            .count_documents(doc! {"_foldhost.deleted": true})
            .await
            .unwrap(),
        2
    );
}

#[tokio::test]
async fn operators_filter_in_the_databases_own_language() {
    let Some(place) = place().await else {
        return;
    };
    let store = place.store().await;
    let posts = generation(&store, &docs(&[], &["at"])).await;
    let at = |time: &str| json!({ "at": time });
    let writes = vec![
        put("a", &at("2020-01-01T00:00:00.000Z")),
        put("b", &at("2021-01-01T00:00:00.000Z")),
    ];
    write(&store, &posts, writes).await.unwrap();
    let since = r#"{"at": {"$gte": {"$date": "2020-06-01T00:00:00Z"}}}"#;
    let found = store.find_raw(&posts, "docs", since, 10).await.unwrap();
    assert_eq!(
        found,
        [("b".into(), Json::from(&at("2021-01-01T00:00:00.000Z")))]
    );
    assert_eq!(
        store.find_raw(&posts, "docs", "{}", 1).await.unwrap().len(),
        1
    );
    for nonsense in ["", "[]", r#"{"$nonsense": 1}"#] {
        let refused = store.find_raw(&posts, "docs", nonsense, 10).await;
        assert!(
            matches!(refused, Err(Error::Refused { .. })),
            "{nonsense}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn what_the_database_would_refuse_is_refused_by_name_and_leaves_nothing() {
    let Some(place) = place().await else {
        return;
    };
    let store = place.store().await;
    let posts = generation(&store, &docs(&["n"], &[])).await;
    for (document, expected) in [
        (json!({"m": u64::MAX}), "18446744073709551615"),
        (json!({"n": [1]}), "the indexed field n"),
        (
            json!({"text": "x".repeat(16 * 1024 * 1024)}),
            "more than the database takes",
        ),
    ] {
        let refused = write(
            &store,
            &posts,
            vec![put("fine", &json!({})), put("bad", &document)],
        )
        .await
        .unwrap_err();
        let text = refused.to_string();
        assert!(matches!(refused, Error::Refused { .. }), "{text}");
        assert!(
            text.contains("\"bad\"") && text.contains(expected),
            "{text}"
        );
    }
    assert_eq!(store.checkpoint(&posts).await.unwrap().sequence, 0);
    assert_eq!(all(&store, &posts).await, []);
    write(&store, &posts, vec![put("fine", &json!({}))])
        .await
        .unwrap();
}
