//! The log, read and counted in another way than importer and plugins do it.

use std::collections::{BTreeMap, HashMap};
use std::fs::OpenOptions;
use std::io::{Write as _, stderr};
use std::path::PathBuf;
use std::{env, fs};

/// The log.
pub(crate) struct Receipt {
    pub(crate) csv: Vec<u8>,
    /// In the order of the file.
    pub(crate) rows: Vec<Row>,
    /// The rows of each case, in the order of the file.
    pub(crate) cases: HashMap<String, Vec<Row>>,
}

/// A row of the log; times are microseconds since 1970 in UTC.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) task: String,
    pub(crate) activity: String,
    pub(crate) resource: String,
    pub(crate) responsible: String,
    pub(crate) started_at: i64,
    pub(crate) at: i64,
}

/// The log; `None` when it is missing and may be.
#[track_caller]
pub(crate) fn receipt() -> Option<Receipt> {
    let beside = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../../shared/data/receipt.csv"
    );
    let path = env::var_os("FOLDHOST_RECEIPT_CSV").map_or(PathBuf::from(beside), PathBuf::from);
    match fs::read(&path) {
        Ok(csv) => Some(Receipt::of(csv)),
        Err(error) => {
            missing(&format!(
                "permits-import --test receipt: the event log {} is missing ({error}); \
                 FOLDHOST_RECEIPT_CSV names another place",
                path.display()
            ));
            None
        }
    }
}

/// Says what is missing, in the list that `cargo xtask test` prints too; fails unless that is allowed.
#[track_caller]
fn missing(line: &str) {
    if let Some(list) = env::var_os("FOLDHOST_MISSING_LIST") {
        let list = OpenOptions::new().append(true).create(true).open(list);
        let written = list.and_then(|mut list| writeln!(list, "{line}"));
        assert!(written.is_ok(), "{written:?}");
    }
    let allowed = env::var("FOLDHOST_ALLOW_MISSING").is_ok_and(|value| value == "1");
    assert!(allowed, "{line}; FOLDHOST_ALLOW_MISSING=1 goes on without");
    // Not by `eprintln!`, which the test harness would swallow.
    let _ = writeln!(stderr(), "NOT RUN: {line}");
}

impl Receipt {
    fn of(csv: Vec<u8>) -> Self {
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        let names = reader.headers().cloned().unwrap_or_default();
        let (mut rows, mut cases) = (Vec::new(), HashMap::<String, Vec<Row>>::new());
        for record in reader.records() {
            let Ok(record) = record else {
                panic!("{record:?}")
            };
            let of = |name| {
                let column = names.iter().position(|column| column == name);
                column
                    .and_then(|place| record.get(place))
                    .unwrap_or_default()
                    .to_owned()
            };
            let row = Row {
                task: of("concept:instance"),
                activity: of("concept:name"),
                resource: of("org:resource"),
                responsible: of("case:responsible"),
                started_at: micros(&of("case:startdate")),
                at: micros(&of("time:timestamp")),
            };
            rows.push(row.clone());
            cases.entry(of("case:concept:name")).or_default().push(row);
        }
        drop(reader);
        Self { csv, rows, cases }
    }

    /// How many cases took each path.
    pub(crate) fn paths(&self) -> BTreeMap<Vec<String>, u64> {
        let mut paths = BTreeMap::new();
        for rows in self.cases.values() {
            let path = rows.iter().map(|row| row.activity.clone()).collect();
            *paths.entry(path).or_default() += 1;
        }
        paths
    }

    /// How often one activity directly follows another.
    pub(crate) fn pairs(&self) -> BTreeMap<(String, String), u64> {
        let mut pairs = BTreeMap::new();
        for pair in self.cases.values().flat_map(|rows| rows.windows(2)) {
            let names = (pair[0].activity.clone(), pair[1].activity.clone());
            *pairs.entry(names).or_default() += 1;
        }
        pairs
    }
}

impl Row {
    /// The day of the task in UTC.
    pub(crate) fn day(&self) -> String {
        match jiff::Timestamp::from_microsecond(self.at) {
            Ok(time) => time.strftime("%Y-%m-%d").to_string(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A time as the log or a payload writes it, with its offset.
#[track_caller]
pub(crate) fn micros(text: &str) -> i64 {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => time.as_microsecond(),
        Err(error) => panic!("{text}: {error}"),
    }
}
