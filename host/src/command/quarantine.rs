//! Which streams and aggregates are decided apart from the others, because they keep breaking their guest.
//!
//! A trap costs a worker the cached states of its instance, and a missed deadline holds it up. A stream that does so
//! again, or an aggregate many streams of which do, is sent to a worker of its own until it has been quiet for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::message::StreamId;

/// How long a fault is remembered.
const MEMORY: Duration = Duration::from_secs(60);
/// How many faults of one stream send it away. The first may be bad luck.
const FAULTS_OF_STREAM: usize = 2;
/// How many missed deadlines of one aggregate send all of it away: each may have held a worker for the whole deadline.
const DEADLINES_OF_AGGREGATE: usize = 4;
/// The most streams remembered; an attacker with more has sent the aggregate away long before.
const MAX_REMEMBERED: usize = 10_000;

/// Remembers recent faults.
#[derive(Default)]
pub(super) struct Quarantine {
    any: AtomicBool,
    faults: Mutex<Faults>,
}

#[derive(Default)]
struct Faults {
    streams: HashMap<StreamId, Vec<Instant>>,
    aggregates: HashMap<String, Vec<Instant>>,
}

impl Quarantine {
    /// Notes a fault of a stream's command.
    pub(super) fn record(&self, stream: &StreamId, missed_deadline: bool) {
        let now = Instant::now();
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.streams.len() >= MAX_REMEMBERED {
            faults
                .streams
                .retain(|_, times| times.last().is_some_and(|last| now - *last < MEMORY));
        }
        if faults.streams.len() < MAX_REMEMBERED {
            remember(faults.streams.entry(stream.clone()).or_default(), now);
        }
        if missed_deadline {
            remember(
                faults
                    .aggregates
                    .entry(stream.category().to_owned())
                    .or_default(),
                now,
            );
        }
        self.any.store(true, Ordering::Relaxed);
    }

    /// Tells whether a stream is to be decided apart.
    pub(super) fn holds(&self, stream: &StreamId) -> bool {
        if !self.any.load(Ordering::Relaxed) {
            return false;
        }
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |times: Option<&Vec<Instant>>, most: usize| {
            let recent = times
                .into_iter()
                .flatten()
                .filter(|time| time.elapsed() < MEMORY);
            recent.count() >= most
        };
        recent(faults.streams.get(stream), FAULTS_OF_STREAM)
            || recent(
                faults.aggregates.get(stream.category()),
                DEADLINES_OF_AGGREGATE,
            )
    }

    /// Forgets an aggregate's faults: a new version of its plugin deserves a fresh start.
    pub(super) fn forgive(&self, aggregate: &str) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults
            .streams
            .retain(|stream, _| stream.category() != aggregate);
        faults.aggregates.remove(aggregate);
        self.any.store(
            !faults.streams.is_empty() || !faults.aggregates.is_empty(),
            Ordering::Relaxed,
        );
    }
}

/// Keeps the last few times only.
fn remember(times: &mut Vec<Instant>, now: Instant) {
    times.retain(|time| now - *time < MEMORY);
    if times.len() >= DEADLINES_OF_AGGREGATE.max(FAULTS_OF_STREAM) {
        times.remove(0);
    }
    times.push(now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_held_from_its_second_fault_on_and_others_are_not() {
        let quarantine = Quarantine::default();
        let stream = StreamId::parse("post-1").unwrap();
        quarantine.record(&stream, false);
        assert!(!quarantine.holds(&stream));
        quarantine.record(&stream, false);
        assert!(quarantine.holds(&stream));
        assert!(!quarantine.holds(&StreamId::parse("post-2").unwrap()));
        quarantine.forgive("post");
        assert!(!quarantine.holds(&stream));
    }

    #[test]
    fn an_aggregate_is_held_when_many_of_its_streams_miss_deadlines() {
        let quarantine = Quarantine::default();
        for id in 1..=4 {
            assert!(!quarantine.holds(&StreamId::parse("post-9").unwrap()));
            quarantine.record(&StreamId::parse(&format!("post-{id}")).unwrap(), true);
        }
        assert!(quarantine.holds(&StreamId::parse("post-9").unwrap()));
        assert!(!quarantine.holds(&StreamId::parse("other-9").unwrap()));
    }
}
