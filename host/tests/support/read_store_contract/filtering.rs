use std::sync::Arc;

use foldhost::read_store::{Error, Filter, Write};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::ReadStorePlace;
use super::fold::{Fold, everything, indexed, plain, put};

/// Each case is a collection of its own.
const CASES: u32 = 48;
/// Fields `i`, `j` and `k.l` are indexed and hold scalars; the others hold anything.
const INDEXES: [&str; 4] = ["i", "-j,i", "k.l,-i", "-k.l"];
const PATHS: [&str; 9] = [
    "i",
    "j",
    "k.l",
    "k",
    "a",
    "a.b",
    "a.b.c",
    "_id",
    "never.there",
];

pub(crate) async fn filters_mean_what_their_definition_says(place: &dyn ReadStorePlace) {
    let store = place.open().await;
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let cases = (vec(document(), 1..12), vec(filter(), 40));
    let result = runner.run(&cases, |(documents, filters)| {
        let check = async {
            let fold = Fold::beside(Arc::clone(&store), &[indexed("docs", &INDEXES)]).await;
            fold.write(writes(&documents)).await;
            for filter in filters {
                check(&fold, &documents, &filter).await;
            }
        };
        block_in_place(|| Handle::current().block_on(check));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

pub(crate) async fn hostile_text_is_only_text(place: &dyn ReadStorePlace) {
    let hostile = [
        "' OR 1=1 --",
        "\"; DROP TABLE x; --",
        "\\",
        "%",
        "_",
        "a\\'b",
        "$ne",
        "{\"$gt\":\"\"}",
    ];
    let documents: Vec<Value> = hostile
        .iter()
        .map(|text| json!({"i": text, "a": text}))
        .collect();
    let fold = Fold::new(place, &[indexed("docs", &INDEXES)]).await;
    fold.write(writes(&documents)).await;
    for text in hostile {
        for path in ["i", "a", "_id"] {
            for operator in ["eq", "ne", "lt", "gte", "prefix"] {
                check(&fold, &documents, &json!({path: {operator: text}})).await;
            }
        }
    }
}

pub(crate) async fn large_integers_are_told_apart(place: &dyn ReadStorePlace) {
    const LARGE: i64 = 9_007_199_254_740_992;
    let fold = Fold::new(place, &[indexed("docs", &INDEXES)]).await;
    let documents: Vec<Value> = (0..3)
        .map(|n| json!({"i": LARGE + n, "a": LARGE + n}))
        .collect();
    fold.write(writes(&documents)).await;
    for path in ["i", "a"] {
        assert_eq!(
            fold.matching("docs", &json!({path: {"eq": LARGE + 1}}))
                .await,
            ["1"]
        );
        assert_eq!(
            fold.matching("docs", &json!({path: {"gt": LARGE as f64}}))
                .await,
            ["1", "2"]
        );
    }
}

pub(crate) async fn an_undeclared_collection_cannot_be_searched(place: &dyn ReadStorePlace) {
    let fold = Fold::new(place, &[plain("docs")]).await;
    let result = fold
        .find("other", everything("", Filter::everything()))
        .await;
    assert!(
        matches!(&result, Err(Error::NoCollection { collection }) if collection == "other"),
        "{result:?}"
    );
}

/// Compares what the store finds with what the filter's definition says.
async fn check(fold: &Fold, documents: &[Value], filter: &Value) {
    let parsed = Filter::parse(filter).unwrap();
    let mut expected: Vec<String> = (0..documents.len())
        .map(|id| id.to_string())
        .zip(documents)
        .filter(|(id, document)| parsed.matches(id, document))
        .map(|(id, _)| id)
        .collect();
    expected.sort();
    assert_eq!(
        fold.matching("docs", filter).await,
        expected,
        "{filter} on {documents:?}"
    );
}

/// Documents with the ids `0`, `1` and so on.
pub(super) fn writes(documents: &[Value]) -> Vec<Write> {
    documents
        .iter()
        .enumerate()
        .map(|(id, document)| put("docs", &id.to_string(), document.clone()))
        .collect()
}

/// Few different values, so that they meet.
pub(super) fn scalar() -> impl Strategy<Value = Value> {
    let numbers = [
        json!(-1),
        json!(0),
        json!(1),
        json!(1.0),
        json!(0.5),
        json!(-1.5),
        json!(i64::MAX),
        json!(i64::MIN),
    ];
    let large = [
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992.0),
        json!(1e300),
        json!(-1e300),
        // Digits that a careless parser gets wrong by one in the last place.
        json!(0.1 + 0.2),
        json!(1.797_693_134_862_315_5e308),
        json!(2.225_073_858_507_201e-308),
        json!(-7_317_770_170_789_331.0),
    ];
    let texts = ["", "a", "ab", "b", "A", "1", "é", "😀", "\u{ffff}"].map(|text| json!(text));
    let others = [json!(null), json!(true), json!(false)];
    select([&numbers[..], &large, &texts, &others].concat())
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        let object =
            proptest::collection::btree_map(select(vec!["a", "b", "c"]), inner.clone(), 0..3);
        prop_oneof![
            vec(inner, 0..3).prop_map(Value::Array),
            object.prop_map(|fields| json!(fields))
        ]
    })
}

fn document() -> impl Strategy<Value = Value> {
    let maybe = |strategy: BoxedStrategy<Value>| proptest::option::of(strategy);
    let fields = (
        maybe(scalar().boxed()),
        maybe(scalar().boxed()),
        maybe(scalar().boxed()),
        maybe(value().boxed()),
    );
    (fields, any::<bool>()).prop_map(|((i, j, l, a), nested)| {
        let k = if nested {
            l.map(|l| json!({ "l": l }))
        } else {
            l
        };
        let fields = [("i", i), ("j", j), ("k", k), ("a", a)];
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    })
}

fn comparison() -> impl Strategy<Value = Value> {
    let bound = scalar().prop_filter("null has no order", |value| !value.is_null());
    prop_oneof![
        (select(vec!["eq", "ne"]), scalar()).prop_map(|(operator, value)| json!({operator: value})),
        (select(vec!["lt", "lte", "gt", "gte"]), bound)
            .prop_map(|(operator, value)| json!({operator: value})),
        vec(scalar(), 0..4).prop_map(|values| json!({ "in": values })),
        any::<bool>().prop_map(|exists| json!({ "exists": exists })),
        select(vec!["", "a", "é", "1", "\u{ffff}", "%"])
            .prop_map(|prefix| json!({ "prefix": prefix })),
    ]
}

fn filter() -> impl Strategy<Value = Value> {
    let field = (select(PATHS.to_vec()), comparison())
        .prop_map(|(path, comparison)| json!({path: comparison}));
    field.prop_recursive(3, 8, 3, |inner| {
        let joined = (select(vec!["and", "or"]), vec(inner.clone(), 1..4));
        let beside = (select(PATHS.to_vec()), comparison(), vec(inner, 1..3));
        prop_oneof![
            joined.prop_map(|(operator, filters)| json!({operator: filters})),
            beside.prop_map(|(path, comparison, filters)| json!({path: comparison, "or": filters})),
        ]
    })
}
