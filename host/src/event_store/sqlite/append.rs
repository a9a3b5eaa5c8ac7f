//! Appending a batch: one transaction, one look at each stream, few statements per event.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Transaction, params};

use super::super::{Decision, Entry, Error, Outcome, RecordedCommand};
use super::{plugins, read, transfer};
use crate::crash_point;
use crate::message::{Digest, NewEvent, Position, StreamHead, Version};

pub(super) const INSERT_EVENT: &str = "INSERT INTO events
    (position, event_id, stream, version, type, schema_version, recorded_at, correlation_id, causation_id, actor, plugin,
     metadata, data)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
pub(super) const INSERT_COMMAND: &str = "INSERT INTO commands
    (actor, command_id, stream, name, payload, hash, before_version, after_version, position, recorded_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (actor, command_id) DO NOTHING";
pub(super) const INSERT_CENSUS: &str = "INSERT INTO census (category, type, schema_version) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";

/// Appends a batch and commits it; returns an outcome per entry and the store's head.
pub(super) fn append(
    transaction: Transaction<'_>,
    entries: &[Entry],
) -> Result<(Vec<Outcome>, Position), Error> {
    transfer::refuse_unfinished(&transaction)?;
    let mut batch = Batch::begin(&transaction)?;
    let outcomes = entries
        .iter()
        .map(|entry| batch.settle(entry))
        .collect::<Result<Vec<_>, _>>()?;
    batch.record_census()?;
    let head = batch.position;
    drop(batch);
    crash_point::reached("append/written");
    transaction.commit()?;
    Ok((outcomes, head))
}

/// A batch under way. What it has written so far is seen by the entries that follow.
struct Batch<'a> {
    transaction: &'a Transaction<'a>,
    insert_event: CachedStatement<'a>,
    insert_command: CachedStatement<'a>,
    position: Position,
    heads: HashMap<&'a str, StreamHead>,
    active: Vec<(&'a str, Option<Digest>)>,
    /// Category, type and schema version; few enough to be searched one by one.
    types: Vec<(&'a str, &'a str, u32)>,
}

impl<'a> Batch<'a> {
    fn begin(transaction: &'a Transaction<'a>) -> Result<Self, Error> {
        Ok(Self {
            insert_event: transaction.prepare_cached(INSERT_EVENT)?,
            insert_command: transaction.prepare_cached(INSERT_COMMAND)?,
            position: read::head(transaction)?,
            heads: HashMap::new(),
            active: Vec::new(),
            types: Vec::new(),
            transaction,
        })
    }

    /// Settles one entry, in the order that the port promises. That a command is recorded already comes first there; it is
    /// asked only where something else is wrong, since recording it again tells the same.
    fn settle(&mut self, entry: &'a Entry) -> Result<Outcome, Error> {
        let actual = self.head(entry)?;
        let active = self.active(entry.stream.category())?;
        let wrong = if active.is_some_and(|active| active != entry.plugin) {
            Some(Outcome::StalePlugin { active })
        } else if !actual.is_same(&entry.expected) {
            Some(Outcome::Conflict { actual })
        } else {
            None
        };
        match (wrong, &entry.decision) {
            (None, Decision::Accepted(events)) => self.record(entry, actual, events),
            (None, Decision::Refused) => self.recorded_or(entry, Outcome::Checked),
            (Some(wrong), _) => self.recorded_or(entry, wrong),
        }
    }

    /// Stores an accepted command with its events.
    fn record(
        &mut self,
        entry: &'a Entry,
        before: StreamHead,
        events: &'a [NewEvent],
    ) -> Result<Outcome, Error> {
        let mut after = before;
        if let Some(last) = events.last() {
            let added = events.len() as u64;
            after = StreamHead {
                version: Version(before.version.0 + added),
                event_id: last.event_id,
                time: entry.time,
                position: Position(self.position.0 + added),
            };
        }
        if !self.insert_command(entry, &before, &after)? {
            let damaged = || Error::Damaged {
                reason: "a recorded command cannot be found".into(),
            };
            return Ok(Outcome::Duplicate(
                self.recorded(entry)?.ok_or_else(damaged)?,
            ));
        }
        for (version, event) in (before.version.0 + 1..).zip(events) {
            self.position = self.position.next();
            self.insert_event(entry, event, version)?;
        }
        self.heads.insert(entry.stream.as_str(), after);
        Ok(Outcome::Appended { head: after })
    }

    /// Returns false when the command is recorded already.
    fn insert_command(
        &mut self,
        entry: &Entry,
        before: &StreamHead,
        after: &StreamHead,
    ) -> Result<bool, Error> {
        let command = &entry.command;
        let inserted = self.insert_command.execute(params![
            &*command.actor,
            command.id.as_str(),
            entry.stream.as_str(),
            &*command.name,
            command.payload.as_str(),
            command.hash.0,
            before.version.0 as i64,
            after.version.0 as i64,
            after.position.0 as i64,
            entry.time.0,
        ])?;
        Ok(inserted == 1)
    }

    fn insert_event(
        &mut self,
        entry: &'a Entry,
        event: &'a NewEvent,
        version: u64,
    ) -> Result<(), Error> {
        let command = &entry.command;
        self.insert_event.execute(params![
            self.position.0 as i64,
            event.event_id.as_bytes(),
            entry.stream.as_str(),
            version as i64,
            &*event.event_type,
            event.schema_version,
            entry.time.0,
            &*command.correlation_id,
            command.id.as_str(),
            &*command.actor,
            entry.plugin.0,
            command.metadata.as_str(),
            event.data.as_str(),
        ])?;
        let seen = (
            entry.stream.category(),
            &*event.event_type,
            event.schema_version,
        );
        if !self.types.contains(&seen) {
            self.types.push(seen);
        }
        Ok(())
    }

    fn record_census(&self) -> Result<(), Error> {
        let mut insert = self.transaction.prepare_cached(INSERT_CENSUS)?;
        self.types
            .iter()
            .try_for_each(|seen| insert.execute(*seen).map(|_| ()))?;
        Ok(())
    }

    /// Returns the stream's head as of the entries before.
    fn head(&mut self, entry: &'a Entry) -> Result<StreamHead, Error> {
        if let Some(head) = self.heads.get(entry.stream.as_str()) {
            return Ok(*head);
        }
        let head = read::stream_head(self.transaction, &entry.stream)?;
        self.heads.insert(entry.stream.as_str(), head);
        Ok(head)
    }

    fn active(&mut self, category: &'a str) -> Result<Option<Digest>, Error> {
        if let Some((_, active)) = self.active.iter().find(|(known, _)| *known == category) {
            return Ok(*active);
        }
        let active = plugins::active_for(self.transaction, category)?;
        self.active.push((category, active));
        Ok(active)
    }

    fn recorded(&self, entry: &Entry) -> Result<Option<RecordedCommand>, Error> {
        Ok(read::command(
            self.transaction,
            &entry.command.actor,
            &entry.command.id,
        )?)
    }

    fn recorded_or(&self, entry: &Entry, otherwise: Outcome) -> Result<Outcome, Error> {
        Ok(self.recorded(entry)?.map_or(otherwise, Outcome::Duplicate))
    }
}
