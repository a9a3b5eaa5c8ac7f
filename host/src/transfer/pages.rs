//! Walking through a store, page by page, as lines.

use crate::event_store::{CommandRecord, EventStore};
use crate::message::Position;

use super::Error;
use super::record::{CommandLine, EventLine, Line};

/// The most events or commands in memory at a time. Each has a megabyte at most and a few hundred bytes mostly.
const PAGE: usize = 256;

/// Returns the position of the last event, asked of the store itself: the head that it has told may be an older one.
pub(super) async fn head(store: &dyn EventStore) -> Result<Position, Error> {
    let mut head = *store.head().borrow();
    loop {
        let page = store.read_all(head, PAGE).await?;
        match page.last() {
            Some(last) => head = last.position,
            None => return Ok(head),
        }
    }
}

/// The events up to a position, in order.
pub(super) struct Events<'a> {
    store: &'a dyn EventStore,
    after: Position,
    up_to: Position,
}

impl<'a> Events<'a> {
    pub(super) fn new(store: &'a dyn EventStore, up_to: Position) -> Self {
        Self {
            store,
            after: Position::START,
            up_to,
        }
    }

    /// Returns the position of the last event that was given.
    pub(super) fn done(&self) -> Position {
        self.after
    }

    /// Returns the next lines; none at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<String>, Error> {
        let left = usize::try_from(self.up_to.0 - self.after.0).unwrap_or(PAGE);
        if left == 0 {
            return Ok(Vec::new());
        }
        let events = self.store.read_all(self.after, left.min(PAGE)).await?;
        let mut lines = Vec::with_capacity(events.len());
        for event in &events {
            if event.position != self.after.next() {
                return Err(missing(self.after.next()));
            }
            self.after = event.position;
            lines.push(Line::Event(EventLine::of(event)?).to_text()?);
        }
        if lines.is_empty() {
            return Err(missing(self.after.next()));
        }
        Ok(lines)
    }
}

/// The accepted commands whose last event is not beyond a position, in order of actor and command id.
pub(super) struct Commands<'a> {
    store: &'a dyn EventStore,
    after: Option<CommandRecord>,
    up_to: Position,
}

impl<'a> Commands<'a> {
    pub(super) fn new(store: &'a dyn EventStore, up_to: Position) -> Self {
        Self {
            store,
            after: None,
            up_to,
        }
    }

    /// Returns the next lines, which may be none; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<String>>, Error> {
        let mut page = self.store.read_commands(self.after.as_ref(), PAGE).await?;
        let known = |command: &&CommandRecord| command.recorded.position <= self.up_to;
        let lines = page
            .iter()
            .filter(known)
            .map(|command| Line::Command(CommandLine::of(command)?).to_text())
            .collect::<Result<Vec<_>, _>>()?;
        match page.pop() {
            Some(last) => self.after = Some(last),
            None => return Ok(None),
        }
        Ok(Some(lines))
    }
}

fn missing(position: Position) -> Error {
    let reason = format!("the event at position {position} is missing");
    crate::event_store::Error::Damaged { reason }.into()
}
