//! The newest events in memory, a contiguous run of positions, shared by all who follow.
//!
//! What it holds belongs to one epoch of the store. It forgets everything when the epoch moves, and takes in nothing that
//! was read before it moved, so that no follower is given events of a history that was rewritten.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::message::{Position, RecordedEvent};

/// The most events: a few seconds of the fastest writer, so that a follower that stumbles finds them still there.
const MAX_EVENTS: usize = 8_192;
/// The most bytes: what the events' texts take up, roughly.
const MAX_BYTES: usize = 32 << 20;
/// What an event takes beside its texts.
const EVENT_BYTES: usize = 400;

/// The newest events of a store's present epoch.
pub(super) struct SharedWindow {
    newest: Mutex<Newest>,
    epoch: watch::Receiver<u64>,
}

struct Newest {
    epoch: u64,
    window: Window,
}

impl SharedWindow {
    /// Makes an empty one that follows the store's epoch.
    pub(super) fn new(epoch: watch::Receiver<u64>) -> Self {
        let newest = Newest {
            epoch: *epoch.borrow(),
            window: Window::default(),
        };
        Self {
            newest: Mutex::new(newest),
            epoch,
        }
    }

    /// Returns the epoch, to be asked for before events are read that shall be taken in.
    pub(super) fn epoch(&self) -> u64 {
        *self.epoch.borrow()
    }

    /// See [`Window::behind`].
    pub(super) fn behind(&self, after: Position, limit: usize) -> Option<Vec<Arc<RecordedEvent>>> {
        self.newest().window.behind(after, limit)
    }

    /// See [`Window::is_worth_keeping`].
    pub(super) fn is_worth_keeping(&self, after: Position, head: Position) -> bool {
        self.newest().window.is_worth_keeping(after, head)
    }

    /// Takes in a contiguous page that was read in an epoch; see [`Window::extend`].
    pub(super) fn extend(&self, epoch: u64, page: &[Arc<RecordedEvent>]) {
        let mut newest = self.newest();
        if newest.epoch == epoch {
            newest.window.extend(page);
        }
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.epoch();
        if newest.epoch != epoch {
            newest.epoch = epoch;
            newest.window = Window::default();
        }
        newest
    }
}

/// The newest events that anyone has asked for.
struct Window {
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            max_events: MAX_EVENTS,
            max_bytes: MAX_BYTES,
        }
    }
}

impl Window {
    /// Gives the events behind a position when the next one is here.
    fn behind(&self, after: Position, limit: usize) -> Option<Vec<Arc<RecordedEvent>>> {
        let first = self.events.front()?.position;
        let from = usize::try_from(after.next().0.checked_sub(first.0)?).ok()?;
        if from >= self.events.len() {
            return None;
        }
        Some(self.events.range(from..).take(limit).cloned().collect())
    }

    /// Tells whether what lies behind a position belongs to the newest events: not before those that are here already,
    /// and no farther from the head than there is room.
    fn is_worth_keeping(&self, after: Position, head: Position) -> bool {
        let is_near = head.0.saturating_sub(after.0) <= self.max_events as u64;
        is_near && self.events.back().is_none_or(|last| last.position <= after)
    }

    /// Takes a contiguous page in. What is here already goes when the page does not follow on it, and the oldest go when
    /// there is no room.
    fn extend(&mut self, page: &[Arc<RecordedEvent>]) {
        let Some(first) = page.first() else { return };
        if self
            .events
            .back()
            .is_some_and(|last| last.position.next() != first.position)
        {
            self.events.clear();
            self.bytes = 0;
        }
        for event in page {
            self.bytes += bytes_of(event);
            self.events.push_back(Arc::clone(event));
        }
        while self.events.len() > self.max_events || self.bytes > self.max_bytes {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= bytes_of(&oldest);
        }
    }
}

fn bytes_of(event: &RecordedEvent) -> usize {
    EVENT_BYTES + event.data.as_str().len() + event.metadata.as_str().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Digest, Json, StreamId, Time, Version};

    fn page(positions: std::ops::RangeInclusive<u64>) -> Vec<Arc<RecordedEvent>> {
        positions.map(event).collect()
    }

    fn event(position: u64) -> Arc<RecordedEvent> {
        Arc::new(RecordedEvent {
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
        })
    }

    fn positions(window: &Window, after: u64, limit: usize) -> Option<Vec<u64>> {
        let events = window.behind(Position(after), limit)?;
        Some(events.iter().map(|event| event.position.0).collect())
    }

    #[test]
    fn a_moved_epoch_empties_the_window_and_keeps_out_what_was_read_before_it() {
        let (epoch, receiver) = watch::channel(0);
        let shared = SharedWindow::new(receiver);
        let before = shared.epoch();
        shared.extend(before, &page(1..=3));
        assert!(shared.behind(Position(0), 9).is_some());
        epoch.send_replace(1);
        assert_eq!(shared.behind(Position(0), 9), None);
        shared.extend(before, &page(1..=3));
        assert_eq!(shared.behind(Position(0), 9), None);
        shared.extend(shared.epoch(), &page(1..=3));
        assert!(shared.behind(Position(0), 9).is_some());
    }

    fn window(max_events: usize, max_bytes: usize) -> Window {
        Window {
            max_events,
            max_bytes,
            ..Window::default()
        }
    }

    #[test]
    fn events_are_given_from_any_position_in_the_window_and_from_none_outside() {
        let mut window = window(100, MAX_BYTES);
        window.extend(&page(5..=8));
        assert_eq!(positions(&window, 4, 9), Some(vec![5, 6, 7, 8]));
        assert_eq!(positions(&window, 6, 1), Some(vec![7]));
        assert_eq!(positions(&window, 3, 9), None);
        assert_eq!(positions(&window, 8, 9), None);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut window = window(3, MAX_BYTES);
        window.extend(&page(1..=5));
        assert_eq!(
            (positions(&window, 1, 9), positions(&window, 2, 9)),
            (None, Some(vec![3, 4, 5]))
        );
    }

    #[test]
    fn the_oldest_go_when_they_are_too_large() {
        let mut window = window(100, 2 * bytes_of(&event(1)));
        window.extend(&page(1..=5));
        assert_eq!(
            (positions(&window, 2, 9), positions(&window, 3, 9)),
            (None, Some(vec![4, 5]))
        );
    }

    #[test]
    fn a_page_that_does_not_follow_on_begins_anew() {
        let mut window = window(100, MAX_BYTES);
        window.extend(&page(1..=3));
        window.extend(&page(4..=4));
        window.extend(&page(9..=9));
        assert_eq!(
            (positions(&window, 3, 9), positions(&window, 8, 9)),
            (None, Some(vec![9]))
        );
    }

    #[test]
    fn only_what_is_near_the_head_and_behind_the_window_is_worth_keeping() {
        let mut window = window(10, MAX_BYTES);
        assert!(window.is_worth_keeping(Position(90), Position(100)));
        assert!(!window.is_worth_keeping(Position(89), Position(100)));
        window.extend(&page(95..=97));
        assert!(window.is_worth_keeping(Position(97), Position(100)));
        assert!(!window.is_worth_keeping(Position(92), Position(100)));
    }
}
