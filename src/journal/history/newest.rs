//! The newest state seen of each entity, which orders its events.

use std::collections::{HashMap, VecDeque};
use std::hash::RandomState;
use std::sync::Arc;

use fastbloom::BloomFilter;

use super::super::record::Observed;
use crate::clock::Timestamp;
use crate::event::{Entity, Event};

/// How many entities are kept in memory, about 200 bytes each. The journal still knows those that were let go.
pub const NEWEST_MAX: usize = 28_000;

/// Bits of the marks of entities that were let go: 1 MB, there only once one was. With a million of them the journal is
/// asked in vain for one new entity in fifty; with more, more often.
const MARKS_BITS: usize = 8 << 20;
/// Bits that mark one entity.
const MARKS_EACH: u32 = 4;

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
    /// Marks of the entities that were let go and may still be in the journal; some that never were here look marked too.
    let_go: Option<Box<BloomFilter<RandomState>>>,
    /// Whether annotating events order as well.
    strict: bool,
    limit: usize,
}

impl Default for Order {
    fn default() -> Self {
        Self { entities: HashMap::new(), changes: VecDeque::new(), let_go: None, strict: false, limit: NEWEST_MAX }
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

    /// What memory knows of `entity`.
    pub fn get(&self, entity: &Entity) -> Option<&Newest> {
        self.entities.get(entity)
    }

    /// What is known of `entity`: by memory, else by `recall`, which asks the journal, where memory may have let go of it.
    ///
    /// # Errors
    /// What `recall` answers.
    pub fn get_or_recall<E>(
        &self,
        entity: &Entity,
        recall: impl FnOnce() -> Result<Option<Newest>, E>,
    ) -> Result<Option<Newest>, E> {
        match self.get(entity) {
            Some(newest) => Ok(Some(*newest)),
            None if self.must_recall(entity) => recall(),
            None => Ok(None),
        }
    }

    /// The entities about which the journal has to be asked before `event` is ordered: its own, and the incident of an
    /// alert, whose closing makes the alert's events late.
    pub fn unknown_of(&self, event: &Event) -> impl Iterator<Item = Entity> + use<> {
        let own = Some(event.entity.clone());
        let incident = match (&event.entity, &event.incident_id) {
            (Entity::Alert(_), Some(incident)) => Some(Entity::Incident(Arc::clone(incident))),
            _ => None,
        };
        let unknown = [own, incident].map(|entity| entity.filter(|entity| self.must_recall(entity)));
        unknown.into_iter().flatten()
    }

    /// Whether memory may have let go of `entity`, so that only the journal knows.
    fn must_recall(&self, entity: &Entity) -> bool {
        let is_marked = |marks: &BloomFilter<RandomState>| marks.contains(entity);
        !self.entities.contains_key(entity) && self.let_go.as_deref().is_some_and(is_marked)
    }

    /// Takes back what the journal knows of an entity that memory let go.
    pub fn recall(&mut self, entity: Entity, newest: Newest) {
        self.changes.push_back((entity.clone(), newest.seq));
        self.entities.entry(entity).or_insert(newest);
    }

    /// Says whether an event is late, and notes it if it is the newest.
    pub(crate) fn observe(&mut self, observed: &Observed) -> Ordering {
        if let Some(newest) = self.later_than(observed) {
            return Ordering::Late { newest };
        }
        if observed.time_mark.orders() {
            self.note(observed);
        }
        Ordering::Current
    }

    /// Notes what an event that is not late says of its entity. Where only the journal knows what was before, because
    /// nobody recalled it, as when records are folded, it goes on being the one that knows: what an event says alone could
    /// be older.
    fn note(&mut self, observed: &Observed) {
        if self.must_recall(&observed.entity) {
            return;
        }
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
                    self.let_go.get_or_insert_with(marks).insert(&entity);
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
    pub(crate) fn with_limit(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }
}

fn marks() -> Box<BloomFilter<RandomState>> {
    // Ids come from outside, so nobody may be able to choose ones that look marked.
    Box::new(BloomFilter::with_num_bits(MARKS_BITS).hasher(RandomState::new()).hashes(MARKS_EACH))
}

fn only_annotates(event_type: &str) -> bool {
    crate::event::only_annotates(event_type)
}
