//! What needs the adapter's inside: late writes with either guard, and documents that BSON would bend.

use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{Error, GenerationId};
use super::apply::{Applier, Guard};
use super::document::{OURS, decode, encode, tombstone};
use super::redo::Put;
use super::slots::{Claim, Kind, Slot, Slots};
use crate::message::{Digest, Json, StoreId};

#[path = "../../../tests/support/missing.rs"]
mod missing;

const VARIABLE: &str = "FOLDHOST_TEST_MONGODB";

/// A database of the test's own; without a server the test is noted as missing.
async fn database(test: &str) -> Option<Database> {
    let Ok(url) = std::env::var(VARIABLE) else {
        missing::missing(
            test,
            &format!("{VARIABLE} is not set; run cargo xtask services up"),
        );
        return None;
    };
    let client = Client::with_uri_str(url).await.unwrap();
    Some(client.database(&format!("test_{}", Uuid::now_v7().simple())))
}

fn generation() -> GenerationId {
    GenerationId {
        projection: "posts".into(),
        number: 1,
    }
}

fn put(id: &str, seq: u64, by: &str) -> Put {
    let mut document = tombstone(id, seq);
    document.insert("by", by);
    document.insert(OURS, doc! {"seq": seq as i64});
    Put {
        collection: "docs".into(),
        document,
    }
}

fn delete(id: &str, seq: u64) -> Put {
    Put {
        collection: "docs".into(),
        document: tombstone(id, seq),
    }
}

/// Who wrote each document, in order of id; nobody for a tombstone.
async fn writers(database: &Database) -> Vec<(String, Option<String>)> {
    let documents = database.collection::<Document>("docs");
    let mut found = documents.find(doc! {}).sort(doc! {"_id": 1}).await.unwrap();
    let mut writers = Vec::new();
    while found.advance().await.unwrap() {
        let document = found.deserialize_current().unwrap();
        let by = document.get_str("by").ok().map(ToOwned::to_owned);
        writers.push((document.get_str("_id").unwrap().to_owned(), by));
    }
    writers
}

