//! Dedupe slots: which occasions of a rule are taken, and by which run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::record::{Observed, Reservation, RunId};
use crate::clock::Timestamp;
use crate::event::Entity;
use crate::rule::RuleId;

/// How long a slot that waits for the closing of its incident is kept at most: longer than the vendor lets one
/// search back, so what is still open by then is forgotten there too.
pub const OPEN_ENDED_MAX: Duration = Duration::from_secs(62 * 86_400);

/// A taken slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The run that holds it.
    pub run: RunId,
    /// When it is free again; `None` means when its incident closes or reopens.
    pub until: Option<Timestamp>,
    taken_at: Timestamp,
    /// What frees it, where no time does.
    entity: Option<Entity>,
}

type Key = (RuleId, String, bool);

/// All taken slots. Dry-run has slots of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slots {
    taken: HashMap<Key, Slot>,
    /// The slots that are freed when an incident or alert closes or reopens.
    by_entity: HashMap<Entity, HashSet<Key>>,
}

impl Slots {
    /// The slot that `rule` holds for `key` at `now`.
    pub fn get(&self, rule: &RuleId, key: &str, dry: bool, now: Timestamp) -> Option<&Slot> {
        let slot = self.taken.get(&(rule.clone(), key.to_owned(), dry))?;
        slot.until.is_none_or(|until| now < until).then_some(slot)
    }

    pub(super) fn take(
        &mut self,
        observed: &Observed,
        at: Timestamp,
        rule: &RuleId,
        reservation: &Reservation,
        dry: bool,
    ) {
        let key = (rule.clone(), reservation.slot.clone(), dry);
        let entity = reservation.slot_until.is_none().then(|| match &observed.incident {
            Some(incident) => Entity::Incident(Arc::clone(incident)),
            None => observed.entity.clone(),
        });
        if let Some(entity) = &entity {
            self.by_entity.entry(entity.clone()).or_default().insert(key.clone());
        }
        let (run, until) = (reservation.run.clone(), reservation.slot_until);
        self.taken.insert(key, Slot { run, until, taken_at: at, entity });
    }

    /// Frees what waits for the closing or reopening of `entity`.
    pub(super) fn free(&mut self, entity: &Entity) {
        for key in self.by_entity.remove(entity).into_iter().flatten() {
            if self.taken.get(&key).is_some_and(|slot| slot.until.is_none()) {
                self.taken.remove(&key);
            }
        }
    }

    /// Gives a slot back if `run` still holds it.
    pub(super) fn give_back(&mut self, rule: &RuleId, slot: &str, run: &RunId) {
        let key = (rule.clone(), slot.to_owned(), false);
        if self.taken.get(&key).is_some_and(|slot| slot.run == *run)
            && let Some(entity) = self.taken.remove(&key).and_then(|slot| slot.entity)
            && let Some(keys) = self.by_entity.get_mut(&entity)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_entity.remove(&entity);
            }
        }
    }

    pub(super) fn prune(&mut self, now: Timestamp) {
        self.taken.retain(|_, slot| match slot.until {
            Some(until) => now < until,
            None => now.since(slot.taken_at) < OPEN_ENDED_MAX,
        });
        let taken = &self.taken;
        self.by_entity.retain(|_, keys| {
            keys.retain(|key| taken.contains_key(key));
            !keys.is_empty()
        });
    }
}
