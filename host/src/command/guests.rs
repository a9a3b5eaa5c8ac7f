//! The instances of one worker: one per aggregate, re-made after a fault or when memory runs short.

use std::collections::HashMap;
use std::sync::Arc;

use super::Error;
use super::rehydrate::Page;
use super::stream::Cached;
use crate::message::{Digest, StreamId, Version};
use crate::plugin::{AggregateGuest, Fault, GuestCommand, Packed, Plugin, Verdict};

/// How many calls an instance must have served before it is re-made for its memory: one that is full at once would be
/// re-made without end.
const CALLS_BEFORE_REMAKING: u64 = 256;

/// The instances of one worker.
#[derive(Default)]
pub(super) struct Guests {
    aggregates: HashMap<String, Guest>,
    /// Versions that are about to be activated.
    prepared: Vec<AggregateGuest>,
    /// The last number given to an instance.
    counter: u64,
}

struct Guest {
    plugin: Arc<Plugin>,
    /// Absent after a fault, until the next call.
    running: Option<AggregateGuest>,
    /// Another number for every instance, so that states of former ones are known to be lost.
    instance: u64,
    calls: u64,
}

impl Guests {
    /// Keeps an instance of a version that is about to be activated.
    pub(super) fn prepare(&mut self, guest: AggregateGuest) {
        self.prepared
            .retain(|other| other.plugin().digest != guest.plugin().digest);
        self.prepared.push(guest);
    }

    /// Takes up a prepared version; tells whether it was one.
    pub(super) fn promote(&mut self, aggregate: &str, digest: Digest) -> bool {
        let Some(at) = self
            .prepared
            .iter()
            .position(|guest| guest.plugin().digest == digest)
        else {
            return false;
        };
        let guest = self.prepared.swap_remove(at);
        // Others prepared for this aggregate were given up.
        self.prepared
            .retain(|other| name(other.plugin()) != Some(aggregate));
        self.counter += 1;
        let plugin = Arc::clone(guest.plugin());
        let guest = Guest {
            plugin,
            running: Some(guest),
            instance: self.counter,
            calls: 0,
        };
        self.aggregates.insert(aggregate.to_owned(), guest);
        true
    }

