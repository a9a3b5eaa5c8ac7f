//! Writes the commands of an event log as JSON lines: `permits-import receipt.csv > permits.jsonl`.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write as _, stderr, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell when this fails.
            let _ = writeln!(stderr(), "permits-import: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("name the event log: permits-import receipt.csv > permits.jsonl")?;
    let log = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let commands = permits_import::commands(log)?;
    let mut out = BufWriter::new(stdout().lock());
    for command in &commands {
        serde_json::to_writer(&mut out, command)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}
