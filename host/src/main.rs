//! The `foldhost` binary: a thin skin over the library, and over the HTTP API of a running host.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
