//! Brings the records of all partitions into the order of the store.
//!
//! Positions are dense, so that the order needs no clock and no partition's progress: n+2 is held until n+1 has come. A
//! position that does not come within [`PATIENCE`] is passed over, and whoever needs it reads the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::{Position, RecordedEvent};

/// How long a position may be missing while later ones are here. Partitions are apart by a few milliseconds when all is
/// well; a longer wait would hold up everyone for one slow partition.
pub(super) const PATIENCE: Duration = Duration::from_millis(200);
/// The most events that are held while one is missing.
const MAX_HELD: usize = 4_096;
/// The most bytes of data that are held while an event is missing.
const MAX_HELD_BYTES: usize = 16 << 20;

/// The merge of one assignment.
pub(super) struct Merge {
    next: Position,
    held: BTreeMap<Position, Held>,
    bytes: usize,
}

struct Held {
    /// None for a stub, whose position is passed and whose event is read from the store.
    event: Option<Arc<RecordedEvent>>,
    since: Instant,
}

impl Merge {
    /// Begins behind a position.
    pub(super) fn behind(position: Position) -> Self {
        Self {
            next: position.next(),
            held: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Returns the last position that was passed.
    pub(super) fn passed(&self) -> Position {
        Position(self.next.0 - 1)
    }

    /// Takes a record in; false when its position was seen before.
    pub(super) fn offer(
        &mut self,
        position: Position,
        event: Option<Arc<RecordedEvent>>,
        now: Instant,
    ) -> bool {
        if position < self.next || self.held.contains_key(&position) {
            return false;
        }
        self.bytes += bytes_of(event.as_ref());
        self.held.insert(position, Held { event, since: now });
        true
    }

    /// Gives what is next in order, and passes over what has been missing for too long. Between two events there may be a
    /// hole.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Arc<RecordedEvent>> {
        let mut ready = Vec::new();
        loop {
            while let Some(held) = self.held.remove(&self.next) {
                self.bytes -= bytes_of(held.event.as_ref());
                self.next = self.next.next();
                ready.extend(held.event);
            }
            let is_full = self.held.len() > MAX_HELD || self.bytes > MAX_HELD_BYTES;
            let Some((first, held)) = self.held.first_key_value() else {
                return ready;
            };
            if !is_full && now.saturating_duration_since(held.since) < PATIENCE {
                return ready;
            }
            self.next = *first;
        }
    }

    /// Tells when something will be passed over unless it comes before.
    pub(super) fn due(&self) -> Option<Instant> {
        let (_, held) = self.held.first_key_value()?;
        Some(held.since + PATIENCE)
    }
}

fn bytes_of(event: Option<&Arc<RecordedEvent>>) -> usize {
    event.map_or(0, |event| {
        event.data.as_str().len() + event.metadata.as_str().len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Digest, Json, StreamId, Time, Version};

    fn event(position: u64) -> Option<Arc<RecordedEvent>> {
        Some(Arc::new(RecordedEvent {
            event_id: uuid::Uuid::now_v7(),
            stream: StreamId::from_store("post-a"),
            version: Version(position),
            position: Position(position),
            event_type: "PostCreated".into(),
            schema_version: 1,
            time: Time(0),
            correlation_id: "c".into(),
            causation_id: "c".into(),
            actor: "a".into(),
            plugin: Digest::of(b"p"),
            metadata: Json::from_store("{}"),
            data: Json::from_store("{}"),
        }))
    }

    fn offer(merge: &mut Merge, positions: &[u64], now: Instant) {
        for position in positions {
            merge.offer(Position(*position), event(*position), now);
        }
    }

    fn take(merge: &mut Merge, now: Instant) -> Vec<u64> {
        merge.take(now).iter().map(|e| e.position.0).collect()
    }

    #[test]
    fn later_events_are_held_until_the_missing_one_has_come() {
        let (mut merge, now) = (Merge::behind(Position(3)), Instant::now());
        offer(&mut merge, &[6, 4], now);
        assert_eq!(take(&mut merge, now), [4]);
        offer(&mut merge, &[5], now);
        assert_eq!(take(&mut merge, now), [5, 6]);
        assert_eq!((merge.passed(), merge.due()), (Position(6), None));
    }

    #[test]
    fn what_was_seen_before_is_dropped() {
        let (mut merge, now) = (Merge::behind(Position(3)), Instant::now());
        offer(&mut merge, &[4], now);
        assert_eq!(take(&mut merge, now), [4]);
        assert!(!merge.offer(Position(3), event(3), now));
        assert!(!merge.offer(Position(4), event(4), now));
        assert!(merge.offer(Position(6), event(6), now));
        assert!(!merge.offer(Position(6), event(6), now));
        assert_eq!(take(&mut merge, now), [] as [u64; 0]);
    }

    #[test]
    fn a_position_that_does_not_come_is_passed_over_when_it_is_due_and_not_before() {
        let (mut merge, now) = (Merge::behind(Position(0)), Instant::now());
        offer(&mut merge, &[2, 4], now);
        let due = merge.due().unwrap();
        assert_eq!(
            take(&mut merge, due - Duration::from_millis(1)),
            [] as [u64; 0]
        );
        assert_eq!(take(&mut merge, due), [2, 4]);
        assert!(!merge.offer(Position(1), event(1), due));
    }

    #[test]
    fn a_stub_is_passed_at_once() {
        let (mut merge, now) = (Merge::behind(Position(0)), Instant::now());
        merge.offer(Position(1), None, now);
        offer(&mut merge, &[2], now);
        assert_eq!(take(&mut merge, now), [2]);
        assert_eq!(merge.passed(), Position(2));
    }

    #[test]
    fn no_more_is_held_than_there_is_room_for() {
        let (mut merge, now) = (Merge::behind(Position(0)), Instant::now());
        let positions: Vec<u64> = (2..MAX_HELD as u64 + 2).collect();
        offer(&mut merge, &positions, now);
        assert_eq!(take(&mut merge, now), [] as [u64; 0]);
        offer(&mut merge, &[MAX_HELD as u64 + 2], now);
        assert_eq!(take(&mut merge, now).len(), MAX_HELD + 1);
    }
}
