//! Runs that wait or act, and the locks that they hold.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::super::record::{Observed, Outcome, Reservation, RunId};
use crate::clock::Timestamp;
use crate::event::{Entity, EventId};
use crate::rule::RuleId;

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Its turn.
    Queue,
    /// The end of its hold.
    Hold {
        /// When that is.
        until: Timestamp,
    },
    /// A person.
    Approval,
}

impl Waits {
    /// What a run with this outcome waits for first; `None` where there is no run.
    pub(super) fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Run { .. } => Some(Self::Queue),
            Outcome::Held { until } => Some(Self::Hold { until: *until }),
            Outcome::AwaitingApproval { .. } => Some(Self::Approval),
            _ => None,
        }
    }
}

/// Where a run stands. A run that ended is not here any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Decided upon; nothing was started.
    Waiting(Waits),
    /// Its intent is recorded: it may have started anything.
    Active {
        /// Since when.
        since: Timestamp,
    },
}

/// What a run took from the counts, to be given back if it never acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    pub(super) slot: String,
    pub(super) keys: Vec<String>,
    pub(super) budget_keys: Vec<String>,
    /// How long after its end the counts may be asked for it.
    pub(super) remember: Duration,
}

/// A run that waits or acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its rule.
    pub rule: RuleId,
    /// The event that led to it.
    pub event: EventId,
    /// The journal's sequence number of that event.
    pub seq: u64,
    /// What that event was about.
    pub entity: Entity,
    /// Its incident, where it has one.
    pub incident: Option<Arc<str>>,
    /// What it acts on.
    pub target: String,
    /// The locks that it holds while active.
    pub locks: Vec<String>,
    /// The lock that its own rule limits.
    pub gate: String,
    /// The further ones, where it acts on several targets.
    pub more_gates: Vec<String>,
    /// What its `each` steps go over.
    pub items: Vec<String>,
    /// Where it stands.
    pub state: RunState,
    /// Whether a person allowed it.
    pub approved: bool,
    /// When it was decided upon.
    pub decided_at: Timestamp,
    /// When its hold ends, where it has one.
    pub held_until: Option<Timestamp>,
    /// When it expires if it still waits.
    pub expires: Timestamp,
    /// Event types of its incident that call it off while it is held.
    pub cancel_on: Vec<String>,
    /// What it took.
    pub reserved: Reserved,
    place: u64,
}

impl Run {
    /// Whether nothing of it was started.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, RunState::Waiting(_))
    }

    /// The locks that its own rule limits.
    pub fn gates(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.gate).chain(&self.more_gates)
    }

    /// Whether it waits for a person.
    pub fn awaits_approval(&self) -> bool {
        self.state == RunState::Waiting(Waits::Approval)
    }
}

/// All runs that wait or act.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Runs {
    runs: HashMap<RunId, Run>,
    /// Waiting runs in the order in which they were decided upon.
    waiting: BTreeMap<u64, RunId>,
    held: HashMap<String, u32>,
    wanted: HashMap<String, u32>,
    /// Waiting runs that an event of their incident may call off.
    callable_off: HashMap<Arc<str>, Vec<RunId>>,
    next_place: u64,
}

impl Runs {
    /// The run with this id, if it has not ended.
    pub fn get(&self, run: &RunId) -> Option<&Run> {
        self.runs.get(run)
    }

