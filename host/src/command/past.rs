//! Looking at one aggregate's state, now or in the past.

use std::sync::Arc;

use super::rehydrate::{Page, Reader};
use crate::event_store::{self, EventStore};
use crate::message::{Json, StreamHead, StreamId, Time, Version};
use crate::plugin::{AggregateGuest, Fault, Plugin};

/// Which state of an aggregate to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// As it is now.
    Head,
    /// As it was after the event of this version.
    Version(Version),
    /// As it was after the last event not after this time.
    Time(Time),
}

/// A state at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastState {
    /// The version of the last event folded into it; 0 when there is none.
    pub version: Version,
    /// The state, as its plugin shows it.
    pub state: Json,
}

/// Why a state cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// No active plugin defines the aggregate. **Handling:** answer 404.
    #[error("there is no aggregate {aggregate:?}")]
    UnknownAggregate {
        /// What was asked for.
        aggregate: String,
    },
    /// The store did not answer. **Handling:** answer 503.
    #[error(transparent)]
    Store(#[from] event_store::Error),
    /// The plugin broke. **Handling:** answer 500 or 504 naming it.
    #[error(transparent)]
    Plugin(#[from] Fault),
}

/// Folds a stream in an instance of its own, apart from the workers, and shows the state.
pub async fn look(
    store: &Arc<dyn EventStore>,
    plugin: &Arc<Plugin>,
    stream: &StreamId,
    past: Past,
) -> Result<PastState, LookError> {
    let mut reader = match past {
        Past::Head => {
            Reader::from_snapshot(Arc::clone(store), stream.clone(), plugin.digest).await?
        }
        Past::Version(version) => {
            Reader::from_start(Arc::clone(store), stream.clone(), Some(version))
        }
        Past::Time(time) => {
            let version = version_at(store, stream, time).await?;
            Reader::from_start(Arc::clone(store), stream.clone(), Some(version))
        }
    };
    let mut folding = Folding {
        guest: None,
        head: StreamHead::default(),
    };
    while let Some(page) = reader.next().await? {
        let (plugin, stream) = (Arc::clone(plugin), stream.clone());
        folding = blocking(move || folding.fold(&plugin, &stream, &page)).await?;
    }
    let version = folding.head.version;
    let state = blocking(move || folding.view()).await?;
    Ok(PastState { version, state })
}

/// A guest call may take as long as its deadline: never on an async thread.
async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Fault> + Send + 'static,
) -> Result<R, LookError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(event_store::Error::Unavailable {
            reason: "the host is stopping".to_owned(),
        }
        .into()),
    }
}

async fn version_at(
    store: &Arc<dyn EventStore>,
    stream: &StreamId,
    time: Time,
) -> Result<Version, LookError> {
    let mut version = Version::NONE;
    loop {
        let events = store.read_stream(stream, version, 500).await?;
        let within = events.iter().take_while(|event| event.time <= time).count();
        version = events
            .get(within.wrapping_sub(1))
            .map_or(version, |event| event.version);
        if within < events.len() || events.is_empty() {
            return Ok(version);
        }
    }
}

struct Folding {
    guest: Option<(AggregateGuest, crate::plugin::GuestState)>,
    head: StreamHead,
}

impl Folding {
    fn fold(mut self, plugin: &Arc<Plugin>, stream: &StreamId, page: &Page) -> Result<Self, Fault> {
        let (mut guest, state) = match self.guest.take() {
            Some(folding) => folding,
            None => {
                let mut guest = AggregateGuest::new(plugin)?;
                let state = guest.open(stream)?;
                (guest, state)
            }
        };
        if let Some(snapshot) = &page.snapshot {
            guest.restore(state, snapshot)?;
        }
        if !page.events.is_empty() {
            guest.evolve(state, &page.events)?;
        }
        Ok(Self {
            guest: Some((guest, state)),
            head: page.head,
        })
    }

    fn view(self) -> Result<Json, Fault> {
        match self.guest {
            Some((mut guest, state)) => guest.view(state),
            None => Ok(Json::from(&serde_json::Value::Null)),
        }
    }
}
