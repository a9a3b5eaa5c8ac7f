//! `command`: sending commands to a running host, one or a file of them.

mod delivery;
mod file;
mod lanes;
mod lines;
mod receipts;
mod tally;

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use foldhost::message::CommandId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::Usage;
use super::output::Output;
use super::remote::Remote;
use delivery::{Answer, Delivery, Outgoing};

/// The commands of `command`.
#[derive(Subcommand)]
pub(super) enum CommandCommand {
    /// Send one command, or a file of them.
    ///
    /// One command: its receipt is printed; a refusal is an error.
    ///
    /// A file: JSON lines {aggregate, id, command, payload, command_id}, the last two optional. Commands of one stream
    /// are sent in the order of the file, each when the one before is answered, however many are in flight. Refusals
    /// (422, 409, 412) are counted; it worked unless something was neither accepted nor refused.
    ///
    /// A host that is away or overloaded is asked again with the same command id.
    Send(Options),
}

/// Options of `command send`.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    remote: Remote,
    /// Such as `post`.
    #[arg(required_unless_present = "file", requires = "id")]
    aggregate: Option<String>,
    /// Which instance of the aggregate.
    #[arg(requires = "command")]
    id: Option<String>,
    /// Such as `create`.
    command: Option<String>,
    /// What it takes, a JSON object; - reads it from standard input.
    payload: Option<String>,
    /// The command's id: sending it twice has the effect of sending it once [default: a new one].
    #[arg(long = "id", value_name = "KEY", conflicts_with = "file")]
    command_id: Option<String>,
    /// The version the stream must stand at; 0 for a stream that must not be there yet.
    #[arg(long, value_name = "VERSION", conflicts_with = "file")]
    expect: Option<u64>,
    /// Send the commands of this file, one JSON object a line; - reads standard input.
    #[arg(long, conflicts_with = "aggregate", value_name = "FILE")]
    file: Option<String>,
    /// How many commands of a file may be under way at a time.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    in_flight: u16,
    /// Add a JSON line {command_id, status, position, version, code} to this file for each command as it is answered.
    #[arg(long, requires = "file", value_name = "FILE")]
    receipts: Option<std::path::PathBuf>,
    /// Seconds after which a command is given up that the host does not answer.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    give_up_after: u64,
}

/// Runs one of them.
pub(super) async fn run(command: CommandCommand, output: Output) -> Result<()> {
    let CommandCommand::Send(options) = command;
    let client = options.remote.client()?;
    let delivery = Delivery::new(client, Duration::from_secs(options.give_up_after));
    match &options.file {
        Some(file) => file::send(file, &options, delivery, output).await,
        None => send_one(&options, &delivery, output).await,
    }
}

/// What is printed of an accepted command.
#[derive(Deserialize)]
struct Receipt {
    stream: String,
    version: u64,
    position: u64,
    events: Vec<ReceivedEvent>,
}

#[derive(Deserialize)]
struct ReceivedEvent {
    #[serde(rename = "type")]
    event_type: String,
}

async fn send_one(options: &Options, delivery: &Delivery, output: Output) -> Result<()> {
    let (Some(aggregate), Some(id), Some(command)) =
        (&options.aggregate, &options.id, &options.command)
    else {
        return Err(
            Usage("which command? AGGREGATE ID COMMAND [PAYLOAD], or --file".to_owned()).into(),
        );
    };
    let outgoing = Outgoing {
        aggregate: aggregate.clone(),
        id: id.clone(),
        command: command.clone(),
        payload: options.payload.as_deref().map(read_payload).transpose()?,
        command_id: options
            .command_id
            .clone()
            .unwrap_or_else(|| CommandId::random().to_string()),
        expect: options.expect,
    };
    match delivery.deliver(&outgoing).await? {
        Answer::Accepted { body, .. } => {
            let receipt: serde_json::Value =
                serde_json::from_slice(&body).context("the receipt is not understood")?;
            output.show(tell(&receipt)?, &receipt)?;
            Ok(())
        }
        Answer::Refused(problem) | Answer::Failed(problem) => Err(problem.into()),
        Answer::Unanswered(reason) => Err(anyhow::anyhow!(
            "{reason}; whether it was recorded is not known: send it again with --id {}",
            outgoing.command_id
        )),
    }
}

fn tell(receipt: &serde_json::Value) -> Result<String> {
    let Receipt {
        stream,
        version,
        position,
        events,
    } = Receipt::deserialize(receipt).context("the receipt is not understood")?;
    let events: Vec<String> = events.into_iter().map(|event| event.event_type).collect();
    let events = if events.is_empty() {
        "nothing happened".to_owned()
    } else {
        events.join(", ")
    };
    Ok(format!(
        "accepted: {events} (stream {stream}, version {version}, position {position})"
    ))
}

fn read_payload(text: &str) -> Result<Box<RawValue>> {
    let mut read = String::new();
    let text = if text == "-" {
        std::io::stdin()
            .read_to_string(&mut read)
            .context("cannot read standard input")?;
        read.as_str()
    } else {
        text
    };
    serde_json::from_str(text)
        .map_err(|error| Usage(format!("the payload is not JSON: {error}")).into())
}
