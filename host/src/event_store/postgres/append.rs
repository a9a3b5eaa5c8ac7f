//! Appending a batch: one call of the schema's own function, over lists.
//!
//! The function settles the entries under the store's lock; here a batch is laid out as its lists, and the rows that come
//! back are read as outcomes.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::super::{Cursor, Decision, Entry, Error, Outcome, RecordedCommand};
use super::address::Address;
use super::connections::Statement;
use super::value::{Stamp, digest, signed, stream_head, text, unsigned};
use crate::message::{NewEvent, Position, StreamId, Version};

const APPEND: &str = r#"SELECT o_outcome, o_version, o_event, o_time, o_position, o_stream, o_hash, o_before, o_after, o_active
    FROM "{schema}".append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
        $22, $23, $24, $25, $26, $27, $28)"#;

/// What the function's `o_outcome` says.
const APPENDED: i32 = 0;
const CHECKED: i32 = 1;
const DUPLICATE: i32 = 2;
const CONFLICT: i32 = 3;
const STALE: i32 = 4;

/// The most bytes of JSON in a batch of several entries. The server takes a gigabyte at once, but has to hold it, too.
const MAX_BYTES: usize = 64 << 20;

/// Refuses a batch that is too large for one message, so that it is halved; an entry that stands alone is let through.
pub(super) fn check_size(entries: &[Entry]) -> Result<(), Error> {
    let size = |entry: &Entry| {
        let data: usize = events(entry)
            .iter()
            .map(|event| event.data.as_str().len())
            .sum();
        let metadata = entry.command.metadata.as_str().len();
        entry.command.payload.as_str().len() + metadata + data
    };
    let bytes: usize = entries.iter().map(size).sum();
    if bytes > MAX_BYTES && entries.len() > 1 {
        return Err(Error::Refused {
            reason: format!("{bytes} bytes in one batch where {MAX_BYTES} are the most"),
        });
    }
    Ok(())
}

/// Lays out a batch; `seen` is the newest event that this process knows.
pub(super) fn statement<'q>(address: &Address, seen: Cursor, entries: &[Entry]) -> Statement<'q> {
    let mut lists = Lists::default();
    for entry in entries {
        lists.add(entry);
    }
    let statement = sqlx::query(address.sql(APPEND))
        .bind(signed(seen.position.0))
        .bind(seen.event_id)
        .bind(&lists.categories.items)
        .bind(&lists.streams.items)
        .bind(&lists.stream_categories);
    lists.bind_types(lists.bind_events(lists.bind_entries(statement, entries)))
}

/// Reads the outcomes, and the store's new head if the batch has moved it.
pub(super) fn outcomes(
    rows: &[PgRow],
    entries: &[Entry],
) -> Result<(Vec<Outcome>, Option<Cursor>), Error> {
    if rows.len() != entries.len() {
        return Err(Error::Damaged {
            reason: format!("{} outcomes for {} entries", rows.len(), entries.len()),
        });
    }
    let mut newest = None;
    let mut outcomes = Vec::with_capacity(rows.len());
    for (row, entry) in rows.iter().zip(entries) {
        let outcome = outcome(row, entry)?;
        if let Outcome::Appended { head } = &outcome
            && !events(entry).is_empty()
        {
            newest = Some(Cursor {
                position: head.position,
                event_id: head.event_id,
            });
        }
        outcomes.push(outcome);
    }
    Ok((outcomes, newest))
}

fn outcome(row: &PgRow, entry: &Entry) -> Result<Outcome, Error> {
    use sqlx::Row as _;
    Ok(match row.try_get::<i32, _>(0)? {
        APPENDED => Outcome::Appended {
            head: stream_head(row, 1)?,
        },
        CHECKED => Outcome::Checked,
        DUPLICATE => Outcome::Duplicate(RecordedCommand {
            stream: StreamId::from_store(text(row, 5)?),
            id: entry.command.id.clone(),
            hash: digest(row, 6)?,
            before: Version(unsigned(row, 7)?),
            after: Version(unsigned(row, 8)?),
            position: Position(unsigned(row, 4)?),
        }),
        CONFLICT => Outcome::Conflict {
            actual: stream_head(row, 1)?,
        },
        STALE => Outcome::StalePlugin {
            active: Some(digest(row, 9)?),
        },
        other => {
            return Err(Error::Damaged {
                reason: format!("an outcome numbered {other}"),
            });
        }
    })
}

