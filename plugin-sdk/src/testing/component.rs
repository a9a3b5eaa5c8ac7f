//! The plugin as a compiled component, run by the host's own binary.
//!
//! One request a line goes to the runner's input, one answer a line comes from its output:
//! `{"ok": ..}`, a refusal of the plugin's (`rejected`, `malformed`, `failure`), or `{"trap": ".."}`.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::recorded::Entry;
use super::rig::{AggregateRig, Collection, CommandToSend, Decision, ProjectionRig};
use crate::guest::BatchFailure;
use crate::{Find, Rejection, SortKey};

/// Which component to test, and what runs it.
#[derive(Clone)]
pub(super) struct Configured {
    runner: PathBuf,
    component: PathBuf,
}

/// What the environment says; `None` when the tests are to run natively alone.
///
/// # Panics
/// When only one of the two variables is set, which would silently test less than was asked for.
#[track_caller]
pub(super) fn configured() -> Option<Configured> {
    let (runner, component) = (
        env::var_os("FOLDHOST_TEST_RUNNER"),
        env::var_os("FOLDHOST_TEST_COMPONENT"),
    );
    match (runner, component) {
        (Some(runner), Some(component)) => Some(Configured {
            runner: runner.into(),
            component: component.into(),
        }),
        (None, None) => None,
        _ => panic!("set both FOLDHOST_TEST_RUNNER and FOLDHOST_TEST_COMPONENT, or neither"),
    }
}

/// Runners that are waiting: states are independent of each other, so aggregates need not start one for each test.
static IDLE: Mutex<Vec<ComponentRig>> = Mutex::new(Vec::new());

/// One running component.
pub(super) struct ComponentRig {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for ComponentRig {
    fn drop(&mut self) {
        // It may have ended by itself, and there is nobody to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl ComponentRig {
    /// Starts a runner with the component in it.
    #[track_caller]
    pub(super) fn start(configured: &Configured) -> Self {
        let spawned = Command::new(&configured.runner)
            .args(["plugin", "run-component"])
            .arg(&configured.component)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = match spawned {
            Ok(process) => process,
            Err(error) => panic!("cannot start {}: {error}", configured.runner.display()),
        };
        match (process.stdin.take(), process.stdout.take()) {
            (Some(input), Some(output)) => Self {
                process,
                input,
                output: BufReader::new(output),
            },
            _ => panic!("the runner has no input or output"),
        }
    }

    /// Takes a waiting runner or starts one.
    #[track_caller]
    pub(super) fn lend(configured: &Configured) -> Self {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| Self::start(configured))
    }

    /// Lets the next test have the runner.
    pub(super) fn give_back(self) {
        IDLE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self);
    }

    /// Sends one request and reads its answer; a trap is the test's failure.
    #[track_caller]
    fn ask(&mut self, request: &Value) -> Value {
        let mut answer = String::new();
        let asked = writeln!(self.input, "{request}")
            .and_then(|()| self.input.flush())
            .and_then(|()| self.output.read_line(&mut answer));
        let answer: Value = match asked.map(|_| serde_json::from_str(&answer)) {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => panic!("the runner answered {answer:?} to {request}"),
            Err(error) => panic!("the runner has ended: {error}"),
        };
        if let Some(trap) = answer.get("trap") {
            panic!(
                "the component trapped on {}: {}",
                request["op"],
                trap.as_str().unwrap_or_default()
            );
        }
        answer
    }

    #[track_caller]
    fn ask_ok(&mut self, request: &Value) -> Value {
        let mut answer = self.ask(request);
        match answer.get_mut("ok") {
            Some(ok) => ok.take(),
            None => panic!("the runner answered {answer} to {request}"),
        }
    }

    /// Asks for a fold of events.
    #[track_caller]
    fn ask_to_fold(&mut self, request: &Value) -> Result<(), BatchFailure> {
        let answer = self.ask(request);
        match answer.get("failure") {
            Some(failure) => Err(BatchFailure {
                index: failure["index"]
                    .as_u64()
                    .and_then(|index| index.try_into().ok())
                    .unwrap_or_default(),
                message: text(&failure["message"]),
            }),
            None => Ok(()),
        }
    }
}

