use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use foldhost::message::Position;
use foldhost::read_store::{Commit, Error, FieldPath, Filter, Find, Place, SortKey};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::ReadStorePlace;
use super::filtering::{scalar, writes};
use super::fold::{Fold, delete, everything, indexed, plain, put, sort};

const CASES: u32 = 24;
/// Some served by an index, forwards, backwards or in part, some by none.
const ORDERS: [&str; 12] = [
    "", "i", "-i", "i,j", "i,-j", "-i,-j", "j", "-x", "x,i", "i,x", "_id", "-_id",
];

pub(crate) async fn kinds_are_ordered_null_number_string_bool(place: &dyn ReadStorePlace) {
    let ladder = [
        json!(null),
        json!(-1.5),
        json!(0),
        json!(2),
        json!(""),
        json!("Z"),
        json!("a"),
        json!("é"),
    ];
    let ladder = [&ladder[..], &[json!(false), json!(true)]].concat();
    let documents: Vec<Value> = ladder
        .iter()
        .map(|value| json!({"i": value, "x": value}))
        .collect();
    let fold = Fold::new(place, &[indexed("docs", &["i"])]).await;
    fold.write(writes(&documents).into_iter().rev()).await;
    let ascending: Vec<String> = (0..ladder.len()).map(|id| id.to_string()).collect();
    let descending: Vec<String> = ascending.iter().rev().cloned().collect();
    for (order, expected) in [
        ("i", &ascending),
        ("x", &ascending),
        ("-i", &descending),
        ("-x", &descending),
    ] {
        assert_eq!(
            &fold.walk("docs", &Filter::everything(), order, 3).await,
            expected,
            "{order}"
        );
    }
    let found = fold
        .find("docs", everything("x,i", Filter::everything()))
        .await
        .unwrap();
    let values: Vec<Value> = found
        .into_iter()
        .map(|found| found.place.values[0].clone())
        .collect();
    assert_eq!(values, ladder);
}

