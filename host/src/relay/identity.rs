//! Whether the cursor and the topic belong to this store's history.
//!
//! A store that was restored from a backup, or a replica that was behind when it took over, gives out positions a second
//! time. Sent to the same topic they would be taken for duplicates and dropped. So the relay looks before it sends: an
//! event that it has sent must still be there, at its position, under its id.

use std::sync::Arc;

use crate::event_log::kafka::Origin;
use crate::event_store::{Cursor, Error, EventStore};
use crate::message::{Position, RecordedEvent};

/// Where to begin, or why not to.
pub(super) enum Verdict {
    /// All is well; behind here it goes on.
    Begin(Position),
    /// The relay must not send anything.
    Fault(String),
}

/// Holds the cursor and the newest records of the topic against the store.
pub(super) async fn verify(
    store: &Arc<dyn EventStore>,
    cursor: Option<Cursor>,
    source: &str,
    newest: &[Origin],
) -> Result<Verdict, Error> {
    if let Some(cursor) = cursor
        && let Some(fault) = compare(store, cursor, "the relay's cursor").await?
    {
        return Ok(Verdict::Fault(fault));
    }
    for record in newest {
        if record.source != source {
            return Ok(Verdict::Fault(format!(
                "the topic belongs to another store: its newest records are of {}, this store is {source}; \
                 give this store a topic of its own, or run `foldhost store rebase`",
                record.source
            )));
        }
        let sent = Cursor {
            position: record.position,
            event_id: record.event_id,
        };
        if let Some(fault) = compare(store, sent, "a record of the topic").await? {
            return Ok(Verdict::Fault(fault));
        }
    }
    Ok(Verdict::Begin(
        cursor.map_or(Position::START, |cursor| cursor.position),
    ))
}

/// Says what is wrong when an event is not where it was.
async fn compare(
    store: &Arc<dyn EventStore>,
    was: Cursor,
    who: &str,
) -> Result<Option<String>, Error> {
    let found = at(store, was.position).await?;
    let what = match found {
        Some(event) if event.event_id == was.event_id => return Ok(None),
        Some(event) => format!("holds event {} there", event.event_id),
        None => "ends before it".to_owned(),
    };
    Ok(Some(format!(
        "history was rewritten: {who} names event {} at position {}, but the store {what}; run `foldhost store rebase`",
        was.event_id, was.position
    )))
}

async fn at(
    store: &Arc<dyn EventStore>,
    position: Position,
) -> Result<Option<Arc<RecordedEvent>>, Error> {
    let Some(before) = position.0.checked_sub(1) else {
        return Ok(None);
    };
    let events = store.read_all(Position(before), 1).await?;
    Ok(events.into_iter().find(|event| event.position == position))
}
