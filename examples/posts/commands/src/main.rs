//! Writes commands as JSON lines: `posts-commands [SEED [COUNT]] > commands.jsonl`.

use std::error::Error;
use std::io::{BufWriter, stdout};

use posts_commands::{COUNT, SEED, generate, write_lines};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seed = arguments.next().map_or(Ok(SEED), |text| text.parse())?;
    let count = arguments.next().map_or(Ok(COUNT), |text| text.parse())?;
    write_lines(&generate(seed, count), BufWriter::new(stdout().lock()))?;
    Ok(())
}
