//! How a projection stands, for people and programs.

use std::time::{Duration, Instant};

use crate::message::{Digest, Position};
use crate::read_store::GenerationId;

/// What a generation's runner is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It has not reached the head yet.
    CatchingUp,
    /// It folds events as they come.
    Live,
    /// It has stopped for a reason that does not go away by itself.
    Faulted {
        /// For the operator.
        reason: String,
    },
}

/// How one projection stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectionStatus {
    /// Its name.
    pub name: String,
    /// The plugin that defines it.
    pub plugin: String,
    /// The plugin version that writes the live generation.
    pub digest: Digest,
    /// The live generation.
    pub generation: GenerationId,
    /// What its runner is doing.
    pub state: RunState,
    /// The last position that took effect.
    pub position: Position,
    /// How many events it is behind the store's head.
    pub lag: u64,
    /// How many events are parked.
    pub parked: u64,
    /// Whether it is no pure fold any more, until it is rebuilt.
    pub deviates: bool,
    /// A generation that is being filled beside it.
    pub rebuild: Option<RebuildStatus>,
}

/// How far a rebuild is.
#[derive(Clone, Debug, PartialEq)]
pub struct RebuildStatus {
    /// The plugin version that writes it.
    pub digest: Digest,
    /// The generation that is being filled.
    pub generation: GenerationId,
    /// From 0 to 100.
    pub percent: f64,
    /// Events folded per second since it began in this process.
    pub events_per_second: f64,
    /// Until it reaches the head, at that rate; unknown at the very beginning.
    pub seconds_left: Option<f64>,
    /// Events it could not fold.
    pub parked: u64,
    /// What its runner is doing.
    pub state: RunState,
}

/// Measures how fast a runner moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    since: Instant,
    from: Position,
}

impl Pace {
    pub(super) fn start(from: Position) -> Self {
        Self {
            since: Instant::now(),
            from,
        }
    }

    /// Gives percent, events per second, seconds left.
    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    pub(super) fn of(self, position: Position, head: Position) -> (f64, f64, Option<f64>) {
        let seconds = self
            .since
            .elapsed()
            .max(Duration::from_millis(1))
            .as_secs_f64();
        let rate = position.0.saturating_sub(self.from.0) as f64 / seconds;
        let percent = if head.0 == 0 {
            100.0
        } else {
            (position.0 as f64 / head.0 as f64 * 100.0).min(100.0)
        };
        let left = head.0.saturating_sub(position.0) as f64;
        (percent, rate, (rate > 0.0).then(|| left / rate))
    }
}
