use anyhow::Result;
use clap::Args;
use super::output::Output;
#[derive(Args)]
pub(super) struct Options {}
pub(super) async fn run(_o: Options, _output: Output) -> Result<()> { Ok(()) }
