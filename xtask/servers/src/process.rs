//! Processes that outlive their parent and are known again.
//!
//! A number alone does not name a process: numbers are used again. With the time of its start, and with something that
//! only our own would have in its command line, it does.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Starts a program in a process group of its own, so that Ctrl-C in our terminal does not reach it, and with none of
/// our three standard files, so that whoever waits for the end of our output does not wait for it.
pub(crate) fn spawn(command: &mut Command, log: &Path) -> anyhow::Result<Child> {
    use std::os::unix::process::CommandExt as _;

    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    let log = File::options().append(true).create(true).open(log)?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .with_context(|| format!("{} cannot be started", command.get_program().display()))
}

/// When a process began, in ticks since the machine's start; nothing when it is not there or only waits to be reaped.
pub(crate) fn since(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may contain anything; `Z` is a process that ended.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    match fields.first() {
        Some(&"Z" | &"X") | None => None,
        Some(_) => fields.get(19)?.parse().ok(),
    }
}

/// Whether the process is there, is the one that began then, and has `word` in its command line.
pub(crate) fn is(pid: u32, began: u64, word: &str) -> bool {
    since(pid) == Some(began) && mentions(pid, word)
}

/// Whether a process's command line has `word` in it. An empty one counts, for that is what a process has for a moment
/// while one program takes another's place in it, right after its start.
pub(crate) fn mentions(pid: u32, word: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.is_empty() || String::from_utf8_lossy(&line).contains(word)
}

/// The children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let parent_of = |child: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        let rest = stat.rsplit_once(')')?.1;
        rest.split_whitespace().nth(1)?.parse().ok()
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|child| parent_of(*child) == Some(pid))
        .collect()
}

/// Sends a signal. The shell's own `kill` is there on the barest machine.
pub(crate) fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let sent = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()])
        .stdin(Stdio::null())
        .output()?;
    if !sent.status.success() && since(pid).is_some() {
        let reason = String::from_utf8_lossy(&sent.stderr).trim().to_owned();
        bail!("signal {name} cannot be sent to process {pid}: {reason}");
    }
    Ok(())
}

/// Waits until `done` says so, at most that long; returns whether it did.
pub(crate) fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !done() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_number_beginning_and_command_line() {
        let mut child = Command::new("sleep").arg("77.7").spawn().unwrap();
        let pid = child.id();
        let began = since(pid).unwrap();
        assert!(is(pid, began, "77.7"));
        assert!(!is(pid, began, "another command line"));
        assert!(!is(pid, began + 1, "77.7"));
        assert!(children(std::process::id()).contains(&pid));

        signal(pid, "KILL").unwrap();
        let is_gone = wait_until(Duration::from_secs(10), || since(pid).is_none());
        assert!(is_gone, "a process that waits to be reaped is gone");
        child.wait().unwrap();
    }
}
