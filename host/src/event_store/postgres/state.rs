//! What this process knows of the store: its identity, its newest event, and whether both are still the same history.
//!
//! The newest event is known with its id. It moves only along one unbroken history: by an append that has checked it in
//! its own transaction, by a notification that begins where it stands, or by a look at the store that has found it there.
//! Anything else asks for such a look, and a look that does not find it is a rewritten history.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::super::{Cursor, Error};
use super::failure::unavailable;
use crate::message::{Position, StoreId};

/// Before the first event.
const NOTHING: Cursor = Cursor {
    position: Position::START,
    event_id: Uuid::nil(),
};

/// What this process knows of the store.
pub(super) struct State {
    known: Mutex<Known>,
    head: watch::Sender<Position>,
    epoch: watch::Sender<u64>,
    plugins_changed: watch::Sender<u64>,
    look: Notify,
}

struct Known {
    id: Option<StoreId>,
    /// The identity that this process is giving the store.
    becoming: Option<StoreId>,
    newest: Cursor,
    /// Names and digests of the active plugins.
    plugins: Option<String>,
    /// Why the store was not reached so far.
    trouble: String,
}

/// What a look at the store has found.
pub(super) struct Found {
    /// The store's identity.
    pub(super) id: StoreId,
    /// Its newest event.
    pub(super) newest: Option<Cursor>,
    /// The newest event that was known before.
    pub(super) sought: Cursor,
    /// Which event is at its position.
    pub(super) event_there: Option<Uuid>,
    /// Names and digests of the active plugins.
    pub(super) plugins: String,
}

impl State {
    /// Begins with a store that was not reached yet.
    pub(super) fn new() -> Self {
        let known = Known {
            id: None,
            becoming: None,
            newest: NOTHING,
            plugins: None,
            trouble: "it was not reached yet".to_owned(),
        };
        Self {
            known: Mutex::new(known),
            head: watch::Sender::new(Position::START),
            epoch: watch::Sender::new(0),
            plugins_changed: watch::Sender::new(0),
            look: Notify::new(),
        }
    }

    /// Returns the store's identity as it was seen last.
    pub(super) fn id(&self) -> Option<StoreId> {
        self.known().id
    }

    /// Returns the newest event known, with position 0 before the first.
    pub(super) fn newest(&self) -> Cursor {
        self.known().newest
    }

