//! The real event log through importer and plugins, against counts made from its rows another way.
//!
//! The log is public data and not part of the repository, see the example's README.
//! It is looked for at `../shared/data/receipt.csv` beside the repository, or where `FOLDHOST_RECEIPT_CSV` says.
//! Without it these tests fail, unless `FOLDHOST_ALLOW_MISSING=1` allows it to be missing.

mod native;
mod receipt;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use flow::Flow;
use permits::Permits;
use permits_import::{Command, commands};
use serde_json::{Value, json};
use workload::Workload;

use native::{Recorded, decide_all, fold};
use receipt::{Receipt, receipt};

/// The log, its commands, and what is recorded of them.
struct Import {
    receipt: Receipt,
    commands: Vec<Command>,
    recorded: Vec<Recorded>,
}

/// The import, made once for all tests; `None` when the log is missing and may be.
#[track_caller]
fn import() -> Option<&'static Import> {
    static IMPORT: OnceLock<Option<Import>> = OnceLock::new();
    IMPORT.get_or_init(|| receipt().map(Import::of)).as_ref()
}

impl Import {
    fn of(receipt: Receipt) -> Self {
        let commands = match commands(receipt.csv.as_slice()) {
            Ok(commands) => commands,
            Err(error) => panic!("{error}"),
        };
        let (recorded, refused) = decide_all(&commands);
        assert_eq!(refused, [""; 0], "nothing of the log is refused");
        Self {
            receipt,
            commands,
            recorded,
        }
    }
}

#[test]
fn the_log_is_the_one_whose_facts_are_known() {
    let Some(Import { receipt, .. }) = import() else {
        return;
    };
    assert_eq!(receipt.cases.len(), 1_434);
    assert_eq!(receipt.rows.len(), 8_577);
    assert_eq!(receipt.paths().len(), 116);
    let pairs = receipt.pairs();
    assert_eq!(pairs.len(), 99);
    let mut counts: Vec<u64> = pairs.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(counts[..3], [1_177, 1_165, 1_119]);
}

#[test]
fn every_case_is_registered_and_every_row_recorded_under_an_id_of_its_own() {
    let Some(Import {
        commands, recorded, ..
    }) = import()
    else {
        return;
    };
    let of = |name| commands.iter().filter(|c| c.command == name).count();
    assert_eq!((of("register"), of("record-task")), (1_434, 8_577));
    let ids: BTreeSet<&str> = commands.iter().map(|c| c.command_id.as_str()).collect();
    assert_eq!(ids.len(), commands.len());
    assert_eq!(recorded.len(), commands.len());
}

#[test]
fn commands_are_in_the_order_of_time_and_within_a_case_in_that_of_the_file() {
    let Some(Import {
        receipt, commands, ..
    }) = import()
    else {
        return;
    };
    let time = |c: &Command| {
        let field = if c.command == "register" {
            "started_at"
        } else {
            "at"
        };
        receipt::micros(c.payload[field].as_str().unwrap_or_default())
    };
    assert!(commands.is_sorted_by_key(time));
    let mut tasks: HashMap<&str, Vec<&str>> = HashMap::new();
    for command in commands.iter().filter(|c| c.command == "record-task") {
        let task = command.payload["task"].as_str().unwrap_or_default();
        tasks.entry(&command.id).or_default().push(task);
    }
    for (case, rows) in &receipt.cases {
        let expected: Vec<&str> = rows.iter().map(|row| row.task.as_str()).collect();
        assert_eq!(tasks[case.as_str()], expected, "{case}");
    }
}

#[test]
fn two_cases_are_registered_at_their_first_task_and_the_others_at_their_start() {
    let Some(Import {
        receipt, commands, ..
    }) = import()
    else {
        return;
    };
    let registrations = commands.iter().filter(|c| c.command == "register");
    let moved: Vec<&str> = registrations
        .filter(|command| {
            let first = &receipt.cases[&command.id][0];
            let started_at =
                receipt::micros(command.payload["started_at"].as_str().unwrap_or_default());
            assert_eq!(started_at, first.started_at.min(first.at), "{}", command.id);
            started_at != first.started_at
        })
        .map(|command| command.id.as_str())
        .collect();
    assert_eq!(moved, ["case-4677", "case-5704"]);
}

#[test]
fn permits_show_each_case_as_the_log_has_it() {
    let Some(Import {
        receipt, recorded, ..
    }) = import()
    else {
        return;
    };
    let permits = &fold::<Permits>(recorded)["permits"];
    assert_eq!(permits.len(), 1_434);
    let open = permits.values().filter(|permit| permit["state"] == "open");
    assert_eq!(open.count(), 105);
    for (case, rows) in &receipt.cases {
        let (first, last) = (&rows[0], &rows[rows.len() - 1]);
        let seconds = (last.at - first.started_at.min(first.at)) / 1_000_000;
        let permit = &permits[case];
        let path: Vec<&str> = rows.iter().map(|row| row.activity.as_str()).collect();
        assert_eq!(permit["path"], json!(path), "{case}");
        assert_eq!(permit["tasks"], rows.len(), "{case}");
        assert_eq!(permit["elapsed_seconds"], seconds, "{case}");
        assert_eq!(permit["responsible"], first.responsible, "{case}");
    }
}

#[test]
fn workload_counts_every_task_for_its_resource_and_day() {
    let Some(Import {
        receipt, recorded, ..
    }) = import()
    else {
        return;
    };
    let mut expected: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in &receipt.rows {
        *expected
            .entry((row.day(), row.resource.clone()))
            .or_default() += 1;
    }
    let documents = &fold::<Workload>(recorded)["workload"];
    assert_eq!(documents.len(), expected.len());
    for ((day, resource), tasks) in expected {
        let document = json!({ "day": day, "resource": resource, "tasks": tasks });
        assert_eq!(documents[&format!("{day}/{resource}")], document);
    }
}

#[test]
fn flow_counts_pairs_and_paths_as_the_log_has_them() {
    let Some(Import {
        receipt, recorded, ..
    }) = import()
    else {
        return;
    };
    let collections = fold::<Flow>(recorded);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let pairs = collections["flow-pairs"].values();
    let pairs: BTreeMap<_, _> = pairs
        .map(|pair| {
            (
                (text(&pair["from"]), text(&pair["to"])),
                count(&pair["count"]),
            )
        })
        .collect();
    assert_eq!(pairs, receipt.pairs());
    let paths = collections["flow-paths"].values();
    let paths: BTreeMap<Vec<String>, u64> = paths
        .map(|path| {
            let activities = path["activities"].as_array().into_iter().flatten();
            (activities.map(text).collect(), count(&path["permits"]))
        })
        .collect();
    assert_eq!(paths, receipt.paths());
    assert_eq!(paths.len(), collections["flow-paths"].len());
}

#[test]
fn what_is_imported_a_second_time_would_be_refused_even_under_other_ids() {
    let Some(Import { commands, .. }) = import() else {
        return;
    };
    let twice = [commands.as_slice(), commands].concat();
    let (recorded, refused) = decide_all(&twice);
    assert_eq!(recorded.len(), 1_434 + 8_577);
    assert_eq!(refused.len(), 1_434 + 8_577);
    let codes: BTreeSet<String> = refused.into_iter().collect();
    assert!(
        codes
            .iter()
            .eq(["already-registered", "task-already-recorded"])
    );
}