impl AggregateRig for ComponentRig {
    fn place(&self) -> &'static str {
        "in the component"
    }

    fn new_state(&mut self, stream: &str) -> u64 {
        let made = self.ask_ok(&json!({ "op": "new", "stream": stream }));
        match made["state"].as_u64() {
            Some(state) => state,
            None => panic!("the runner made no state: {made}"),
        }
    }

    fn restore(&mut self, state: u64, snapshot: &[u8]) -> Result<(), String> {
        let answer =
            self.ask(&json!({ "op": "restore", "state": state, "snapshot": to_hex(snapshot) }));
        if answer.get("ok").is_some() {
            return Ok(());
        }
        Err(answer.to_string())
    }

    fn evolve(&mut self, state: u64, events: &[Entry]) -> Result<(), BatchFailure> {
        let events: Vec<_> = events.iter().map(|entry| entry.to_json(false)).collect();
        self.ask_to_fold(&json!({ "op": "evolve", "state": state, "events": events }))
    }

    fn decide(&mut self, state: u64, command: &CommandToSend) -> Decision {
        let answer = self.ask(&json!({ "op": "decide", "state": state, "command": {
            "name": command.name,
            "payload": command.payload,
            "command_id": command.command_id,
            "time": command.time.to_rfc3339_micros(),
            "actor": command.actor,
            "correlation_id": command.correlation_id,
        }}));
        if let Some(rejected) = answer.get("rejected") {
            return Decision::Rejected(rejection(rejected));
        }
        if let Some(malformed) = answer.get("malformed") {
            return Decision::Malformed(text(malformed));
        }
        match answer["ok"]["events"].as_array() {
            Some(events) => Decision::Accepted(events.clone()),
            None => panic!("the runner answered {answer} to a command"),
        }
    }

    fn snapshot(&mut self, state: u64) -> Vec<u8> {
        let hex = self.ask_ok(&json!({ "op": "snapshot", "state": state }));
        match from_hex(&text(&hex)) {
            Some(bytes) => bytes,
            None => panic!("the runner gave a snapshot that is not hexadecimal: {hex}"),
        }
    }

    fn view(&mut self, state: u64) -> Value {
        self.ask_ok(&json!({ "op": "view", "state": state }))
    }

    fn drop_state(&mut self, state: u64) {
        self.ask_ok(&json!({ "op": "drop", "state": state }));
    }
}

impl ProjectionRig for ComponentRig {
    fn place(&self) -> &'static str {
        "in the component"
    }

    fn is_native(&self) -> bool {
        false
    }

    fn project(&mut self, events: &[Entry]) -> Result<(), BatchFailure> {
        let events: Vec<_> = events.iter().map(|entry| entry.to_json(true)).collect();
        self.ask_to_fold(&json!({ "op": "project", "events": events }))
    }

    fn documents(&mut self, collection: &str) -> Collection {
        let documents = self.ask_ok(&json!({ "op": "documents", "collection": collection }));
        match documents {
            Value::Object(documents) => documents.into_iter().collect(),
            other => panic!("the runner gave {other} for the documents of {collection}"),
        }
    }

    fn plan(&mut self, query: &str, parameters: &Value) -> Result<Find, Rejection> {
        let answer = self.ask(&json!({ "op": "plan", "query": query, "parameters": parameters }));
        if let Some(rejected) = answer.get("rejected") {
            return Err(rejection(rejected));
        }
        let found = &answer["ok"];
        let sort = found["sort"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|key| SortKey {
                path: text(&key["path"]),
                descending: key["descending"] == true,
            });
        Ok(Find {
            filter: found["filter"].clone(),
            sort: sort.collect(),
            most: found["most"].as_u64().and_then(|most| most.try_into().ok()),
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn rejection(value: &Value) -> Rejection {
    Rejection::new(text(&value["code"]), text(&value["message"]))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_hexadecimal() {
        assert_eq!(to_hex(&[0, 10, 255]), "000aff");
        assert_eq!(from_hex("000aff"), Some(vec![0, 10, 255]));
        assert_eq!(from_hex("0g"), None);
    }
}