    /// Follows the head.
    pub(super) fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    /// Follows the epoch.
    pub(super) fn epoch(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    /// Follows changes of the active plugins.
    pub(super) fn plugins_changed(&self) -> watch::Receiver<u64> {
        self.plugins_changed.subscribe()
    }

    /// Fails until the store was reached for the first time.
    pub(super) fn check_reached(&self) -> Result<(), Error> {
        let known = self.known();
        match known.id {
            Some(_) => Ok(()),
            None => Err(unavailable(&known.trouble)),
        }
    }

    /// Notes why the store is not reached.
    pub(super) fn note_trouble(&self, reason: String) {
        self.known().trouble = reason;
    }

    /// An append of this process has committed. It had checked the newest event of its time in the same transaction.
    pub(super) fn appended(&self, newest: Cursor) {
        let mut known = self.known();
        if newest.position > known.newest.position {
            self.advance(&mut known, newest);
        }
    }

    /// A batch was committed somewhere: its last event, and the last one before it.
    pub(super) fn notified(&self, newest: Cursor, before: Cursor) {
        let mut known = self.known();
        if before == known.newest {
            self.advance(&mut known, newest);
        } else if newest.position >= known.newest.position && newest != known.newest {
            self.ask_for_a_look();
        }
    }

    /// This process is about to make the store another one: a look that finds it so has found nothing amiss.
    pub(super) fn becoming(&self, id: StoreId) {
        self.known().becoming = Some(id);
    }

    /// This process has made the store another one.
    pub(super) fn became(&self, id: StoreId) {
        self.known().id = Some(id);
        self.next_epoch();
    }

    /// The active plugins have changed here; elsewhere, the next look tells.
    pub(super) fn plugin_activated(&self) {
        self.plugins_changed.send_modify(|changes| *changes += 1);
    }

    /// Wants the store to be looked at soon.
    pub(super) fn ask_for_a_look(&self) {
        self.look.notify_one();
    }

    /// Waits until someone has asked for a look. Cancellation-safe.
    pub(super) async fn look_wanted(&self) {
        self.look.notified().await;
    }

    /// Takes what a look at the store has found.
    pub(super) fn looked(&self, found: Found) {
        let mut known = self.known();
        let rewritten = rewritten(&known, &found);
        let newest = found.newest.unwrap_or(NOTHING);
        known.id = Some(found.id);
        if let Some(reason) = rewritten {
            tracing::error!(
                reason,
                "the history of the event store was rewritten: everyone who follows it verifies where they are"
            );
            // First, so that nobody who is woken by the head believes that it is still the same history.
            self.next_epoch();
            self.advance(&mut known, newest);
        } else if newest.position > known.newest.position {
            self.advance(&mut known, newest);
        }
        if known.plugins.as_ref() != Some(&found.plugins) {
            let is_first = known.plugins.replace(found.plugins).is_none();
            if !is_first {
                self.plugin_activated();
            }
        }
    }

    /// The store was reached again after an outage.
    pub(super) fn next_epoch(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
    }

    fn advance(&self, known: &mut Known, newest: Cursor) {
        known.newest = newest;
        // Under the lock, so that heads are told in the order in which they were learned.
        self.head
            .send_if_modified(|head| std::mem::replace(head, newest.position) != newest.position);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing is done under the lock that could panic half way.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what shows that the history is another one.
fn rewritten(known: &Known, found: &Found) -> Option<String> {
    let position = found.sought.position;
    if known.id.is_some_and(|id| id != found.id) && known.becoming != Some(found.id) {
        Some("the store has another identity".to_owned())
    } else if position == Position::START || found.event_there == Some(found.sought.event_id) {
        None
    } else if found.event_there.is_none() {
        Some(format!("there is no event at position {position}"))
    } else {
        Some(format!("another event is at position {position}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64, id: u128) -> Cursor {
        Cursor {
            position: Position(position),
            event_id: Uuid::from_u128(id),
        }
    }

    fn found(newest: Option<Cursor>, sought: Cursor, there: Option<u128>) -> Found {
        Found {
            id: StoreId(Uuid::from_u128(1)),
            newest,
            sought,
            event_there: there.map(Uuid::from_u128),
            plugins: String::new(),
        }
    }

    fn at_five() -> State {
        let state = State::new();
        state.looked(found(Some(at(5, 50)), NOTHING, None));
        state
    }

    #[track_caller]
    fn check(state: &State, head: u64, epoch: u64) {
        assert_eq!(
            (*state.head().borrow(), *state.epoch().borrow()),
            (Position(head), epoch)
        );
    }

    #[test]
    fn a_look_that_finds_what_is_known_moves_the_head_only() {
        let state = at_five();
        state.looked(found(Some(at(7, 70)), at(5, 50), Some(50)));
        check(&state, 7, 0);
    }

    #[test]
    fn a_lower_head_or_another_event_is_another_epoch() {
        let state = at_five();
        state.looked(found(Some(at(4, 40)), at(5, 50), None));
        check(&state, 4, 1);
        state.looked(found(Some(at(4, 41)), at(4, 40), Some(41)));
        check(&state, 4, 2);
        assert_eq!(state.newest(), at(4, 41));
    }

    #[test]
    fn a_notification_moves_the_head_only_from_where_it_stands() {
        let state = at_five();
        state.notified(at(7, 70), at(5, 50));
        check(&state, 7, 0);
        state.notified(at(6, 60), at(5, 50));
        state.notified(at(9, 90), at(7, 71));
        check(&state, 7, 0);
    }

    #[test]
    fn another_identity_is_another_epoch() {
        let state = at_five();
        let other = Found {
            id: StoreId(Uuid::from_u128(2)),
            ..found(Some(at(9, 90)), at(5, 50), Some(50))
        };
        state.looked(other);
        check(&state, 9, 1);
    }
}