#[tokio::test]
async fn writes_of_a_former_owner_change_nothing_that_a_later_one_wrote_or_deleted() {
    let Some(database) = database("writes_of_a_former_owner").await else {
        return;
    };
    let applier = Applier::guarded(&database, "", Guard::Document);
    let later = [
        put("kept", 7, "later"),
        delete("deleted", 7),
        put("created", 7, "later"),
    ];
    applier.apply(&generation(), &later, (7, 7)).await.unwrap();
    let former = [
        put("kept", 5, "former"),
        put("deleted", 5, "former"),
        delete("created", 5),
        put("untouched", 5, "former"),
    ];
    for _ in 0..2 {
        applier.apply(&generation(), &former, (5, 5)).await.unwrap();
    }
    let by = |id: &str, by: Option<&str>| (id.to_owned(), by.map(ToOwned::to_owned));
    let expected = [
        by("created", Some("later")),
        by("deleted", None),
        by("kept", Some("later")),
        by("untouched", Some("former")),
    ];
    assert_eq!(writers(&database).await, expected);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn of_many_writers_of_one_document_the_latest_slot_wins() {
    let Some(database) = database("of_many_writers_of_one_document").await else {
        return;
    };
    let applier = Applier::guarded(&database, "", Guard::Document);
    for seq in [3, 9, 1, 8, 9, 2] {
        let puts = [put("a", seq, &seq.to_string())];
        applier
            .apply(&generation(), &puts, (seq, seq))
            .await
            .unwrap();
    }
    assert_eq!(
        writers(&database).await,
        [("a".to_owned(), Some("9".to_owned()))]
    );
    database.drop().await.unwrap();
}

#[tokio::test]
async fn an_owner_that_was_fenced_off_writes_nothing_where_statements_are_not_guarded() {
    let Some(database) = database("an_owner_that_was_fenced_off").await else {
        return;
    };
    let (applier, slots) = (
        Applier::guarded(&database, "", Guard::Owner),
        Slots::new(&database, ""),
    );
    let first = Slot::created(
        &generation(),
        "former",
        StoreId(Uuid::nil()),
        Digest::of(b""),
    );
    assert_eq!(slots.claim(&first).await.unwrap(), Claim::Ours);
    applier
        .apply(&generation(), &[put("a", 0, "former")], (0, 0))
        .await
        .unwrap();
    let second = first.next(&generation(), "later", Kind::TakenOver);
    assert_eq!(slots.claim(&second).await.unwrap(), Claim::Ours);
    assert_eq!(slots.claim(&second).await.unwrap(), Claim::Taken);
    let late = applier
        .apply(&generation(), &[put("a", 0, "late")], (0, 0))
        .await;
    assert!(matches!(late, Err(Error::LostOwnership { .. })), "{late:?}");
    assert_eq!(
        writers(&database).await,
        [("a".to_owned(), Some("former".to_owned()))]
    );
    database.drop().await.unwrap();
}

fn stored(value: &Value, dates: &[&str]) -> Document {
    let split = |path: &&str| path.split('.').map(ToOwned::to_owned).collect();
    let dates: Vec<Vec<String>> = dates.iter().map(split).collect();
    encode("id", &Json::from(value), value, (&dates, 1)).unwrap()
}

#[track_caller]
fn comes_back(value: &Value, dates: &[&str], exact: bool) -> Document {
    let document = stored(value, dates);
    let is_exact = !document.get_document(OURS).unwrap().contains_key("json");
    assert_eq!(is_exact, exact, "{value}");
    let bytes = document.to_vec().unwrap();
    let (id, again) = decode(Document::from_reader(bytes.as_slice()).unwrap()).unwrap();
    assert_eq!((id.as_str(), again.unwrap().0), ("id", Json::from(value)));
    document
}

#[test]
fn ordinary_documents_are_what_they_look_like() {
    let value = json!({"n": 1, "m": i64::MAX, "f": 1.0, "e": 1e300, "s": "x", "b": true, "z": null, "l": [1, {"a": []}]});
    let document = comes_back(&value, &[], true);
    assert_eq!(document.get_i32("n").unwrap(), 1);
    assert_eq!(document.get_i64("m").unwrap(), i64::MAX);
    assert_eq!(document.get_f64("f").unwrap(), 1.0);
}

#[test]
fn declared_times_are_dates_and_other_text_stays_text() {
    let times = json!({"at": "2011-10-11T11:45:40.276Z", "a": {"b": "1969-12-31T23:59:59.999Z"}, "not": "2011-10-11T11:45:40.276Z"});
    let document = comes_back(&times, &["at", "a.b", "never.there"], true);
    assert_eq!(
        document.get_datetime("at").unwrap().timestamp_millis(),
        1_318_333_540_276
    );
    assert_eq!(
        document
            .get_document("a")
            .unwrap()
            .get_datetime("b")
            .unwrap()
            .timestamp_millis(),
        -1
    );
    assert!(document.get_str("not").is_ok());
    for text in [
        "2011-10-11T11:45:40Z",
        "2011-10-11",
        "",
        "-000001-01-01T00:00:00.000Z",
    ] {
        assert!(
            comes_back(&json!({ "at": text }), &["at"], true)
                .get_str("at")
                .is_ok()
        );
    }
}

#[test]
fn what_bson_or_a_server_would_bend_keeps_its_text_beside() {
    let deep = (0..90).fold(json!(1), |inner, _| json!({ "a": inner }));
    for value in [
        json!({"list": [[1], {"a": [[2]]}]}),
        json!({"zero": -0.0}),
        json!({"": 1, "a.b": 2, "$c": {"$d": 3}}),
        json!({"_id": "mine", "_foldhost": {"seq": 9}}),
        json!(["no", "object"]),
        deep,
    ] {
        let document = comes_back(&value, &[], false);
        assert_eq!(
            document.get_document(OURS).unwrap().get_i64("seq").unwrap(),
            1
        );
        assert!(
            document
                .keys()
                .all(|name| !name.is_empty() && !name.contains('.') && !name.starts_with('$'))
        );
    }
}

#[test]
fn what_the_database_cannot_hold_is_refused_by_name() {
    let refused = |value: Value| encode("id", &Json::from(&value), &value, (&[], 1)).unwrap_err();
    assert!(refused(json!({"n": [u64::MAX]})).contains("18446744073709551615"));
    assert!(
        refused(json!({"text": "x".repeat(16 * 1024 * 1024)}))
            .contains("more than the database takes")
    );
}
