//! What only SQLite can get wrong. What every read store does is in the contract suite.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::params_from_iter;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{Filter, Place, SortKey, Write};
use super::documents::Layout;
use super::*;

/// A fresh folder, deleted when dropped.
struct Folder(PathBuf);

impl Folder {
    fn fresh() -> Self {
        let path = std::env::temp_dir().join(format!("foldhost-unit-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sort(text: &str) -> Vec<SortKey> {
    let key = |key: &str| SortKey {
        path: key.trim_start_matches('-').into(),
        descending: key.starts_with('-'),
    };
    text.split(',')
        .filter(|key| !key.is_empty())
        .map(key)
        .collect()
}

fn find(filter: &Value, order: &str) -> Find {
    Find {
        filter: Filter::parse(filter).unwrap(),
        sort: sort(order),
        limit: 50,
        after: None,
    }
}

/// A collection `docs` indexed by `state` and by `author,-created`.
async fn create(store: &SqliteReadStore) -> GenerationId {
    let indexes = vec![sort("state"), sort("author,-created")];
    let docs = CollectionSpec {
        name: "docs".into(),
        indexes,
        date_fields: Vec::new(),
    };
    let generation = store
        .create_generation("p", StoreId(Uuid::nil()), Digest::of(b"p"), &[docs])
        .await
        .unwrap();
    store.take_over(&generation).await.unwrap();
    generation
}

/// What SQLite means to do, step by step.
async fn plan(store: &SqliteReadStore, generation: &GenerationId, find: Find) -> String {
    let generation = generation.clone();
    let work = move |reader: &Connection| -> Result<String, Error> {
        let layout = Layout::find(reader, &generation, "docs")?;
        let query = query::compile(&layout, &find)?;
        let mut statement = reader.prepare(&format!("EXPLAIN QUERY PLAN {}", query.sql))?;
        let rows = statement.query_map(params_from_iter(&query.parameters), |row| {
            row.get::<_, String>(3)
        })?;
        Ok(rows
            .collect::<rusqlite::Result<Vec<_>>>()?
            .join("; ")
            .replace(&layout.table, "docs"))
    };
    store.readers.read(work).await.unwrap()
}

/// Compares what SQLite means to do for each request with what is expected.
async fn check(table: impl IntoIterator<Item = (Find, String)>) {
    let folder = Folder::fresh();
    let store = SqliteReadStore::open(&folder.0).unwrap();
    let generation = create(&store).await;
    for (find, expected) in table {
        let plan = plan(&store, &generation, find.clone()).await;
        assert_eq!(plan, expected, "{find:?}");
    }
}

#[tokio::test]
async fn declared_indexes_serve_filters() {
    let on_state = |filter: Value, order: &str, step: &str| {
        (
            find(&filter, order),
            format!("SEARCH docs USING INDEX docs_0 {step}"),
        )
    };
    let range = |comparison| {
        on_state(
            json!({ "state": comparison }),
            "state",
            "(key_0>? AND key_0<?)",
        )
    };
    let beside = json!({"state": {"eq": "open"}, "other": {"eq": 1}});
    let by_id = "SEARCH docs USING INDEX sqlite_autoindex_docs_1 (id=?)";
    check([
        on_state(json!({"state": {"eq": "open"}}), "", "(key_0=?)"),
        on_state(json!({"state": {"eq": null}}), "", "(key_0=?)"),
        on_state(beside, "", "(key_0=?)"),
        range(json!({"gt": 1})),
        range(json!({"lt": "x"})),
        range(json!({"prefix": "op"})),
        range(json!({"gte": false, "lte": true})),
        (find(&json!({"_id": {"eq": "a"}}), ""), by_id.into()),
    ])
    .await;
}

#[tokio::test]
async fn declared_indexes_serve_sorts() {
    let one = json!({"author": {"eq": 1}});
    let recent = json!({"author": {"eq": 1}, "created": {"gt": "2020"}});
    let by_author = |step: &str| format!("SEARCH docs USING INDEX docs_1 {step}");
    check([
        (find(&one, "-created"), by_author("(key_1=?)")),
        (
            find(&recent, "-created"),
            by_author("(key_1=? AND key_2>? AND key_2<?)"),
        ),
        (
            find(&json!({}), "author,-created"),
            "SCAN docs USING INDEX docs_1".into(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn declared_indexes_serve_later_pages() {
    let behind = |order, values: &[Value]| {
        let after = Some(Place {
            values: values.to_vec(),
            id: "x".into(),
        });
        Find {
            after,
            ..find(&json!({}), order)
        }
    };
    let search = |step: &str| format!("SEARCH docs USING INDEX {step}");
    check([
        (
            behind("state", &[json!("open")]),
            search("docs_0 (key_0>?)"),
        ),
        (
            behind("author,-created", &[json!(null), json!(1)]),
            search("docs_1 (key_1>?)"),
        ),
        (behind("", &[]), search("sqlite_autoindex_docs_1 (id>?)")),
    ])
    .await;
}

/// Writes the same document many times.
async fn fill(
    store: &SqliteReadStore,
    generation: &GenerationId,
    documents: usize,
    document: &Value,
) {
    let document = Json::from(document);
    let write = |n: usize| Write {
        collection: "docs".into(),
        id: n.to_string(),
        document: Some(document.clone()),
    };
    let commit = Commit {
        writes: (0..documents).map(write).collect(),
        ..Commit::default()
    };
    let sequence = store.checkpoint(generation).await.unwrap().sequence;
    store.commit(generation, sequence, commit).await.unwrap();
}

/// A document in which searching without an index takes its time.
fn slow() -> Value {
    json!({"list": vec![json!({"text": "x"}); 200]})
}

#[tokio::test]
async fn a_query_that_runs_too_long_is_stopped_and_holds_up_no_writer() {
    const LIMIT: Duration = Duration::from_millis(30);
    let folder = Folder::fresh();
    let store = Arc::new(SqliteReadStore::open_with_query_limit(&folder.0, LIMIT).unwrap());
    let generation = create(&store).await;
    fill(&store, &generation, 4_000, &slow()).await;
    let search = find(&json!({"list.text": {"eq": "never"}}), "list.text");
    let queries: Vec<_> = (0..QUERY_READERS * 2)
        .map(|_| {
            let (store, generation, search) =
                (Arc::clone(&store), generation.clone(), search.clone());
            tokio::spawn(async move { store.find(&generation, "docs", search).await })
        })
        .collect();
    fill(&store, &generation, 1, &json!({})).await;
    assert_eq!(
        store
            .get(&generation, "docs", &["0".into()])
            .await
            .unwrap()
            .len(),
        1
    );
    for query in queries {
        let error = query.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::TooSlow { limit: LIMIT }), "{error}");
    }
    let quick = store
        .find(&generation, "docs", find(&json!({"_id": {"eq": "7"}}), ""))
        .await
        .unwrap();
    assert_eq!(quick.len(), 1, "the connections are fit for use again");
}

#[tokio::test]
async fn a_query_whose_caller_is_gone_is_stopped() {
    let folder = Folder::fresh();
    let store =
        SqliteReadStore::open_with_query_limit(&folder.0, Duration::from_secs(600)).unwrap();
    let generation = create(&store).await;
    fill(&store, &generation, 2_000, &slow()).await;
    let search = || {
        find(
            &json!({"or": [{"list.text": {"eq": "a"}}, {"list.text": {"eq": "b"}}]}),
            "",
        )
    };
    let started = Instant::now();
    store.find(&generation, "docs", search()).await.unwrap();
    let whole = started.elapsed();
    for _ in 0..20 * QUERY_READERS {
        let given_up =
            tokio::time::timeout(whole / 50, store.find(&generation, "docs", search())).await;
        assert!(given_up.is_err());
    }
    let started = Instant::now();
    store
        .find(&generation, "docs", find(&json!({"_id": {"eq": "7"}}), ""))
        .await
        .unwrap();
    assert!(
        started.elapsed() < 10 * whole,
        "abandoned queries were run to their ends"
    );
}

#[test]
fn a_newer_schema_is_refused_with_both_numbers() {
    let folder = Folder::fresh();
    drop(SqliteReadStore::open(&folder.0).unwrap());
    let raw = Connection::open(folder.0.join("read.db")).unwrap();
    raw.execute(
        "INSERT INTO read_store_migrations VALUES (7, 'future', 0)",
        [],
    )
    .unwrap();
    let error = SqliteReadStore::open(&folder.0).err().unwrap().to_string();
    let known = PURPOSE.migrations.len();
    assert!(
        error.contains(&format!("schema 7, this host knows {known}")),
        "{error}"
    );
}