pub(crate) async fn pages_put_together_are_the_whole_in_order(place: &dyn ReadStorePlace) {
    let store = place.open().await;
    let document = (scalar(), scalar(), scalar(), 0..8_u8);
    let document = document.prop_map(|(i, j, x, present)| {
        let fields = [("i", i, 1), ("j", j, 2), ("x", x, 4)]
            .into_iter()
            .filter(|(_, _, bit)| present & bit == 0);
        fields
            .map(|(name, value, _)| (name.to_owned(), value))
            .collect::<Value>()
    });
    let cases = (
        vec(document, 1..30),
        vec((select(ORDERS.to_vec()), 1..12_usize), 6),
    );
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&cases, |(documents, walks)| {
        let check = async {
            let fold = Fold::beside(Arc::clone(&store), &[indexed("docs", &["i", "i,-j"])]).await;
            fold.write(writes(&documents)).await;
            for (order, page) in walks {
                let walked = fold.walk("docs", &Filter::everything(), order, page).await;
                assert_eq!(
                    walked,
                    sorted(&documents, &sort(order)),
                    "{order} in pages of {page} of {documents:?}"
                );
            }
        };
        block_in_place(|| Handle::current().block_on(check));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

pub(crate) async fn a_page_walk_beside_writers_misses_nothing_and_repeats_nothing(
    place: &dyn ReadStorePlace,
) {
    let fold = Fold::new(place, &[indexed("docs", &["n", "-n"])]).await;
    let stable: HashSet<String> = (0..60).map(|n| format!("stable-{n}")).collect();
    let stays = |id: &String| {
        put(
            "docs",
            id,
            json!({"n": id.len() % 3, "x": id.len() % 2, "stays": true}),
        )
    };
    fold.write(stable.iter().map(stays)).await;
    let (store, generation) = (Arc::clone(&fold.store), fold.generation.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let stable_ids: Vec<String> = stable.iter().cloned().collect();
    let writer = tokio::spawn(async move {
        let mut sequence = 1;
        while !stopped.load(Relaxed) {
            let comes = (0..5).map(|n| {
                put(
                    "docs",
                    &format!("comes-{n}-{}", sequence % 40),
                    json!({"n": sequence % 4}),
                )
            });
            let goes =
                (0..5).map(|n| delete("docs", &format!("comes-{n}-{}", (sequence + 20) % 40)));
            let rewritten = stable_ids
                .iter()
                .skip(sequence as usize % 60)
                .take(5)
                .map(stays);
            let writes = comes.chain(goes).chain(rewritten).collect();
            let commit = Commit {
                position: Position(sequence),
                writes,
                ..Commit::default()
            };
            store.commit(&generation, sequence, commit).await.unwrap();
            sequence += 1;
        }
    });
    for order in ["n", "-n", "x", "-x,n", ""] {
        for page in [3, 17] {
            let walked = fold.walk("docs", &Filter::everything(), order, page).await;
            let distinct: HashSet<&String> = walked.iter().collect();
            assert_eq!(
                distinct.len(),
                walked.len(),
                "{order}: a document came twice"
            );
            let missed: Vec<&String> = stable.iter().filter(|id| !distinct.contains(id)).collect();
            assert!(missed.is_empty(), "{order}: {missed:?}");
        }
    }
    stop.store(true, Relaxed);
    writer.await.unwrap();
}

pub(crate) async fn a_sort_by_what_is_no_path_is_refused(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[plain("docs")]).await;
    for path in [
        "",
        "a b",
        "a'",
        "a\"; DROP TABLE x; --",
        "_foldhost.seq",
        "$natural",
        "id) --",
    ] {
        let keys = vec![SortKey {
            path: path.into(),
            descending: false,
        }];
        let result = fold
            .find(
                "docs",
                Find {
                    sort: keys,
                    ..everything("", Filter::everything())
                },
            )
            .await;
        assert!(
            matches!(result, Err(Error::Refused { .. })),
            "{path}: {result:?}"
        );
    }
}

pub(crate) async fn a_place_from_another_order_is_refused(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[plain("docs")]).await;
    let after = Some(Place {
        values: vec![json!(1)],
        id: "a".into(),
    });
    let result = fold
        .find(
            "docs",
            Find {
                after,
                ..everything("i,j", Filter::everything())
            },
        )
        .await;
    assert!(matches!(result, Err(Error::Refused { .. })), "{result:?}");
}

pub(crate) async fn a_page_of_no_documents_is_empty(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[plain("docs")]).await;
    fold.write([put("docs", "a", json!({}))]).await;
    let find = Find {
        limit: 0,
        ..everything("", Filter::everything())
    };
    assert_eq!(fold.find("docs", find).await.unwrap(), []);
}

/// The reference: what the port says about orders, in as few words as possible.
fn sorted(documents: &[Value], order: &[SortKey]) -> Vec<String> {
    let mut documents: Vec<(String, &Value)> = documents
        .iter()
        .enumerate()
        .map(|(id, document)| (id.to_string(), document))
        .collect();
    documents.sort_by(|(a_id, a), (b_id, b)| {
        let keys = order.iter().map(|key| {
            let ordering = if key.path == "_id" {
                a_id.cmp(b_id)
            } else {
                let path = FieldPath::parse(&key.path).unwrap();
                compare(path.scalar(a).unwrap(), path.scalar(b).unwrap())
            };
            if key.descending {
                ordering.reverse()
            } else {
                ordering
            }
        });
        keys.fold(Ordering::Equal, Ordering::then)
            .then_with(|| a_id.cmp(b_id))
    });
    documents.into_iter().map(|(id, _)| id).collect()
}

fn compare(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::Bool(_) => 3,
        Value::Null | Value::Array(_) | Value::Object(_) => 0,
    };
    let less = |a: &Value, b: &Value| {
        !b.is_null()
            && Filter::parse(&json!({"v": {"lt": b}}))
                .unwrap()
                .matches("", &json!({ "v": a }))
    };
    rank(a)
        .cmp(&rank(b))
        .then_with(|| match (less(a, b), less(b, a)) {
            (true, _) => Ordering::Less,
            (_, true) => Ordering::Greater,
            _ => Ordering::Equal,
        })
}
