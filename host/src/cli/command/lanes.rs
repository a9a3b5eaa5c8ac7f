//! The order of a file's commands: one lane a stream, one command of a lane under way at a time.

use std::collections::{HashMap, VecDeque};

/// Commands that were read and wait for their turn.
///
/// What waits is bounded by number and by size; a lane that is long for a while makes reading stop, not the heap grow.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    /// The lanes that have a command under way, with what waits behind it.
    busy: HashMap<String, VecDeque<(T, usize)>>,
    /// What can go at once, in the order of the file.
    ready: VecDeque<(String, T, usize)>,
    waiting: usize,
    waiting_bytes: usize,
}

/// The most commands that wait: enough to find work for all connections where one stream is very popular.
const MAX_WAITING: usize = 4_096;
/// The most bytes that wait.
const MAX_WAITING_BYTES: usize = 32 * 1024 * 1024;

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            busy: HashMap::new(),
            ready: VecDeque::new(),
            waiting: 0,
            waiting_bytes: 0,
        }
    }
}

impl<T> Lanes<T> {
    /// Tells whether more may be read.
    pub(super) fn has_room(&self) -> bool {
        self.waiting < MAX_WAITING && self.waiting_bytes < MAX_WAITING_BYTES
    }

    /// Takes the next command of the file, `bytes` long.
    pub(super) fn push(&mut self, stream: String, command: T, bytes: usize) {
        self.waiting += 1;
        self.waiting_bytes += bytes;
        match self.busy.get_mut(&stream) {
            Some(lane) => lane.push_back((command, bytes)),
            None => {
                self.busy.insert(stream.clone(), VecDeque::new());
                self.ready.push_back((stream, command, bytes));
            }
        }
    }

    /// Gives a command that may be sent now; its lane stays busy until [`Lanes::done`].
    pub(super) fn next(&mut self) -> Option<(String, T)> {
        let (stream, command, bytes) = self.ready.pop_front()?;
        self.waiting -= 1;
        self.waiting_bytes -= bytes;
        Some((stream, command))
    }

    /// Says that a stream's command is answered, so that its next one may go.
    pub(super) fn done(&mut self, stream: &str) {
        let Some(lane) = self.busy.get_mut(stream) else {
            return;
        };
        match lane.pop_front() {
            Some((command, bytes)) => self.ready.push_back((stream.to_owned(), command, bytes)),
            None => {
                self.busy.remove(stream);
            }
        }
    }

    /// Returns how many commands wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(streams: &[&str]) -> Lanes<usize> {
        let mut lanes = Lanes::default();
        for (number, stream) in streams.iter().enumerate() {
            lanes.push((*stream).to_owned(), number, 1);
        }
        lanes
    }

    #[test]
    fn a_stream_has_one_command_under_way_and_keeps_its_order() {
        let mut lanes = lanes(&["a", "a", "b", "a"]);
        assert_eq!(lanes.next(), Some(("a".to_owned(), 0)));
        assert_eq!(lanes.next(), Some(("b".to_owned(), 2)));
        assert_eq!(lanes.next(), None);
        lanes.done("a");
        assert_eq!(lanes.next(), Some(("a".to_owned(), 1)));
        assert_eq!(lanes.next(), None);
        lanes.done("a");
        assert_eq!(lanes.next(), Some(("a".to_owned(), 3)));
        lanes.done("a");
        lanes.done("b");
        assert_eq!((lanes.waiting(), lanes.busy.len()), (0, 0));
    }

    #[test]
    fn reading_stops_when_too_much_waits_and_goes_on_when_it_does_not() {
        let mut lanes = lanes(&vec!["a"; MAX_WAITING]);
        assert!(!lanes.has_room());
        lanes.next();
        assert!(lanes.has_room());
        lanes.push("b".to_owned(), 0, MAX_WAITING_BYTES);
        assert!(!lanes.has_room());
    }
}
