//! Another application's view of a topic: a consumer in Python, with a Kafka client that is not ours.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use foldhost::event_log::kafka::KafkaOptions;
use serde_json::Value;

use super::missing::missing;

/// Reads a topic to its end; none, said aloud, where there is no such client.
pub(crate) fn read(options: &KafkaOptions) -> Option<Vec<Value>> {
    let Some(python) = python() else {
        missing(
            std::thread::current().name().unwrap_or("kafka"),
            "confluent-kafka for Python cannot be installed",
        );
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/cloud_events.py");
    let output = Command::new(python)
        .arg(script)
        .args([&options.brokers, &options.topic])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

/// Makes an environment with the client once, and keeps it between runs.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON
        .get_or_init(|| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-kafka");
            let python = folder.join("bin/python");
            let works = |command: &mut Command| {
                let output = command.output();
                output.is_ok_and(|output| output.status.success())
            };
            let is_there =
                || works(Command::new(&python).args(["-c", "import confluent_kafka"]));
            let is_made = is_there()
                || works(Command::new("python3").args(["-m", "venv"]).arg(&folder))
                    && works(Command::new(&python).args([
                        "-m",
                        "pip",
                        "install",
                        "--quiet",
                        "confluent-kafka",
                    ]))
                    && is_there();
            is_made.then_some(python)
        })
        .as_deref()
}
