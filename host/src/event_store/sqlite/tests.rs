//! What only SQLite can get wrong. What every event store does is in the contract suite.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::Value as Sql;

use super::super::{Decision, EntryCommand};
use super::*;
use crate::message::{Json, NewEvent};

/// A fresh folder, deleted when dropped.
struct Folder(PathBuf);

impl Folder {
    fn fresh() -> Self {
        let path = std::env::temp_dir().join(format!("foldhost-unit-{}", Uuid::now_v7()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn open(&self) -> SqliteEventStore {
        SqliteEventStore::open(&self.0).unwrap()
    }

    /// A connection as anyone with the file could make one.
    fn connect(&self) -> Connection {
        Connection::open(self.0.join("events.db")).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn entry(stream: &str, data: &str) -> Entry {
    let id = CommandId::random();
    let json = Json::from_store(data);
    let event = NewEvent {
        event_id: Uuid::now_v7(),
        event_type: "Created".into(),
        schema_version: 1,
        data: json.clone(),
    };
    Entry {
        stream: StreamId::parse(stream).unwrap(),
        expected: StreamHead::default(),
        plugin: Digest::of(b"plugin"),
        command: EntryCommand {
            hash: Digest::of(id.as_str().as_bytes()),
            id,
            actor: "anne".into(),
            name: "create".into(),
            payload: json,
            correlation_id: "c".into(),
            metadata: Json::from_store("{}"),
        },
        time: Time(1),
        decision: Decision::Accepted(vec![event]),
    }
}

async fn append(store: &SqliteEventStore, entry: Entry) -> Result<Outcome, Error> {
    store
        .append(Arc::new([entry]))
        .await
        .map(|mut outcomes| outcomes.remove(0))
}

#[tokio::test]
async fn the_database_refuses_to_change_events() {
    let folder = Folder::fresh();
    let store = folder.open();
    append(&store, entry("post-a", "1")).await.unwrap();
    append(&store, entry("post-b", "2")).await.unwrap();
    let raw = folder.connect();
    let copied = |position: &str, version: &str| {
        let columns = "type, schema_version, recorded_at, correlation_id, causation_id, actor, plugin, metadata, data";
        format!(
            "INSERT OR REPLACE INTO events (position, event_id, stream, version, {columns})
             SELECT {position}, event_id, stream, {version}, {columns} FROM events WHERE position = 1"
        )
    };
    let attempts = [
        "UPDATE events SET data = '3'".to_owned(),
        "DELETE FROM events WHERE position = 2".to_owned(),
        copied("1", "1"),
        copied("3", "1"),
        copied("4", "2"),
    ];
    for attempt in attempts {
        let error = raw.execute(&attempt, []).unwrap_err().to_string();
        assert!(
            error.contains("insert-only") || error.contains("dense"),
            "{attempt}: {error}"
        );
    }
    assert_eq!(store.read_all(Position::START, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_nothing_more() {
    let folder = Folder::fresh();
    let store = folder.open();
    append(&store, entry("post-a", "1")).await.unwrap();
    set_room(&store, "(SELECT page_count + 2 FROM pragma_page_count)").await;
    let large = format!("\"{}\"", "x".repeat(100_000));
    let too_large = entry("post-b", &large);
    assert!(matches!(
        append(&store, too_large.clone()).await,
        Err(Error::Full)
    ));
    assert_eq!(*store.head().borrow(), Position(1));
    assert!(matches!(
        append(&store, entry("post-c", "1")).await,
        Ok(Outcome::Appended { .. })
    ));
    set_room(&store, "4294967294").await;
    let outcome = append(&store, too_large).await.unwrap();
    assert!(matches!(outcome, Outcome::Appended { head } if head.position == Position(3)));
}

/// Limits the file's pages, which SQLite reports as it reports a full disk.
async fn set_room(store: &SqliteEventStore, pages: &'static str) {
    let work = move |writer: &mut sqlite::Writer| -> rusqlite::Result<()> {
        let transaction = writer.begin(Sync::Full)?;
        let pages: i64 = transaction.query_row(&format!("SELECT {pages}"), [], |row| row.get(0))?;
        transaction.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
    };
    store.database.write(work).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_the_writer_leaves_nothing_and_the_next_append_works() {
    let folder = Folder::fresh();
    let store = Arc::new(folder.open());
    let panicking = Arc::clone(&store);
    let work = |writer: &mut sqlite::Writer| -> rusqlite::Result<()> {
        let _transaction = writer.begin(Sync::Full)?;
        panic!("as planned")
    };
    let panicked = tokio::spawn(async move { panicking.database.write(work).await }).await;
    assert!(panicked.unwrap_err().is_panic());
    assert!(matches!(
        append(&store, entry("post-a", "1")).await,
        Ok(Outcome::Appended { .. })
    ));
}

#[tokio::test]
async fn appends_are_synced_even_after_a_snapshot_that_is_not() {
    let folder = Folder::fresh();
    let store = folder.open();
    let levels = [
        (Sync::Full, 2_i64),
        (Sync::Normal, 1),
        (Sync::Normal, 1),
        (Sync::Full, 2),
    ];
    for (sync, level) in levels {
        let work = move |writer: &mut sqlite::Writer| -> rusqlite::Result<i64> {
            writer
                .begin(sync)?
                .query_row("PRAGMA synchronous", [], |row| row.get(0))
        };
        assert_eq!(store.database.write(work).await.unwrap(), level, "{sync:?}");
    }
}

#[tokio::test]
async fn a_streams_head_is_one_step_in_an_index() {
    let folder = Folder::fresh();
    let _store = folder.open();
    let plan = |sql: &str| {
        let raw = folder.connect();
        let mut statement = raw.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let parameters = vec![Sql::Null; statement.parameter_count()];
        let parameters = rusqlite::params_from_iter(parameters);
        let rows = statement
            .query_map(parameters, |row| row.get::<_, String>(3))
            .unwrap();
        rows.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    };
    let by_stream = "SEARCH events USING INDEX sqlite_autoindex_events_2 (stream=?)";
    assert_eq!(plan(read::STREAM_HEAD), by_stream);
    assert_eq!(
        plan(read::STREAM_EVENTS),
        by_stream.replace("stream=?", "stream=? AND version>?")
    );
    assert_eq!(
        plan(read::ALL_EVENTS),
        "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"
    );
    assert!(
        plan(read::SAMPLE).contains("USING COVERING INDEX"),
        "{}",
        plan(read::SAMPLE)
    );
}

#[track_caller]
fn cannot_open(folder: &Path, expected: &str) {
    let error = SqliteEventStore::open(folder).err().unwrap().to_string();
    assert!(
        error.contains(expected) && error.contains(&*folder.to_string_lossy()),
        "{error}"
    );
}

#[test]
fn what_is_no_database_of_ours_is_named_and_left_alone() {
    let folder = Folder::fresh();
    let file = folder.0.join("events.db");
    fs::write(
        &file,
        "not a database, but long enough to be looked at as if it were one, page by page",
    )
    .unwrap();
    cannot_open(&folder.0, "file is not a database");
    fs::remove_file(&file).unwrap();
    folder
        .connect()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    cannot_open(&folder.0, "the database belongs to another program");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    cannot_open(&folder.0, "unable to open database file");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = Folder::fresh();
    let file = folder.0.join("file");
    fs::write(&file, "").unwrap();
    let inside = file.join("data");
    cannot_open(&inside, "cannot be opened");
}

#[test]
fn a_newer_schema_is_refused_with_both_numbers() {
    let folder = Folder::fresh();
    drop(folder.open());
    folder
        .connect()
        .execute(
            "INSERT INTO event_store_migrations VALUES (7, 'future', 0)",
            [],
        )
        .unwrap();
    let error = SqliteEventStore::open(&folder.0).err();
    assert!(
        matches!(error, Some(Error::TooNew { found: 7, known }) if known as usize == PURPOSE.migrations.len()),
        "{error:?}"
    );
}
