//! `foldhost command send`, in a process of its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running sender.
pub(crate) struct Sender {
    child: Child,
    receipts: PathBuf,
}

impl Sender {
    /// Sends a file of commands, sixty-four in flight, and notes each answer in `receipts`.
    pub(crate) fn start(file: &Path, url: &str, receipts: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_foldhost"))
            .args([
                "command",
                "send",
                "--json",
                "--in-flight",
                "64",
                "--url",
                url,
                "--file",
            ])
            .arg(file)
            .arg("--receipts")
            .arg(receipts)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sender can be started");
        Self {
            child,
            receipts: receipts.to_owned(),
        }
    }

    /// How many answers there are so far.
    pub(crate) fn answered(&self) -> usize {
        std::fs::read(&self.receipts).map_or(0, |bytes| {
            bytes.iter().filter(|byte| **byte == b'\n').count()
        })
    }

    /// Whether it is still at work.
    pub(crate) fn is_sending(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end, which must be a good one, and gives the answers by command id, each in order of arrival.
    #[track_caller]
    pub(crate) fn finish(self) -> BTreeMap<String, Vec<Value>> {
        let output = self.child.wait_with_output().expect("the sender ends");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let file = std::fs::File::open(&self.receipts).expect("the receipts can be read");
        let mut answers = BTreeMap::<String, Vec<Value>>::new();
        for line in BufReader::new(file).lines() {
            let answer: Value =
                serde_json::from_str(&line.expect("a line")).expect("a receipt is JSON");
            let id = answer["command_id"]
                .as_str()
                .expect("a receipt names its command")
                .to_owned();
            answers.entry(id).or_default().push(answer);
        }
        answers
    }
}