    /// All runs that have not ended, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&RunId, &Run)> {
        self.runs.iter()
    }

    /// Runs that wait, in the order in which they were decided upon.
    pub fn waiting(&self) -> impl Iterator<Item = (&RunId, &Run)> {
        self.waiting.values().filter_map(|id| self.runs.get_key_value(id))
    }

    /// The first run that waits at `place` or later in the order, and its place.
    pub fn waiting_from(&self, place: u64) -> Option<(u64, &RunId, &Run)> {
        let (place, id) = self.waiting.range(place..).next()?;
        Some((*place, id, self.runs.get(id)?))
    }

    /// How many runs wait.
    pub fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// How many runs act.
    pub fn active_len(&self) -> usize {
        self.runs.len() - self.waiting.len()
    }

    /// How many active runs hold `lock`.
    pub fn holders(&self, lock: &str) -> u32 {
        self.held.get(lock).copied().unwrap_or(0)
    }

    /// How many runs wait in the queue for `lock`, which a later one must not overtake.
    pub fn queued_for(&self, lock: &str) -> u32 {
        self.wanted.get(lock).copied().unwrap_or(0)
    }

    /// The oldest active run that holds `lock`, to name it in a reason.
    pub fn a_holder(&self, lock: &str) -> Option<&RunId> {
        self.runs
            .iter()
            .filter(|(_, run)| {
                matches!(run.state, RunState::Active { .. }) && run.locks.iter().any(|held| held == lock)
            })
            .min_by_key(|(_, run)| run.place)
            .map(|(id, _)| id)
    }

    /// The waiting runs of `incident` that an event of this type calls off.
    pub fn cancelled_by(&self, incident: &str, event_type: &str) -> impl Iterator<Item = &RunId> {
        self.callable_off.get(incident).into_iter().flatten().filter(move |id| {
            self.runs.get(*id).is_some_and(|run| {
                matches!(run.state, RunState::Waiting(_)) && run.cancel_on.iter().any(|one| one == event_type)
            })
        })
    }

    pub(super) fn add(
        &mut self,
        observed: &Observed,
        at: Timestamp,
        rule: &RuleId,
        reservation: &Reservation,
        waits: Waits,
    ) {
        let place = self.next_place;
        self.next_place += 1;
        let run = Run {
            rule: rule.clone(),
            event: observed.event.clone(),
            seq: observed.seq,
            entity: observed.entity.clone(),
            incident: observed.incident.clone(),
            target: reservation.target.clone(),
            locks: reservation.locks.clone(),
            gate: reservation.gate.clone(),
            more_gates: reservation.more_gates.clone(),
            items: reservation.items.clone(),
            state: RunState::Waiting(waits),
            approved: false,
            decided_at: at,
            held_until: reservation.held_until,
            expires: reservation.expires,
            cancel_on: reservation.cancel_on.clone(),
            reserved: Reserved {
                slot: reservation.slot.clone(),
                keys: reservation.keys.clone(),
                budget_keys: reservation.budget_keys.clone(),
                remember: reservation.counted_until.since(at),
            },
            place,
        };
        if waits == Waits::Queue {
            count_up(&mut self.wanted, &run.locks);
        }
        if let Some(incident) = run.incident.as_ref().filter(|_| !run.cancel_on.is_empty()) {
            self.callable_off.entry(Arc::clone(incident)).or_default().push(reservation.run.clone());
        }
        self.waiting.insert(place, reservation.run.clone());
        self.runs.insert(reservation.run.clone(), run);
    }

    /// A person allowed it: it waits for the end of its hold, and for its turn, like any other.
    pub(super) fn approve(&mut self, id: &RunId, at: Timestamp) {
        if let Some(run) = self.runs.get_mut(id)
            && run.state == RunState::Waiting(Waits::Approval)
        {
            run.approved = true;
            match run.held_until.filter(|until| at < *until) {
                Some(until) => run.state = RunState::Waiting(Waits::Hold { until }),
                None => {
                    run.state = RunState::Waiting(Waits::Queue);
                    count_up(&mut self.wanted, &run.locks);
                }
            }
        }
    }

    /// It begins to act at `at`; gives back the run if it waited until now.
    pub(super) fn activate(&mut self, id: &RunId, at: Timestamp) -> Option<&Run> {
        if let Some(run) = self.runs.get_mut(id)
            && let RunState::Waiting(waits) = run.state
        {
            if waits == Waits::Queue {
                count_down(&mut self.wanted, &run.locks);
            }
            self.waiting.remove(&run.place);
            run.state = RunState::Active { since: at };
            count_up(&mut self.held, &run.locks);
            return Some(run);
        }
        None
    }

    pub(super) fn end(&mut self, id: &RunId) -> Option<Run> {
        let run = self.runs.remove(id)?;
        if let Some(incident) = run.incident.as_ref().filter(|_| !run.cancel_on.is_empty())
            && let Some(ids) = self.callable_off.get_mut(incident)
        {
            ids.retain(|other| other != id);
            if ids.is_empty() {
                self.callable_off.remove(incident);
            }
        }
        match run.state {
            RunState::Active { .. } => count_down(&mut self.held, &run.locks),
            RunState::Waiting(waits) => {
                if waits == Waits::Queue {
                    count_down(&mut self.wanted, &run.locks);
                }
                self.waiting.remove(&run.place);
            }
        }
        Some(run)
    }
}

fn count_up(counts: &mut HashMap<String, u32>, keys: &[String]) {
    for key in keys {
        *counts.entry(key.clone()).or_default() += 1;
    }
}

fn count_down(counts: &mut HashMap<String, u32>, keys: &[String]) {
    for key in keys {
        if let Some(count) = counts.get_mut(key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(key);
            }
        }
    }
}