    pub(super) fn plugin(&self, aggregate: &str) -> Option<&Arc<Plugin>> {
        self.aggregates.get(aggregate).map(|guest| &guest.plugin)
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.aggregates.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Tells whether a state still exists.
    pub(super) fn is_current(&self, aggregate: &str, cached: Cached) -> bool {
        let guest = self.aggregates.get(aggregate);
        guest.is_some_and(|guest| guest.running.is_some() && guest.instance == cached.instance)
    }

    /// Drops a state, if there is one and it still exists.
    pub(super) fn close(&mut self, aggregate: &str, cached: Option<Cached>) {
        let Some(cached) = cached else { return };
        if !self.is_current(aggregate, cached) {
            return;
        }
        let closed = self.with(aggregate, |guest| guest.close(cached.state));
        if let Some(Err(fault)) = closed {
            tracing::warn!(%fault, "a state was not dropped");
        }
    }

    /// Folds a page of a stream's history into its state, which is made where there is none.
    pub(super) fn fold(
        &mut self,
        stream: &StreamId,
        state: Option<Cached>,
        page: &Page,
    ) -> Result<Cached, Fault> {
        let aggregate = stream.category();
        self.ensure_running(aggregate)?;
        let folded = self.with(aggregate, |guest| {
            let state = match state {
                Some(cached) => cached.state,
                None => guest.open(stream)?,
            };
            if let Some(snapshot) = &page.snapshot {
                guest.restore(state, snapshot)?;
            }
            if !page.events.is_empty() {
                guest.evolve(state, &page.events)?;
            }
            Ok(state)
        });
        let state = folded.unwrap_or_else(|| Err(gone(aggregate)))?;
        let instance = self
            .aggregates
            .get(aggregate)
            .map_or(0, |guest| guest.instance);
        Ok(Cached { state, instance })
    }

    /// Decides a command on a state.
    pub(super) fn decide(
        &mut self,
        stream: &StreamId,
        cached: Cached,
        command: &GuestCommand,
    ) -> Result<Verdict, Error> {
        let aggregate = stream.category();
        let declared = self
            .plugin(aggregate)
            .and_then(|plugin| plugin.descriptor.aggregate.as_ref());
        if let Some(declared) = declared
            && declared.command(&command.name).is_none()
        {
            let known = declared
                .commands
                .iter()
                .map(|command| command.name.to_string())
                .collect();
            let (aggregate, command) = (aggregate.to_owned(), command.name.to_string());
            return Err(Error::UnknownCommand {
                aggregate,
                command,
                known,
            });
        }
        let decided = self.with(aggregate, |guest| guest.decide(cached.state, command));
        Ok(decided.unwrap_or_else(|| Err(gone(aggregate)))?)
    }

    /// Folds decided events into a state; gives a snapshot where one is due between the two versions.
    pub(super) fn evolve(
        &mut self,
        stream: &StreamId,
        cached: Cached,
        events: &Packed,
        before: Version,
        after: Version,
    ) -> Result<Option<(Digest, Vec<u8>)>, Fault> {
        if events.is_empty() {
            return Ok(None);
        }
        let aggregate = stream.category();
        let evolved = self.with(aggregate, |guest| {
            guest.evolve(cached.state, events)?;
            let plugin = Arc::clone(guest.plugin());
            let interval = plugin
                .descriptor
                .aggregate
                .as_ref()
                .map_or(0, |it| u64::from(it.snapshot_interval));
            if interval == 0 || before.0 / interval == after.0 / interval {
                return Ok(None);
            }
            Ok(Some((plugin.digest, guest.snapshot(cached.state)?)))
        });
        evolved.unwrap_or_else(|| Err(gone(aggregate)))
    }

    /// Lets an instance go that is nearly full, so that no command pays for what others left behind.
    pub(super) fn relieve(&mut self, aggregate: &str) {
        let Some(guest) = self.aggregates.get_mut(aggregate) else {
            return;
        };
        let nearly_full = guest.plugin.limits.memory_bytes() / 4 * 3;
        let full = guest
            .running
            .as_ref()
            .is_some_and(|running| running.memory() > nearly_full);
        if full && guest.calls > CALLS_BEFORE_REMAKING {
            tracing::info!(
                plugin = guest.plugin.descriptor.name,
                "an instance is re-made for its memory"
            );
            guest.running = None;
        }
    }

    /// Calls the running instance of an aggregate, and lets it go when the call broke it.
    fn with<R>(
        &mut self,
        aggregate: &str,
        call: impl FnOnce(&mut AggregateGuest) -> Result<R, Fault>,
    ) -> Option<Result<R, Fault>> {
        let guest = self.aggregates.get_mut(aggregate)?;
        let running = guest.running.as_mut()?;
        let result = call(running);
        guest.calls += 1;
        if running.is_poisoned() {
            guest.running = None;
        }
        Some(result)
    }

    fn ensure_running(&mut self, aggregate: &str) -> Result<(), Fault> {
        let Some(guest) = self.aggregates.get_mut(aggregate) else {
            return Err(gone(aggregate));
        };
        if guest.running.is_none() {
            guest.running = Some(AggregateGuest::new(&guest.plugin)?);
            guest.calls = 0;
            self.counter += 1;
            guest.instance = self.counter;
        }
        Ok(())
    }
}

fn name(plugin: &Plugin) -> Option<&str> {
    plugin
        .descriptor
        .aggregate
        .as_ref()
        .map(|aggregate| aggregate.name.as_str())
}

fn gone(aggregate: &str) -> Fault {
    Fault::Trapped {
        plugin: aggregate.to_owned(),
        call: "instantiate",
        message: "its instance is being re-made".to_owned(),
    }
}
