//! What came of a file of commands.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// The most positions above the first that repetitions are looked for in: 128 MiB of memory at the very end.
const MAX_POSITIONS: u64 = 1 << 30;

/// Counts answers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tally {
    /// Commands that were answered with a receipt.
    pub(super) accepted: u64,
    /// Those of them that had been recorded before; absent when that cannot be known.
    pub(super) repeated: Option<u64>,
    /// Commands that were refused.
    pub(super) refused: u64,
    /// Refusals by their code.
    pub(super) refused_by_code: BTreeMap<String, u64>,
    /// Commands that were neither accepted nor refused.
    pub(super) failed: u64,
    /// Commands that were read and not sent, because the host did not answer any more.
    pub(super) not_sent: u64,
    /// How long it took.
    pub(super) seconds: f64,
    /// Answered commands per second.
    pub(super) per_second: f64,
    #[serde(skip)]
    recorded: Recorded,
}

/// Which positions this run has recorded, one bit each.
#[derive(Debug, Default)]
struct Recorded {
    /// The head of the store before the run; everything up to it was recorded by somebody else.
    head: u64,
    seen: Vec<u64>,
}

impl Tally {
    /// Begins to count; with the head of the store, repetitions are counted too.
    pub(super) fn new(head: Option<u64>) -> Self {
        let recorded = Recorded {
            head: head.unwrap_or(0),
            seen: Vec::new(),
        };
        Self {
            repeated: head.map(|_| 0),
            recorded,
            ..Self::default()
        }
    }

    /// Counts an accepted command by the position of its first event; one without events tells nothing.
    pub(super) fn accept(&mut self, first_event: Option<u64>) {
        self.accepted += 1;
        let Some(repeated) = &mut self.repeated else {
            return;
        };
        if first_event.is_some_and(|position| !self.recorded.is_new(position)) {
            *repeated += 1;
        }
    }

    /// Counts a refused command.
    pub(super) fn refuse(&mut self, code: &str) {
        self.refused += 1;
        *self.refused_by_code.entry(code.to_owned()).or_default() += 1;
    }

    /// Returns how many commands have been dealt with.
    pub(super) fn answered(&self) -> u64 {
        self.accepted + self.refused + self.failed
    }

    /// Ends counting.
    pub(super) fn close(&mut self, took: Duration, not_sent: u64) {
        self.not_sent = not_sent;
        self.seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
        let per_second = self.answered() as f64 / took.as_secs_f64().max(0.001);
        self.per_second = (per_second * 10.0).round() / 10.0;
    }

    /// Makes an error of what was neither accepted nor refused.
    pub(super) fn complete(&self) -> anyhow::Result<()> {
        let (failed, all) = (self.failed, self.answered());
        match (failed, self.not_sent) {
            (0, 0) => Ok(()),
            (_, 0) => anyhow::bail!("neither accepted nor refused: {failed} of {all} commands"),
            _ => anyhow::bail!("the host does not answer; send the file again when it does"),
        }
    }
}

impl Recorded {
    /// Notes a position; tells whether this is the first time.
    fn is_new(&mut self, position: u64) -> bool {
        let Some(place) = position
            .checked_sub(self.head + 1)
            .filter(|place| *place < MAX_POSITIONS)
        else {
            return position > self.head;
        };
        let (word, bit) = (
            usize::try_from(place / 64).unwrap_or(0),
            1_u64 << (place % 64),
        );
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        new
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accepted {}", self.accepted)?;
        if let Some(repeated) = self.repeated.filter(|repeated| *repeated > 0) {
            write!(f, " (of which {repeated} were recorded before)")?;
        }
        write!(f, ", refused {}", self.refused)?;
        let codes: Vec<String> = self
            .refused_by_code
            .iter()
            .map(|(code, count)| format!("{code} {count}"))
            .collect();
        if !codes.is_empty() {
            write!(f, " ({})", codes.join(", "))?;
        }
        write!(f, ", failed {}", self.failed)?;
        if self.not_sent > 0 {
            write!(f, ", not sent {} or more", self.not_sent)?;
        }
        write!(f, "; {} s, {} commands/s", self.seconds, self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_before_the_run_or_earlier_in_it_is_a_repetition() {
        let mut tally = Tally::new(Some(100));
        for position in [Some(100), Some(101), Some(300), Some(101), None] {
            tally.accept(position);
        }
        assert_eq!((tally.accepted, tally.repeated), (5, Some(2)));
    }

    #[test]
    fn a_refusal_is_no_failure_and_an_unanswered_command_is_one() {
        let mut tally = Tally::new(None);
        tally.refuse("no-such-post");
        assert!(tally.complete().is_ok());
        tally.failed += 1;
        assert!(tally.complete().is_err());
    }
}
