//! What memory does not hold of the past: read from the journal.
//!
//! The fold keeps numbers and times of events, not their bodies, and of no more than so many entities. What it let go of
//! is asked for here before anything is decided without it.

use std::sync::Arc;

use crate::decide::turn::Past;
use crate::event::{self, Entity, Event};
use crate::journal::history::{History, Newest};
use crate::journal::read::Reader;
use crate::journal::record::Record;
use crate::journal::store::{StoreError, Stored};

/// No record comes after this.
const THE_END: u64 = i64::MAX.unsigned_abs();

/// The past as the journal tells it by now.
pub(super) struct Recorded<'r> {
    pub(super) reader: &'r Reader,
    /// Whether annotating events order as well.
    pub(super) strict: bool,
}

impl Past for Recorded<'_> {
    type Error = StoreError;

    fn event(&self, seq: u64) -> Result<Option<Arc<Event>>, StoreError> {
        Ok(load_event(self.reader, seq)?.map(Arc::new))
    }

    fn newest(&self, entity: &Entity) -> Result<Option<Newest>, StoreError> {
        self.reader.newest_before(entity, THE_END, self.strict)
    }
}

/// Gives `history` back what it let go of and needs to order `event`: what the journal knew before the record `seq`.
///
/// # Errors
/// When the journal cannot be read.
pub fn recall(history: &mut History, reader: &Reader, event: &Event, seq: u64) -> Result<(), StoreError> {
    for entity in history.newest.unknown_of(event) {
        if let Some(newest) = reader.newest_before(&entity, seq, history.newest.is_strict())? {
            history.newest.recall(entity, newest);
        }
    }
    Ok(())
}

/// The event at `seq` of the journal; `None` where its body is not kept any more.
///
/// # Errors
/// When the journal cannot be read.
pub fn load_event(reader: &Reader, seq: u64) -> Result<Option<Event>, StoreError> {
    Ok(reader.push_at(seq)?.and_then(|stored| event_of(&stored)))
}

/// A stored push as an event; `None` where its body is not kept any more.
pub fn event_of(stored: &Stored) -> Option<Event> {
    let Record::Received { source, caught_up, .. } = &stored.record else { return None };
    let body = stored.payload.clone()?;
    // It was read once before it was accepted, by the same rules.
    let mut event = event::read(body.into(), source.as_str().into(), stored.at).ok()?;
    event.caught_up = *caught_up;
    Some(event)
}