fn events(entry: &Entry) -> &[NewEvent] {
    match &entry.decision {
        Decision::Accepted(events) => events,
        Decision::Refused => &[],
    }
}

/// Distinct texts and their numbers, from 1.
#[derive(Default)]
struct Numbered<'a> {
    items: Vec<&'a str>,
    numbers: HashMap<&'a str, i32>,
}

impl<'a> Numbered<'a> {
    /// Returns the text's number, and whether it is new.
    fn number(&mut self, text: &'a str) -> (i32, bool) {
        if let Some(number) = self.numbers.get(text) {
            return (*number, false);
        }
        self.items.push(text);
        let number = self.items.len() as i32;
        self.numbers.insert(text, number);
        (number, true)
    }
}

/// What is not one value per entry, or not there to be copied.
#[derive(Default)]
struct Lists<'a> {
    categories: Numbered<'a>,
    streams: Numbered<'a>,
    stream_categories: Vec<i32>,
    entry_streams: Vec<i32>,
    /// Which entry had a command last, from 1.
    commands: HashMap<(&'a str, &'a str), i32>,
    repeats: Vec<i32>,
    event_entries: Vec<i32>,
    indexes: Vec<i32>,
    event_ids: Vec<Uuid>,
    event_types: Vec<i32>,
    data: Vec<&'a str>,
    /// Category, type and schema version; few enough to be searched one by one.
    types: Vec<(&'a str, &'a str, i64)>,
}

impl<'a> Lists<'a> {
    fn add(&mut self, entry: &'a Entry) {
        let category = entry.stream.category();
        let (stream, is_new) = self.streams.number(entry.stream.as_str());
        if is_new {
            let (category, _) = self.categories.number(category);
            self.stream_categories.push(category);
        }
        self.entry_streams.push(stream);
        let number = self.entry_streams.len() as i32;
        let command = (&*entry.command.actor, entry.command.id.as_str());
        let before = self.commands.insert(command, number);
        self.repeats.push(before.unwrap_or(0));
        for (index, event) in (1..).zip(events(entry)) {
            self.event_entries.push(number);
            self.indexes.push(index);
            self.event_ids.push(event.event_id);
            let event_type = self.event_type(category, event);
            self.event_types.push(event_type);
            self.data.push(event.data.as_str());
        }
    }

    fn event_type(&mut self, category: &'a str, event: &'a NewEvent) -> i32 {
        let wanted = (
            category,
            &*event.event_type,
            i64::from(event.schema_version),
        );
        let known = self.types.iter().position(|known| *known == wanted);
        let index = known.unwrap_or_else(|| {
            self.types.push(wanted);
            self.types.len() - 1
        });
        index as i32 + 1
    }

    fn bind_entries<'q>(&self, statement: Statement<'q>, entries: &[Entry]) -> Statement<'q> {
        let expected = |entry: &Entry| signed(entry.expected.version.0);
        let refused = |entry: &Entry| entry.decision == Decision::Refused;
        statement
            .bind(&self.entry_streams)
            .bind(list(entries, expected))
            .bind(list(entries, |entry| entry.expected.event_id))
            .bind(list(entries, |entry| entry.plugin.0))
            .bind(list(entries, |entry| &*entry.command.actor))
            .bind(list(entries, |entry| entry.command.id.as_str()))
            .bind(list(entries, |entry| &*entry.command.name))
            .bind(list(entries, |entry| entry.command.payload.as_str()))
            .bind(list(entries, |entry| entry.command.hash.0))
            .bind(list(entries, |entry| &*entry.command.correlation_id))
            .bind(list(entries, |entry| entry.command.metadata.as_str()))
            .bind(list(entries, |entry| Stamp(entry.time)))
            .bind(list(entries, refused))
            .bind(list(entries, |entry| events(entry).len() as i32))
            .bind(&self.repeats)
    }

    fn bind_events<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(&self.event_entries)
            .bind(&self.indexes)
            .bind(&self.event_ids)
            .bind(&self.event_types)
            .bind(&self.data)
    }

    fn bind_types<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        let categories: Vec<&str> = self.types.iter().map(|of| of.0).collect();
        let types: Vec<&str> = self.types.iter().map(|of| of.1).collect();
        let versions: Vec<i64> = self.types.iter().map(|of| of.2).collect();
        statement.bind(categories).bind(types).bind(versions)
    }
}

/// One value per entry.
fn list<'e, T>(entries: &'e [Entry], of: impl Fn(&'e Entry) -> T) -> Vec<T> {
    entries.iter().map(of).collect()
}
