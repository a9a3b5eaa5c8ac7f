//! What has been produced and is not yet acknowledged.
//!
//! Partitions acknowledge out of order; what counts is the prefix without holes.

use std::collections::VecDeque;

use crate::event_store::Cursor;
use crate::message::Position;

/// The most records on their way: enough to fill every broker's pipeline, few enough to send again.
const MAX_RECORDS: usize = 5_000;
/// The most bytes of records on their way.
const MAX_BYTES: usize = 32 << 20;

/// The records on their way, in order of position without holes.
#[derive(Default)]
pub(super) struct InFlight {
    records: VecDeque<Sent>,
    bytes: usize,
}

struct Sent {
    cursor: Cursor,
    bytes: usize,
    is_acknowledged: bool,
}

impl InFlight {
    /// Tells whether one more record may be sent. The last one may go beyond the bytes, so that none is too large.
    pub(super) fn has_room(&self) -> bool {
        self.records.len() < MAX_RECORDS && self.bytes < MAX_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Notes the next record.
    pub(super) fn push(&mut self, cursor: Cursor, bytes: usize) {
        self.bytes += bytes;
        self.records.push_back(Sent {
            cursor,
            bytes,
            is_acknowledged: false,
        });
    }

    /// Notes an acknowledgement; gives the end of the acknowledged prefix when it has moved.
    pub(super) fn acknowledge(&mut self, position: Position) -> Option<Cursor> {
        let first = self.records.front()?.cursor.position;
        let index = usize::try_from(position.0.checked_sub(first.0)?).ok()?;
        self.records.get_mut(index)?.is_acknowledged = true;
        let mut prefix = None;
        while let Some(sent) = self.records.pop_front_if(|sent| sent.is_acknowledged) {
            self.bytes -= sent.bytes;
            prefix = Some(sent.cursor);
        }
        prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(positions: std::ops::RangeInclusive<u64>, bytes: usize) -> InFlight {
        let mut in_flight = InFlight::default();
        for position in positions {
            let cursor = Cursor {
                position: Position(position),
                event_id: uuid::Uuid::from_u128(u128::from(position)),
            };
            in_flight.push(cursor, bytes);
        }
        in_flight
    }

    fn acknowledge(in_flight: &mut InFlight, position: u64) -> Option<u64> {
        let prefix = in_flight.acknowledge(Position(position))?;
        assert_eq!(prefix.event_id.as_u128(), u128::from(prefix.position.0));
        Some(prefix.position.0)
    }

    #[test]
    fn only_the_prefix_without_holes_counts_as_acknowledged() {
        let mut in_flight = sent(5..=8, 1);
        assert_eq!(acknowledge(&mut in_flight, 6), None);
        assert_eq!(acknowledge(&mut in_flight, 8), None);
        assert_eq!(acknowledge(&mut in_flight, 5), Some(6));
        assert_eq!(acknowledge(&mut in_flight, 7), Some(8));
        assert!(in_flight.is_empty());
    }

    #[test]
    fn an_acknowledgement_of_something_else_changes_nothing() {
        let mut in_flight = sent(5..=6, 1);
        assert_eq!(acknowledge(&mut in_flight, 4), None);
        assert_eq!(acknowledge(&mut in_flight, 7), None);
        assert_eq!(acknowledge(&mut in_flight, 5), Some(5));
    }

    #[test]
    fn records_and_bytes_are_bounded() {
        assert!(sent(1..=MAX_RECORDS as u64 - 1, 1).has_room());
        assert!(!sent(1..=MAX_RECORDS as u64, 1).has_room());
        let mut large = sent(1..=2, MAX_BYTES / 2);
        assert!(!large.has_room());
        large.acknowledge(Position(1));
        assert!(large.has_room());
    }
}
