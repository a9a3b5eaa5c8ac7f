//! Committing, and becoming the one that may.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mongodb::Database;
use tokio::sync::Mutex as Gate;

use super::super::{Checkpoint, Commit, Error, GenerationId};
use super::apply::{Applier, jitter};
use super::layout::Layouts;
use super::names;
use super::redo::{self, Redo};
use super::slots::{Claim, Kind, Slot, Slots};
use crate::crash_point;

/// Tries of a take-over from an owner that keeps committing.
const TRIES: u32 = 50;

/// What this process knows of the generations that it owns.
pub(super) struct Owners {
    /// Tells this opening from all others.
    token: String,
    parked: String,
    slots: Slots,
    redo: Redo,
    applier: Applier,
    held: Mutex<HashMap<GenerationId, Arc<Held>>>,
}

/// One generation that this process owns, or has owned.
#[derive(Default)]
struct Held {
    /// The newest slot that is ours; nothing when we are not the owner. Commits come one after the other.
    slot: Gate<Option<Slot>>,
    /// Its number, for whoever tidies up behind it.
    newest: AtomicI64,
}

impl Owners {
    pub(super) fn new(database: &Database, prefix: &str, token: &str) -> Self {
        Self {
            token: token.into(),
            parked: format!("{prefix}{}", names::PARKED),
            slots: Slots::new(database, prefix),
            redo: Redo::new(database, prefix),
            applier: Applier::new(database, prefix),
            held: Mutex::default(),
        }
    }

    /// Forgets a generation that is gone.
    pub(super) fn forget(&self, generation: &GenerationId) {
        self.all().remove(generation);
    }

    /// Takes the next slot, which fences off whoever had the ones before, and completes what was left undone.
    pub(super) async fn take_over(&self, generation: &GenerationId) -> Result<Checkpoint, Error> {
        let held = Arc::clone(self.all().entry(generation.clone()).or_default());
        let mut ours = held.slot.lock().await;
        *ours = None;
        let (former, slot) = self.take_next(generation).await?;
        if !slot.applied {
            // Its writes are in the new slot as well by now; whoever takes over from us finds them there.
            let puts = self.redo.load(generation, &slot, &slot.id).await?;
            self.applier
                .apply(generation, &puts, (slot.redo as u64, slot.slot as u64))
                .await?;
            self.slots.applied(&slot.id).await?;
        }
        self.redo.forget_before(generation, &slot).await?;
        self.slots.overtaken(generation, &slot).await?;
        tracing::debug!(
            projection = generation.projection,
            generation = generation.number,
            from = former,
            "taken over"
        );
        let checkpoint = slot.checkpoint()?;
        held.newest.store(slot.slot, Ordering::Relaxed);
        *ours = Some(Slot {
            applied: true,
            parts: 0,
            ..slot
        });
        Ok(checkpoint)
    }

    async fn take_next(&self, generation: &GenerationId) -> Result<(String, Slot), Error> {
        for _ in 0..TRIES {
            let newest = self.slots.newest(generation).await?;
            let former = newest.owner.clone();
            let carried = if newest.applied || newest.parts > 0 {
                None
            } else {
                self.slots.writes(&newest.id).await?
            };
            if !newest.applied && newest.parts == 0 && carried.is_none() {
                // Its owner has applied them between our two looks, or has gone on.
                continue;
            }
            let mut next = newest.next(generation, &self.token, Kind::TakenOver);
            next.writes = carried;
            if self.slots.claim(&next).await? == Claim::Ours {
                return Ok((former, next));
            }
            tokio::time::sleep(jitter(Duration::from_millis(10))).await;
        }
        Err(Error::Unavailable {
            reason: format!(
                "the owner of generation {} of {} goes on",
                generation.number, generation.projection
            ),
        })
    }

