//! Commands made of a log of a few rows.

use permits_import::{Command, commands};
use serde_json::json;

const COLUMNS: &str = "case:channel,case:concept:name,case:deadline,case:department,case:enddate,case:enddate_planned,\
    case:group,case:responsible,case:startdate,concept:instance,concept:name,lifecycle:transition,org:group,\
    org:resource,time:timestamp";

/// A row of a case that came in at 13:42 local time.
fn row(case: &str, task: &str, at: &str) -> String {
    format!(
        "Internet,{case},2011-12-06 13:41:31.788000+01:00,General,,2011-12-06 13:41:31.788000+01:00,Group 2,\
         Resource21,2011-10-11 13:42:22.688000+02:00,{task},T02 Check,complete,EMPTY,Resource10,{at}"
    )
}

#[track_caller]
fn read(rows: &[String]) -> Vec<Command> {
    let log = format!("{COLUMNS}\n{}\n", rows.join("\n"));
    match commands(log.as_bytes()) {
        Ok(commands) => commands,
        Err(error) => panic!("{error}"),
    }
}

fn ids(commands: &[Command]) -> Vec<&str> {
    commands.iter().map(|c| c.command_id.as_str()).collect()
}

#[test]
fn a_case_is_registered_and_its_rows_are_recorded_in_utc() {
    let commands = read(&[row("case-1", "task-1", "2011-10-11 13:45:40.276000+02:00")]);
    assert_eq!(commands[0].command, "register");
    assert_eq!(
        commands[0].payload,
        json!({ "channel": "Internet", "department": "General", "group": "Group 2", "responsible": "Resource21",
            "started_at": "2011-10-11T11:42:22.688Z", "ended_at": null, "deadline": "2011-12-06T12:41:31.788Z" })
    );
    assert_eq!(commands[1].command, "record-task");
    assert_eq!(
        commands[1].payload,
        json!({ "task": "task-1", "activity": "T02 Check", "resource": "Resource10", "group": null,
            "at": "2011-10-11T11:45:40.276Z" })
    );
    assert_eq!(ids(&commands), ["case-1/register", "case-1/task-1"]);
}

#[test]
fn a_case_that_starts_after_its_first_task_is_registered_at_that_task() {
    let commands = read(&[row("case-1", "task-1", "2011-10-11 13:00:00+02:00")]);
    assert_eq!(ids(&commands), ["case-1/register", "case-1/task-1"]);
    assert_eq!(
        commands[0].payload["started_at"],
        "2011-10-11T11:00:00.000Z"
    );
}

#[test]
fn cases_are_interleaved_by_time_whatever_their_offsets() {
    let commands = read(&[
        row("case-1", "task-1", "2011-10-12 09:00:00+02:00"),
        row("case-1", "task-2", "2011-10-12 11:00:00+02:00"),
        row("case-2", "task-3", "2011-10-12 09:00:00+01:00"),
    ]);
    let tasks = ["case-1/task-1", "case-2/task-3", "case-1/task-2"];
    assert_eq!(ids(&commands)[2..], tasks);
}

#[test]
fn what_happened_at_the_same_time_keeps_the_order_of_the_file() {
    let at = "2011-10-11 13:42:22.688000+02:00";
    let commands = read(&[
        row("case-2", "task-9", at),
        row("case-1", "task-8", at),
        row("case-2", "task-7", at),
    ]);
    assert_eq!(
        ids(&commands),
        [
            "case-2/register",
            "case-2/task-9",
            "case-1/register",
            "case-1/task-8",
            "case-2/task-7"
        ]
    );
}

#[test]
fn a_row_that_is_no_task_is_named_by_its_line() {
    let log = format!("{COLUMNS}\n{}\n", row("case-1", "task-1", "yesterday"));
    let error = commands(log.as_bytes()).unwrap_err().to_string();
    assert!(
        error.contains("line: 2") && error.contains("yesterday"),
        "{error}"
    );
}
