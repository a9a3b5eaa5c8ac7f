//! Planning named queries in guests that are kept for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Error;
use crate::message::{Digest, Json};
use crate::plugin::{FindRequest, Plugin, ProjectionGuest};

/// The most instances kept for planning the queries of one plugin version.
const MAX_PLANNERS: usize = 4;

/// Instances that plan queries, by plugin version.
#[derive(Clone, Default)]
pub(crate) struct Planners(Arc<Mutex<HashMap<Digest, Vec<ProjectionGuest>>>>);

impl Planners {
    pub(super) async fn plan(
        &self,
        plugin: &Arc<Plugin>,
        query: &str,
        parameters: Json,
    ) -> Result<Result<FindRequest, Error>, Error> {
        let (planners, plugin, query) = (self.clone(), Arc::clone(plugin), query.to_owned());
        let planned = tokio::task::spawn_blocking(move || {
            let mut guest = match planners.take(plugin.digest) {
                Some(guest) => guest,
                None => ProjectionGuest::new(&plugin)?,
            };
            let planned = guest.plan(&query, &parameters);
            planners.give_back(plugin.digest, guest);
            planned
        });
        let planned = planned.await.map_err(|_| Error::Unavailable {
            reason: "the host is stopping".to_owned(),
        })?;
        Ok(planned?.map_err(Error::Rejected))
    }

    fn take(&self, plugin: Digest) -> Option<ProjectionGuest> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(&plugin)?
            .pop()
    }

    fn give_back(&self, plugin: Digest, guest: ProjectionGuest) {
        let mut planners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = planners.entry(plugin).or_default();
        if !guest.is_poisoned() && idle.len() < MAX_PLANNERS {
            idle.push(guest);
        }
    }

    /// Drops the instances of a version that is used no more.
    pub(crate) fn forget_all_but(&self, used: &[Digest]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|digest, _| used.contains(digest));
    }
}
