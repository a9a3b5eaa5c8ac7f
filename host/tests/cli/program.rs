//! Running the binary to its end, or for as long as a test wants.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What may be set where the tests run and must not count.
const VARIABLES: &[&str] = &[
    "FOLDHOST_CONFIG",
    "FOLDHOST_LOG",
    "FOLDHOST_SDK",
    "FOLDHOST_SOURCES",
    "FOLDHOST_TOKEN",
    "FOLDHOST_URL",
];
/// Long enough for a build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary with arguments, in a folder.
pub(crate) fn foldhost(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foldhost"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    VARIABLES.iter().for_each(|variable| {
        command.env_remove(variable);
    });
    command
}

/// Runs to the end.
pub(crate) fn run(mut command: Command) -> Ended {
    let output = command.output().expect("the binary can be started");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs with something on standard input.
pub(crate) fn run_with_input(mut command: Command, input: &str) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let mut stdin = child.stdin.take().expect("there is an input");
    stdin.write_all(input.as_bytes()).expect("it takes input");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ended {
    /// Fails unless it worked; gives what it printed.
    #[track_caller]
    pub(crate) fn worked(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Fails unless it ended with this code and one line on stderr; gives what that says.
    #[track_caller]
    pub(crate) fn error(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        let lines: Vec<&str> = self.stderr.lines().collect();
        match lines.as_slice() {
            [line] => line
                .strip_prefix("error: ")
                .unwrap_or_else(|| panic!("no error: {line}"))
                .to_owned(),
            _ => panic!("not one line: {self:?}"),
        }
    }

    /// The values that were printed, one a line.
    #[track_caller]
    pub(crate) fn values(self) -> Vec<Value> {
        values(&self.worked())
    }
}

/// Reads JSON lines.
#[track_caller]
pub(crate) fn values(text: &str) -> Vec<Value> {
    let value = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    text.lines().map(value).collect()
}

/// A run that goes on beside the test.
pub(crate) struct Running {
    child: Child,
    printed: Arc<Mutex<Vec<String>>>,
    collector: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts; what goes to stderr is seen with the test's own.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let printed = Arc::new(Mutex::new(Vec::new()));
        let stdout = child.stdout.take().expect("there is an output");
        let into = Arc::clone(&printed);
        let collector = Some(std::thread::spawn(move || collect(stdout, &into)));
        Self {
            child,
            printed,
            collector,
        }
    }

    /// The lines printed so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.printed.lock().unwrap().clone()
    }

    /// Waits for a line that `find` finds something in.
    #[track_caller]
    pub(crate) fn wait_for<R>(&mut self, what: &str, find: impl Fn(&str) -> Option<R>) -> R {
        until(what, || {
            let ended = self.child.try_wait().expect("it can be waited for");
            if let Some(collector) = ended.and_then(|_| self.collector.take()) {
                collector.join().expect("all is collected");
            }
            let found = self.lines().iter().find_map(|line| find(line));
            assert!(
                found.is_some() || ended.is_none(),
                "{what} did not come, it ended: {ended:?}"
            );
            found
        })
    }

    /// Waits for the line that says where it listens.
    #[track_caller]
    pub(crate) fn url(&mut self) -> String {
        self.wait_for("its address", |line| {
            Some(line.strip_prefix("Foldhost listens on ")?.to_owned())
        })
    }

    /// Tells it to end, and gives its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.expect("kill can be started").success());
        until("its end", || {
            self.child.try_wait().expect("it can be waited for")
        })
        .code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stdout: ChildStdout, into: &Mutex<Vec<String>>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        into.lock().unwrap().push(line);
    }
}

/// Polls until there is a value.
#[track_caller]
pub(crate) fn until<R>(what: &str, mut probe: impl FnMut() -> Option<R>) -> R {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
