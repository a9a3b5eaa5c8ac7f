//! Sending a file of commands: many in flight, each stream's in order, memory bounded.

use std::time::Instant;

use anyhow::Result;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use indicatif::ProgressBar;
use serde::Deserialize;

use super::Options;
use super::delivery::{Answer, Delivery, Outgoing};
use super::lanes::Lanes;
use super::lines::{Line, Lines};
use super::receipts::{Receipt, Receipts};
use super::tally::Tally;
use crate::cli::failure::Usage;
use crate::cli::output::{self, Output};
use crate::cli::{events, progress};

/// How many failures are told one by one; the rest is only counted.
const FAILURES_TOLD: u64 = 10;
const BAR: &str = "{spinner} [{bar:32}] {percent:>3} % {wide_msg} {eta}";
const SPINNER: &str = "{spinner} {wide_msg}";

/// Sends all commands of a file and prints the tally.
pub(super) async fn send(
    file: &str,
    options: &Options,
    delivery: Delivery,
    output: Output,
) -> Result<()> {
    let lines = Lines::open(file).await?;
    let receipts = Receipts::open(options.receipts.as_deref())?;
    // Without it repetitions are not counted; whether the host is there at all shows with the first command.
    let head = events::head(delivery.client()).await.ok();
    let bar = match lines.size {
        Some(size) => progress::bar(size, BAR),
        None => progress::spinner(SPINNER),
    };
    let mut sending = Sending {
        delivery,
        lanes: Lanes::default(),
        under_way: FuturesUnordered::new(),
        most: usize::from(options.in_flight),
        tally: Tally::new(head),
        receipts,
        bar,
        given_up: false,
    };
    let started = Instant::now();
    let sent = sending.run(lines).await;
    progress::finish(&sending.bar, "");
    let not_sent = sending.lanes.waiting() as u64;
    sending.tally.close(started.elapsed(), not_sent);
    sent?;
    output.show(&sending.tally, &sending.tally)?;
    sending.tally.complete()
}

struct Sending {
    delivery: Delivery,
    lanes: Lanes<(u64, Outgoing)>,
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    most: usize,
    tally: Tally,
    receipts: Receipts,
    bar: ProgressBar,
    /// The host does not answer: nothing more is sent, so that no stream's commands overtake each other.
    given_up: bool,
}

/// One command that has come to its end.
struct Ended {
    stream: String,
    line: u64,
    command_id: String,
    answer: Result<Answer, Usage>,
}

impl Sending {
    async fn run(&mut self, mut lines: Lines) -> Result<()> {
        let mut at_end = false;
        loop {
            self.fill();
            let reads = !at_end && !self.given_up && self.lanes.has_room();
            if !reads && self.under_way.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                Some(ended) = self.under_way.next() => self.count(&ended)?,
                line = lines.next(), if reads => match line? {
                    Some(line) => self.take(line),
                    None => at_end = true,
                },
            }
        }
    }

    /// Sends as much as may be under way.
    fn fill(&mut self) {
        while self.under_way.len() < self.most && !self.given_up {
            let Some((stream, (line, command))) = self.lanes.next() else {
                return;
            };
            let delivery = self.delivery.clone();
            self.under_way.push(Box::pin(async move {
                let answer = delivery.deliver(&command).await;
                Ended {
                    stream,
                    line,
                    command_id: command.command_id,
                    answer,
                }
            }));
        }
    }

    fn take(&mut self, line: Line) {
        self.bar.inc(line.bytes as u64);
        match line.command {
            Ok(command) => {
                let stream = format!("{}-{}", command.aggregate, command.id);
                self.lanes.push(stream, (line.number, command), line.bytes);
            }
            Err(reason) => self.fail(line.number, &format!("no command: {reason}")),
        }
    }

    fn count(&mut self, ended: &Ended) -> Result<()> {
        let command_id = ended.command_id.as_str();
        match &ended.answer {
            Ok(Answer::Accepted { status, body }) => {
                self.accept(ended.line, command_id, *status, body)?;
            }
            Ok(Answer::Refused(problem)) => {
                self.tally.refuse(&problem.code);
                self.receipts
                    .write(&Receipt::of_problem(command_id, problem))?;
            }
            Ok(Answer::Failed(problem)) => {
                self.fail(ended.line, &problem.to_string());
                self.receipts
                    .write(&Receipt::of_problem(command_id, problem))?;
            }
            Ok(Answer::Unanswered(reason)) => {
                self.given_up = true;
                self.fail(ended.line, reason);
            }
            Err(error) => self.fail(ended.line, &error.to_string()),
        }
        self.lanes.done(&ended.stream);
        self.bar.set_message(format!(
            "{} accepted, {} refused, {} failed",
            self.tally.accepted, self.tally.refused, self.tally.failed
        ));
        Ok(())
    }

    fn accept(&mut self, line: u64, command_id: &str, status: u16, body: &[u8]) -> Result<()> {
        let Ok(receipt) = serde_json::from_slice::<Accepted>(body) else {
            self.fail(line, "the host's receipt is not understood");
            return Ok(());
        };
        self.tally
            .accept(receipt.events.first().map(|event| event.position));
        let (position, version) = (Some(receipt.position), Some(receipt.version));
        self.receipts.write(&Receipt {
            command_id,
            status,
            position,
            version,
            code: None,
        })
    }

    fn fail(&mut self, line: u64, reason: &str) {
        self.tally.failed += 1;
        if self.tally.failed <= FAILURES_TOLD {
            output::note(format!("line {line}: {reason}"));
        }
    }
}

/// What is needed of a receipt.
#[derive(Deserialize)]
struct Accepted {
    version: u64,
    position: u64,
    events: Vec<AcceptedEvent>,
}

#[derive(Deserialize)]
struct AcceptedEvent {
    position: u64,
}
