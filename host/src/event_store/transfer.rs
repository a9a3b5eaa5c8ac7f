//! The part of the port that moves a store elsewhere, or makes another one of it.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Error, RecordedCommand, StoredPlugin};
use crate::message::{Digest, Json, Position, RecordedEvent, StoreId, Time};

/// An accepted command, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRecord {
    /// Who sent it.
    pub actor: Arc<str>,
    /// Which command it was.
    pub name: Arc<str>,
    /// What it took.
    pub payload: Json,
    /// When the host stamped it.
    pub time: Time,
    /// What the store answers a repetition with.
    pub recorded: RecordedCommand,
}

/// A part of another store's history, exactly as it was recorded there.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The events behind those that are here already, without a hole.
    pub events: Vec<RecordedEvent>,
    /// Commands, in any order; one that is here already is left as it is.
    pub commands: Vec<CommandRecord>,
}

/// Gives a store's history away whole, takes one over, and gives the store a new identity.
///
/// An import is begun, carried out in batches, and finished. In between the history is not whole: appending and
/// activating are refused as `Unfinished`, and [`Transfer::unfinished_import`] tells which export is awaited.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// Reads accepted commands in order of (actor, command id) as bytes, behind one of them, at most `limit`; fewer only
    /// when there are no more.
    async fn read_commands(
        &self,
        after: Option<&CommandRecord>,
        limit: usize,
    ) -> Result<Vec<CommandRecord>, Error>;

    /// Lists every installed plugin version, in order of digest.
    async fn installed_plugins(&self) -> Result<Vec<StoredPlugin>, Error>;

    /// Returns which export is being imported, if one is: the digest that [`Transfer::begin_import`] was given.
    async fn unfinished_import(&self) -> Result<Option<Digest>, Error>;

    /// Makes this store the one that an export came from, identity included, and returns the head that it stands at.
    ///
    /// Only an empty store is taken: no events, no commands, no active plugins. Otherwise `NotEmpty`, unless the same
    /// import was begun before: then it goes on behind the head that is returned. `Unfinished` while another one is under
    /// way.
    async fn begin_import(&self, id: StoreId, export: Digest) -> Result<Position, Error>;

    /// Takes over a part of the history in one transaction, exactly; the census follows. `Refused` when positions or
    /// versions are not dense, or when no import is under way.
    async fn import(&self, batch: Import) -> Result<(), Error>;

    /// Says that the history is whole, and makes installed plugin versions active, in one transaction.
    async fn finish_import(&self, active: &[Digest]) -> Result<(), Error>;

    /// Gives the store a new identity and forgets how far its followers have come, in one transaction. The epoch moves.
    /// `Unfinished` while an import is under way.
    async fn rebase(&self) -> Result<StoreId, Error>;
}
