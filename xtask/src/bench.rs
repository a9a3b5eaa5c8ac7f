//! `cargo xtask bench`.

use clap::{Args, ValueEnum};

use crate::cargo;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Which part.
    #[arg(value_enum)]
    part: Part,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// The ways in which a batch of events can cross into a guest.
    Crossing,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match options.part {
        Part::Crossing => cargo(&["run", "--release", "--package", "bench-crossing"], &[]),
    }
}
