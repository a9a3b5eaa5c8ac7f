//! Whether a checkpoint is of the store's history.

use crate::event_store::{self, EventStore};
use crate::message::Position;
use crate::read_store::Checkpoint;

/// Tells what is wrong with a checkpoint: nothing of another history may be mixed with this one.
pub(super) async fn verify(
    store: &dyn EventStore,
    at: &Checkpoint,
) -> Result<Option<String>, event_store::Error> {
    if let Some(ours) = store.id()
        && at.store != ours
    {
        let theirs = at.store;
        return Ok(Some(format!(
            "its documents come from store {theirs}, this one is {ours}; it is rebuilt"
        )));
    }
    if at.position == Position::START {
        return Ok(None);
    }
    let event = store.read_all(Position(at.position.0 - 1), 1).await?.pop();
    if event.is_some_and(|event| event.event_id == at.event_id && event.position == at.position) {
        return Ok(None);
    }
    Ok(Some(format!(
        "the store's history was rewritten at or before position {}, as by a restored backup; foldhost store rebase brings all to one truth",
        at.position
    )))
}
