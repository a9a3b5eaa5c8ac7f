use std::cmp::Ordering;

use foldhost::read_store::mongo::MongoReadStore;
use foldhost::read_store::{FieldPath, Filter, Find, GenerationId, Place, ReadStore as _, SortKey};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::fold::{docs, generation, put, sort, write};
use crate::server::place;

const CASES: u32 = 24;
/// `at` is an indexed date, `i` an indexed scalar, `seen` a date without an index, `x` anything.
const INDEXES: [&str; 3] = ["-at,i", "i", "at"];
const DATES: [&str; 2] = ["at", "seen"];
const PATHS: [&str; 5] = ["at", "i", "seen", "x", "_id"];
const ORDERS: [&str; 11] = [
    "", "at", "-at", "-at,i", "at,-i", "i,-at", "-i", "seen", "-seen,at", "x", "-x,i",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_and_sorts_over_dates_arrays_and_mixed_kinds_mean_what_the_port_says() {
    let Some(place) = place().await else {
        return;
    };
    let store = place.store().await;
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let requests = vec((filter(), select(ORDERS.to_vec()), 1..8_usize), 12);
    let result = runner.run(
        &(vec(document(), 1..16), requests),
        |(documents, requests)| {
            let check = async {
                let posts = generation(&store, &docs(&INDEXES, &DATES)).await;
                let writes = documents
                    .iter()
                    .enumerate()
                    .map(|(id, document)| put(&id.to_string(), document));
                write(&store, &posts, writes.collect()).await.unwrap();
                for (filter, order, page) in requests {
                    check(&store, &posts, &documents, (&filter, order, page)).await;
                }
                store.drop_generation(&posts).await.unwrap();
            };
            block_in_place(|| Handle::current().block_on(check));
            Ok(())
        },
    );
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Compares the pages that the store gives with what the port says.
async fn check(
    store: &MongoReadStore,
    posts: &GenerationId,
    documents: &[Value],
    (filter, order, page): (&Value, &str, usize),
) {
    let parsed = Filter::parse(filter).unwrap();
    let mut expected: Vec<(String, &Value)> = documents
        .iter()
        .enumerate()
        .map(|(id, document)| (id.to_string(), document))
        .filter(|(id, document)| parsed.matches(id, document))
        .collect();
    let keys = sort(order);
    expected.sort_by(|a, b| compare(&keys, a, b));
    let expected: Vec<String> = expected.into_iter().map(|(id, _)| id).collect();
    let (mut found, mut after): (Vec<String>, Option<Place>) = (Vec::new(), None);
    loop {
        let find = Find {
            filter: parsed.clone(),
            sort: keys.clone(),
            limit: page,
            after: after.take(),
        };
        let next = store.find(posts, "docs", find).await.unwrap();
        assert!(next.len() <= page);
        found.extend(next.iter().map(|found| found.place.id.clone()));
        after = next.into_iter().next_back().map(|found| found.place);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(
        found, expected,
        "{filter} by {order:?} in pages of {page} of {documents:?}"
    );
}

fn compare(keys: &[SortKey], a: &(String, &Value), b: &(String, &Value)) -> Ordering {
    let value = |key: &SortKey, document: &(String, &Value)| {
        if key.path == "_id" {
            return Value::String(document.0.clone());
        }
        let path = FieldPath::parse(&key.path).unwrap();
        path.scalar(document.1).cloned().unwrap_or(Value::Null)
    };
    let by_keys = keys.iter().map(|key| {
        let ordering = order_of(&value(key, a), &value(key, b));
        if key.descending {
            ordering.reverse()
        } else {
            ordering
        }
    });
    by_keys
        .fold(Ordering::Equal, Ordering::then)
        .then_with(|| a.0.cmp(&b.0))
}

fn order_of(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap(),
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::Bool(_) => 3,
        Value::Null | Value::Array(_) | Value::Object(_) => 0,
    }
}

const TIMES: [&str; 5] = [
    "1969-12-31T23:59:59.999Z",
    "2011-10-11T11:45:40.276Z",
    "2011-10-11T11:45:40.277Z",
    "0001-01-01T00:00:00.000Z",
    "9999-12-30T21:59:59.999Z",
];

fn time() -> impl Strategy<Value = Value> {
    select(TIMES.map(|time| json!(time)).to_vec())
}

fn scalar() -> impl Strategy<Value = Value> {
    select(vec![
        json!(null),
        json!(-1),
        json!(0),
        json!(0.5),
        json!(2),
        json!(""),
        json!("a"),
        json!("b"),
        json!(false),
        json!(true),
    ])
}

fn anything() -> impl Strategy<Value = Value> {
    let array = vec(prop_oneof![scalar(), time()], 0..3).prop_map(Value::Array);
    let nested = vec(vec(scalar(), 0..2), 1..3).prop_map(|nested| json!(nested));
    prop_oneof![
        scalar(),
        time(),
        array,
        nested,
        scalar().prop_map(|inner| json!({"y": inner})),
        Just(json!(-0.0))
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let maybe = |strategy: BoxedStrategy<Value>| proptest::option::of(strategy);
    let date = prop_oneof![3 => time(), 1 => Just(Value::Null)];
    let fields = (
        maybe(date.clone().boxed()),
        maybe(scalar().boxed()),
        maybe(date.boxed()),
        maybe(anything().boxed()),
    );
    fields.prop_map(|(at, i, seen, x)| {
        let fields = [("at", at), ("i", i), ("seen", seen), ("x", x)];
        let present = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(present.collect::<Map<_, _>>())
    })
}

fn filter() -> impl Strategy<Value = Value> {
    // Some texts that are no whole time, but come between times.
    let partial = select(vec![
        json!("2011"),
        json!("2011-10-11T11:45:40.276"),
        json!("2"),
        json!("2011-10-11T11:45:40Z"),
    ]);
    let value = || prop_oneof![scalar(), time(), partial.clone()];
    let compared = (select(vec!["eq", "ne", "lt", "lte", "gt", "gte"]), value());
    let compared = compared.prop_filter_map("null has no order", |(operator, value)| {
        (!value.is_null() || operator.len() == 2 && operator != "lt" && operator != "gt")
            .then(|| json!({operator: value}))
    });
    let comparison = prop_oneof![
        4 => compared,
        1 => vec(value(), 0..3).prop_map(|values| json!({"in": values})),
        1 => any::<bool>().prop_map(|exists| json!({"exists": exists})),
        1 => select(vec!["", "2011-10", "a", "1"]).prop_map(|prefix| json!({"prefix": prefix})),
    ];
    let field = (select(PATHS.to_vec()), comparison)
        .prop_map(|(path, comparison)| json!({path: comparison}));
    let joined = |inner| {
        (select(vec!["and", "or"]), vec(inner, 1..3))
            .prop_map(|(operator, filters)| json!({operator: filters}))
    };
    prop_oneof![1 => Just(json!({})), 4 => field.clone(), 2 => joined(field)]
}
