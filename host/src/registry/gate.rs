//! What a version must be able to read before it may serve: the event types of the census, and a sample of history.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Parts, Refused};
use crate::command::{LookError, Past, look};
use crate::message::{Position, StreamId, Version};
use crate::plugin::{Descriptor, Plugin};
use crate::projection::Trial;

/// How many streams an aggregate is tried on, the most recently written first.
const SAMPLE_STREAMS: usize = 20;
/// How many events of each.
const SAMPLE_EVENTS: u64 = 1_000;
/// How many events a projection is tried on, from the beginning of history.
const SAMPLE_HISTORY: usize = 2_000;

pub(super) async fn check(parts: &Parts, plugin: &Arc<Plugin>) -> Result<(), Refused> {
    check_census(parts, &plugin.descriptor).await?;
    check_streams(parts, plugin).await?;
    check_history(parts, plugin).await
}

/// Names every event type and schema version that is recorded and would not be read.
async fn check_census(parts: &Parts, descriptor: &Descriptor) -> Result<(), Refused> {
    let mut unread = Vec::new();
    for entry in parts.store.census().await? {
        let (category, name) = entry
            .full_type
            .split_once('.')
            .unwrap_or((&entry.full_type, ""));
        let by_aggregate = descriptor
            .aggregate
            .as_ref()
            .filter(|it| it.name.as_str() == category);
        let reads = |reads: &[u32]| reads.contains(&entry.schema_version);
        let aggregate_fails =
            by_aggregate.is_some_and(|it| !it.event(name).is_some_and(|event| reads(&event.reads)));
        let wanted = descriptor
            .projection
            .iter()
            .flat_map(|it| &it.events)
            .find(|it| it.full_type == entry.full_type);
        if aggregate_fails || wanted.is_some_and(|wanted| !reads(&wanted.reads)) {
            unread.push(format!(
                "{} in schema version {}",
                entry.full_type, entry.schema_version
            ));
        }
    }
    if unread.is_empty() {
        return Ok(());
    }
    Err(Refused::CannotRead {
        reason: unread.join(", "),
    })
}

async fn check_streams(parts: &Parts, plugin: &Arc<Plugin>) -> Result<(), Refused> {
    let Some(aggregate) = &plugin.descriptor.aggregate else {
        return Ok(());
    };
    for stream in parts
        .store
        .sample_streams(aggregate.name.as_str(), SAMPLE_STREAMS)
        .await?
    {
        let until = Past::Version(Version(SAMPLE_EVENTS));
        match look(&parts.store, plugin, &stream, until).await {
            Ok(_) => {}
            Err(LookError::Store(error)) => return Err(error.into()),
            // `look` is given the plugin.
            Err(LookError::UnknownAggregate { .. }) => {}
            Err(LookError::Plugin(fault)) => {
                return Err(Refused::CannotRead {
                    reason: format!("stream {stream}: {fault}"),
                });
            }
        }
    }
    Ok(())
}

/// An event that the live generation has parked may fail here too; a new failure refuses the version.
async fn check_history(parts: &Parts, plugin: &Arc<Plugin>) -> Result<(), Refused> {
    let Some(projection) = &plugin.descriptor.projection else {
        return Ok(());
    };
    let parked: HashSet<StreamId> = match parts.engine.live(&projection.name) {
        Some(live) => parts
            .read_store
            .parked_streams(&live.generation)
            .await?
            .into_iter()
            .collect(),
        None => HashSet::new(),
    };
    let events = parts
        .store
        .read_all(Position::START, SAMPLE_HISTORY)
        .await?;
    let plugin = Arc::clone(plugin);
    let tried =
        tokio::task::spawn_blocking(move || Trial::new(&plugin).fold(&events, &parked)).await;
    match tried {
        Ok(Ok(())) => Ok(()),
        Ok(Err(reason)) => Err(Refused::CannotRead { reason }),
        Err(_) => Err(crate::event_store::Error::Unavailable {
            reason: "the host is stopping".to_owned(),
        }
        .into()),
    }
}
