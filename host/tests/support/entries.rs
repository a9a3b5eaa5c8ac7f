//! Entries to append, and appending them.

use std::sync::Arc;

use foldhost::event_store::{Decision, Entry, EntryCommand, EventStore, Outcome};
use foldhost::message::{
    CommandId, Digest, Json, NewEvent, Position, RecordedEvent, StreamHead, StreamId, Time, Version,
};
use uuid::Uuid;

/// When all entries are stamped, unless told otherwise.
pub(crate) const NOON: Time = Time(1_700_000_000_123_456);

/// The plugin that decides all entries, unless told otherwise.
pub(crate) fn plugin() -> Digest {
    Digest::of(b"plugin")
}

pub(crate) fn stream(text: &str) -> StreamId {
    StreamId::parse(text).unwrap()
}

/// An accepted command with some events, on a stream that is not there yet.
pub(crate) fn creating(to: &str, events: usize) -> Entry {
    on(to, StreamHead::default(), events)
}

/// An accepted command with some events, on a stream that stands at `expected`.
pub(crate) fn on(to: &str, expected: StreamHead, events: usize) -> Entry {
    let id = CommandId::random();
    Entry {
        stream: stream(to),
        expected,
        plugin: plugin(),
        command: EntryCommand {
            hash: Digest::of(id.as_str().as_bytes()),
            id,
            actor: "anne".into(),
            name: "create".into(),
            payload: Json::from_store(r#"{"title":"été 😀"}"#),
            correlation_id: "request-1".into(),
            metadata: Json::from_store(r#"{"traceparent":"00-1"}"#),
        },
        time: NOON,
        decision: Decision::Accepted((0..events).map(event).collect()),
    }
}

/// A refused command on a stream that stands at `expected`.
pub(crate) fn refusal(to: &str, expected: StreamHead) -> Entry {
    Entry {
        decision: Decision::Refused,
        ..on(to, expected, 0)
    }
}

pub(crate) fn event(number: usize) -> NewEvent {
    NewEvent {
        event_id: Uuid::now_v7(),
        event_type: "PostCreated".into(),
        schema_version: 1,
        data: Json::from_store(&format!(
            r#"{{"number":{number},"title":"O'Neill \"quoted\" 😀"}}"#
        )),
    }
}

/// The head that a stream has once an entry stands on the head before it, as far as a writer can know it.
pub(crate) fn speculated(entry: &Entry) -> StreamHead {
    let Decision::Accepted(events) = &entry.decision else {
        return entry.expected;
    };
    let Some(last) = events.last() else {
        return entry.expected;
    };
    let version = Version(entry.expected.version.0 + events.len() as u64);
    StreamHead {
        version,
        event_id: last.event_id,
        time: entry.time,
        position: Position::START,
    }
}

/// Appends a batch.
pub(crate) async fn append<const N: usize>(
    store: &Arc<dyn EventStore>,
    entries: [Entry; N],
) -> [Outcome; N] {
    store
        .append(Arc::new(entries))
        .await
        .unwrap()
        .try_into()
        .unwrap()
}

/// Appends one entry that must stand, and returns its stream's new head.
#[track_caller]
pub(crate) fn appended(outcome: &Outcome) -> StreamHead {
    match outcome {
        Outcome::Appended { head } => *head,
        other => panic!("not appended: {other:?}"),
    }
}

/// Appends one entry that must stand.
pub(crate) async fn append_one(store: &Arc<dyn EventStore>, entry: Entry) -> StreamHead {
    let [outcome] = append(store, [entry]).await;
    appended(&outcome)
}

/// Appends `count` events, each on a stream of its own.
pub(crate) async fn fill(store: &Arc<dyn EventStore>, prefix: &str, count: usize) {
    let entries: Vec<Entry> = (0..count)
        .map(|number| creating(&format!("post-{prefix}{number}"), 1))
        .collect();
    store
        .append(entries.into())
        .await
        .unwrap()
        .iter()
        .map(appended)
        .for_each(drop);
}

pub(crate) async fn all(store: &Arc<dyn EventStore>) -> Vec<Arc<RecordedEvent>> {
    store.read_all(Position::START, usize::MAX).await.unwrap()
}

pub(crate) fn positions(events: &[Arc<RecordedEvent>]) -> Vec<u64> {
    events.iter().map(|event| event.position.0).collect()
}
