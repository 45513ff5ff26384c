//! Places for what waits, so that no outage fills the memory.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::journal::history::WRITE_BACKS_MAX;

/// Places for write-backs that wait. Clones are the same places.
#[derive(Debug, Clone)]
pub struct Room(Arc<Semaphore>);

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the outbox is full: {WRITE_BACKS_MAX} write-backs wait for Flashduty, so this one was not queued; \
     is `flashduty.api` of the config reachable?"
)]
pub struct Full;

impl Room {
    /// Room beside the `taken` write-backs that wait already.
    pub fn beside(taken: usize) -> Self {
        Self(Arc::new(Semaphore::new(WRITE_BACKS_MAX.saturating_sub(taken))))
    }

    /// Takes places, all or none, until their write-backs are over.
    ///
    /// # Errors
    /// Where there are not so many.
    pub fn take(&self, count: usize) -> Result<(), Full> {
        let count = u32::try_from(count).map_err(|_| Full)?;
        self.0.try_acquire_many(count).map(tokio::sync::SemaphorePermit::forget).map_err(|_| Full)
    }

    /// Gives a place back.
    pub(crate) fn give_back(&self) {
        self.0.add_permits(1);
    }
}
