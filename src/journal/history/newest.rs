//! The newest state seen of each entity, which orders its events.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::super::record::Observed;
use crate::clock::Timestamp;
use crate::event::Entity;

/// How many entities are kept in memory, about 200 bytes each. The journal still knows those that were let go.
pub const NEWEST_MAX: usize = 28_000;

/// The newest state seen of an entity. Every push carries the whole state, so an event that only annotates brings a
/// newer one as well; but it makes no other event late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// The greatest trustworthy time of its events that order; none while all of them only annotated.
    pub time: Option<Timestamp>,
    /// The journal's sequence number of the event that brought the newest state.
    pub seq: u64,
    /// The time of that event.
    pub state_time: Timestamp,
    /// Whether that state is closed.
    pub closed: bool,
    /// The time of the newest event that orders, where it closed the entity.
    pub closed_at: Option<Timestamp>,
}

impl Newest {
    /// Whether an event of this time was overtaken.
    pub fn is_after(&self, time: Timestamp) -> bool {
        self.time.is_some_and(|newest| time < newest)
    }

    /// Whether an event that is not late brings the state in which its entity is now. Where in doubt, closed stays
    /// closed: an annotation whose body says nothing of it does not open an incident, and a closing counts even after an
    /// annotation of a later time.
    fn gives_way_to(&self, observed: &Observed, annotates: bool) -> bool {
        if observed.time < self.state_time {
            return observed.closed && !annotates;
        }
        observed.closed || !self.closed || !annotates
    }
}

/// Whether an event may be acted upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// Nothing newer is known.
    Current,
    /// Something newer was seen at this time.
    Late {
        /// The newest time seen.
        newest: Timestamp,
    },
}

/// The newest states of all entities, bounded.
#[derive(Debug, Clone)]
pub struct Order {
    entities: HashMap<Entity, Newest>,
    /// Entities in the order of their last change, with the sequence number of it, to find the oldest.
    changes: VecDeque<(Entity, u64)>,
    /// Something was let go, so an entity that is not here may still be in the journal.
    incomplete: bool,
    /// Whether annotating events order as well.
    strict: bool,
    limit: usize,
}

impl Default for Order {
    fn default() -> Self {
        Self { entities: HashMap::new(), changes: VecDeque::new(), incomplete: false, strict: false, limit: NEWEST_MAX }
    }
}

impl PartialEq for Order {
    /// Equal where every entity has the same newest state.
    fn eq(&self, other: &Self) -> bool {
        self.entities == other.entities
    }
}

impl Order {
    /// Makes every event count for the ordering, or only those that do more than annotate (the default).
    pub fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    /// Whether every event counts for the ordering.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// What is known of `entity`.
    pub fn get(&self, entity: &Entity) -> Option<&Newest> {
        self.entities.get(entity)
    }

    /// Whether the journal has to be asked about `entity` before an event of it is ordered.
    pub fn must_recall(&self, entity: &Entity) -> bool {
        self.incomplete && !self.entities.contains_key(entity)
    }

    /// Takes back what the journal knows of an entity that memory let go.
    pub fn recall(&mut self, entity: Entity, newest: Newest) {
        self.changes.push_back((entity.clone(), newest.seq));
        self.entities.entry(entity).or_insert(newest);
    }

    /// Says whether an event is late, and notes it if it is the newest.
    pub(in crate::journal) fn observe(&mut self, observed: &Observed) -> Ordering {
        if let Some(newest) = self.later_than(observed) {
            return Ordering::Late { newest };
        }
        if observed.time_mark.orders() {
            self.note(observed);
        }
        Ordering::Current
    }

    /// Notes what an event that is not late says of its entity.
    fn note(&mut self, observed: &Observed) {
        let annotates = !self.strict && only_annotates(&observed.event_type);
        let known = self.entities.get(&observed.entity).copied();
        let state = known.filter(|known| !known.gives_way_to(observed, annotates)).unwrap_or(Newest {
            time: None,
            seq: observed.seq,
            state_time: observed.time,
            closed: observed.closed,
            closed_at: None,
        });
        let (time, closed_at) = if annotates {
            (known.and_then(|known| known.time), known.and_then(|known| known.closed_at))
        } else {
            (Some(observed.time), observed.closed.then_some(observed.time))
        };
        self.entities.insert(observed.entity.clone(), Newest { time, closed_at, ..state });
        if state.seq == observed.seq {
            self.changes.push_back((observed.entity.clone(), observed.seq));
            self.shrink();
        }
    }

    /// The newest time seen, if the event is older than that.
    fn later_than(&self, observed: &Observed) -> Option<Timestamp> {
        if !observed.time_mark.orders() {
            return None;
        }
        let own =
            self.entities.get(&observed.entity).and_then(|newest| newest.time).filter(|time| observed.time < *time);
        // An alert that is no newer than the closing of its incident belongs to what is over.
        let incident = match (&observed.entity, &observed.incident) {
            (Entity::Alert(_), Some(incident)) => self
                .entities
                .get(&Entity::Incident(Arc::clone(incident)))
                .and_then(|newest| newest.closed_at)
                .filter(|closed_at| observed.time <= *closed_at),
            _ => None,
        };
        own.max(incident)
    }

    fn shrink(&mut self) {
        while self.entities.len() > self.limit || self.changes.len() > 2 * self.limit {
            let Some((entity, seq)) = self.changes.pop_front() else { return };
            let is_last_change = self.entities.get(&entity).is_some_and(|newest| newest.seq == seq);
            if is_last_change {
                if self.entities.len() > self.limit {
                    self.entities.remove(&entity);
                    self.incomplete = true;
                } else {
                    // Still wanted: it goes to the back, so that the queue stays bounded.
                    self.changes.push_back((entity, seq));
                    return;
                }
            }
        }
    }

    /// A smaller limit, for tests.
    #[cfg(test)]
    pub(super) fn with_limit(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }
}

fn only_annotates(event_type: &str) -> bool {
    crate::event::only_annotates(event_type)
}
