//! Turns the event log of the permits, a CSV file, into commands for `foldhost command send --file`.
//!
//! Each row is a task: a `record-task`. Each case is registered before its first task.
//! The commands come in the order of time over the whole file; what happened at the same time keeps the file's order.
//! Since times do not go back within a case, neither do its commands.
//!
//! A command's id is made of the case and the task instance, so importing a second time changes nothing.

use std::collections::HashMap;
use std::io::Read;

use foldhost_plugin_sdk::{Command as _, Time};
use permit::PermitCommand;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the log writes where a resource has no group.
const NO_GROUP: &str = "EMPTY";

/// One command, a line of the file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Command {
    /// Always `permit`.
    pub aggregate: &'static str,
    /// The case.
    pub id: String,
    /// The command's name.
    pub command: &'static str,
    /// The payload.
    pub payload: Value,
    /// `<case>/register` or `<case>/<task instance>`.
    pub command_id: String,
}

/// Why the log cannot be turned into commands.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row is not what the log's rows are; the message of the source has its line and column.
    ///
    /// Handling: tell the user; no command was made.
    #[error("the event log cannot be read: {0}")]
    Row(#[from] csv::Error),
    /// A command's payload is no JSON, which the permit's own code has written.
    ///
    /// Handling: a defect; stop.
    #[error("a payload cannot be written: {0}")]
    Payload(#[from] serde_json::Error),
}

/// A row of the log, as far as it is used.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "case:concept:name")]
    case: String,
    #[serde(rename = "case:channel")]
    channel: String,
    #[serde(rename = "case:department")]
    department: String,
    #[serde(rename = "case:group")]
    case_group: Option<String>,
    #[serde(rename = "case:responsible")]
    responsible: String,
    #[serde(rename = "case:startdate")]
    started_at: Time,
    #[serde(rename = "case:enddate")]
    ended_at: Option<Time>,
    #[serde(rename = "case:deadline")]
    deadline: Option<Time>,
    #[serde(rename = "concept:instance")]
    task: String,
    #[serde(rename = "concept:name")]
    activity: String,
    #[serde(rename = "org:resource")]
    resource: String,
    #[serde(rename = "org:group")]
    group: Option<String>,
    #[serde(rename = "time:timestamp")]
    at: Time,
}

/// Reads the log and gives its commands in the order in which they are to be sent.
///
/// Times become UTC.
///
/// # Errors
/// When a row is not as expected.
pub fn commands(log: impl Read) -> Result<Vec<Command>, Error> {
    let rows: Vec<Row> = csv::Reader::from_reader(log)
        .into_deserialize()
        .collect::<Result<_, _>>()?;
    let first_tasks = first_tasks(&rows);
    let mut timed = Vec::with_capacity(rows.len() + first_tasks.len());
    for (place, row) in rows.into_iter().enumerate() {
        if let Some((_, first)) = first_tasks.get(&row.case).filter(|(at, _)| *at == place) {
            // Two cases of the log start after their first task.
            let started_at = row.started_at.min(*first);
            timed.push((
                started_at,
                command(&row.case, "register", row.register(started_at))?,
            ));
        }
        let (at, case, task) = (row.at, row.case.clone(), row.task.clone());
        timed.push((at, command(&case, &task, row.record_task())?));
    }
    // Stable: at the same time a registration stays before its first task, and the rest in the file's order.
    timed.sort_by_key(|(time, _)| *time);
    Ok(timed.into_iter().map(|(_, command)| command).collect())
}

/// For each case the place of its first row, and the time of its first task.
fn first_tasks(rows: &[Row]) -> HashMap<String, (usize, Time)> {
    let mut first = HashMap::new();
    for (place, row) in rows.iter().enumerate() {
        let (_, earliest) = first.entry(row.case.clone()).or_insert((place, row.at));
        *earliest = row.at.min(*earliest);
    }
    first
}

fn command(case: &str, what: &str, command: PermitCommand) -> Result<Command, Error> {
    let (name, payload) = command.write();
    Ok(Command {
        aggregate: "permit",
        id: case.to_owned(),
        command: name,
        payload: serde_json::from_slice(&payload)?,
        command_id: format!("{case}/{what}"),
    })
}

impl Row {
    fn register(&self, started_at: Time) -> PermitCommand {
        PermitCommand::Register {
            channel: self.channel.clone(),
            department: self.department.clone(),
            group: self.case_group.clone(),
            responsible: self.responsible.clone(),
            started_at,
            ended_at: self.ended_at,
            deadline: self.deadline,
        }
    }

    fn record_task(self) -> PermitCommand {
        PermitCommand::RecordTask {
            task: self.task,
            activity: self.activity,
            resource: self.resource,
            group: self.group.filter(|group| group != NO_GROUP),
            at: self.at,
        }
    }
}