    /// Moves the checkpoint together with the writes, once, however often the same call is made.
    pub(super) async fn commit(
        &self,
        (generation, layouts): (&GenerationId, &Layouts),
        sequence: u64,
        commit: &Commit,
    ) -> Result<(), Error> {
        let lost = || Error::LostOwnership {
            generation: generation.clone(),
        };
        let held = self
            .all()
            .get(generation)
            .map(Arc::clone)
            .ok_or_else(lost)?;
        let mut ours = held.slot.lock().await;
        let last = ours.clone().ok_or_else(lost)?;
        let repeated =
            last.kind == Kind::Committed && (last.sequence as u64).checked_sub(1) == Some(sequence);
        if last.sequence as u64 != sequence && !repeated {
            return Err(lost());
        }
        let seq = (last.slot + i64::from(!repeated)) as u64;
        let puts = redo::puts((generation, layouts, &self.parked), commit, seq)?;
        let bytes = redo::to_bytes(&puts)?;
        let digest = redo::digest(commit, &bytes);
        if repeated && last.digest != digest {
            return Err(lost());
        }
        let slot = if repeated {
            last
        } else {
            self.complete(generation, &last).await?;
            let next = self.next(generation, last, (commit, digest));
            let Some(claimed) = self.claim(next, bytes).await? else {
                *ours = None;
                return Err(lost());
            };
            claimed
        };
        crash_point::reached("checkpoint/set");
        held.newest.store(slot.slot, Ordering::Relaxed);
        *ours = Some(slot.clone());
        self.applier.apply(generation, &puts, (seq, seq)).await?;
        crash_point::reached("checkpoint/applied");
        if let Some(slot) = ours.as_mut() {
            slot.applied = true;
        }
        drop(ours);
        self.tidy_up(generation, held, slot);
        Ok(())
    }

    /// Applies what a commit left undone that was not repeated.
    async fn complete(&self, generation: &GenerationId, last: &Slot) -> Result<(), Error> {
        if last.applied {
            return Ok(());
        }
        let puts = self.redo.load(generation, last, &last.id).await?;
        self.applier
            .apply(generation, &puts, (last.redo as u64, last.slot as u64))
            .await
    }

    /// The slot of a commit; what was committed before it is applied.
    fn next(
        &self,
        generation: &GenerationId,
        last: Slot,
        (commit, digest): (&Commit, String),
    ) -> Slot {
        let (before, deviates) = (last.position, last.deviates || commit.deviates);
        let sequence = last.sequence + 1;
        let next = last.next(generation, &self.token, Kind::Committed);
        Slot {
            sequence,
            position: commit.position.0 as i64,
            event_id: commit.event_id.to_string(),
            deviates,
            before,
            applied: false,
            digest,
            redo: next.slot,
            parts: 0,
            parts_of: String::new(),
            writes: None,
            ..next
        }
    }

    /// Takes the slot of a commit. One that is taken may have been taken by this very call, whose answer was lost.
    async fn claim(&self, mut slot: Slot, bytes: Vec<u8>) -> Result<Option<Slot>, Error> {
        self.redo.store(&mut slot, bytes).await?;
        if self.slots.claim(&slot).await? == Claim::Taken {
            let there = self.slots.read(&slot.id).await?;
            let same = |there: Slot| there.owner == slot.owner && there.digest == slot.digest;
            if !there.is_some_and(same) {
                return Ok(None);
            }
        }
        slot.writes = None;
        Ok(Some(slot))
    }

    /// Notes that a commit is applied and forgets the one before, without making anyone wait. What fails here is done by
    /// the next commit or the next take-over.
    fn tidy_up(&self, generation: &GenerationId, held: Arc<Held>, slot: Slot) {
        let (slots, redo, generation) = (self.slots.clone(), self.redo.clone(), generation.clone());
        tokio::spawn(async move {
            let tidied = async {
                if held.newest.load(Ordering::Relaxed) == slot.slot {
                    slots.applied(&slot.id).await?;
                }
                redo.forget(&generation, &slot).await?;
                let before = slot.slot.saturating_sub(1) as u64;
                slots.forget_commit(&names::slot(&generation, before)).await
            };
            if let Err(error) = tidied.await {
                tracing::debug!(%error, "a checkpoint is tidied up later");
            }
        });
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<GenerationId, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
