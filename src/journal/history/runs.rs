//! Runs that wait or act, and the locks that they hold.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::super::record::{Observed, Outcome, Reservation, RunId};
use super::pauses::{Pause, Pauses};
use super::transition::{Impossible, Transition};
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
    /// The id of its channel, where it has one.
    pub channel: Option<i64>,
    /// The name of its channel, where it has one.
    pub channel_name: Option<String>,
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
    /// The digest of the plan that a person was shown, where one was asked.
    pub shown: Option<String>,
    /// A person had an earlier run done again.
    pub again: bool,
    /// How often it went on after a crash.
    pub resumes: u32,
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

    /// The pause that holds it back at `now`.
    pub fn pause<'h>(&self, pauses: &'h Pauses, now: Timestamp) -> Option<&'h Pause> {
        pauses.over(&self.rule, self.channel, self.channel_name.as_deref(), now)
    }

    /// What an event has to be about to call it off.
    fn called_off_by(&self) -> Vec<Entity> {
        if self.cancel_on.is_empty() {
            return Vec::new();
        }
        let mut about = vec![self.entity.clone()];
        about.extend(self.incident.as_ref().map(|incident| Entity::Incident(Arc::clone(incident))));
        about.dedup();
        about
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
    /// Runs that an event may call off while they wait, by what they are about and by their incident.
    callable_off: HashMap<Entity, Vec<RunId>>,
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

    /// The waiting runs that an event of this type, about `entity` and its `incident`, calls off: those about the same,
    /// and those of the same incident; but what comes of one alert says nothing of another.
    pub fn cancelled_by(&self, entity: &Entity, incident: Option<&Arc<str>>, event_type: &str) -> Vec<RunId> {
        let incident = incident.map(|incident| Entity::Incident(Arc::clone(incident)));
        let about = [Some(entity), incident.as_ref().filter(|incident| *incident != entity)];
        let calls_off = |run: &Run| {
            let other_alert =
                matches!((entity, &run.entity), (Entity::Alert(one), Entity::Alert(other)) if one != other);
            run.is_waiting() && !other_alert && run.cancel_on.iter().any(|one| one == event_type)
        };
        let mut called_off: Vec<RunId> = about
            .into_iter()
            .flatten()
            .filter_map(|about| self.callable_off.get(about))
            .flatten()
            .filter(|id| self.runs.get(*id).is_some_and(calls_off))
            .cloned()
            .collect();
        called_off.sort_unstable();
        called_off.dedup();
        called_off
    }

    /// The runs that act, in no order.
    pub(super) fn active(&self) -> impl Iterator<Item = &RunId> {
        self.runs.iter().filter(|(_, run)| !run.is_waiting()).map(|(id, _)| id)
    }

    /// Whether this run acts.
    pub fn is_active(&self, id: &RunId) -> bool {
        self.runs.get(id).is_some_and(|run| !run.is_waiting())
    }

    /// Why this run cannot do that.
    pub(super) fn refuse(&self, id: &RunId, transition: Transition) -> Impossible {
        match self.runs.get(id) {
            None => Impossible::Unknown { run: id.clone(), transition },
            Some(run) => Impossible::Illegal { run: id.clone(), transition, state: run.state },
        }
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
            channel: observed.channel,
            channel_name: reservation.channel_name.clone(),
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
            shown: reservation.shown.clone(),
            again: false,
            resumes: 0,
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
        for about in run.called_off_by() {
            self.callable_off.entry(about).or_default().push(reservation.run.clone());
        }
        self.waiting.insert(place, reservation.run.clone());
        self.runs.insert(reservation.run.clone(), run);
    }

    /// A person allowed it: it waits for the end of its hold, and for its turn, like any other.
    pub(super) fn approve(&mut self, id: &RunId, at: Timestamp) -> Result<(), Impossible> {
        let refused = self.refuse(id, Transition::Approve);
        let run = self.runs.get_mut(id).filter(|run| run.awaits_approval()).ok_or(refused)?;
        run.approved = true;
        match run.held_until.filter(|until| at < *until) {
            Some(until) => run.state = RunState::Waiting(Waits::Hold { until }),
            None => {
                run.state = RunState::Waiting(Waits::Queue);
                count_up(&mut self.wanted, &run.locks);
            }
        }
        Ok(())
    }

    /// It begins to act at `at`; gives back the run.
    pub(super) fn activate(&mut self, id: &RunId, at: Timestamp) -> Result<&Run, Impossible> {
        let refused = self.refuse(id, Transition::Act);
        let Some(run) = self.runs.get_mut(id) else { return Err(refused) };
        let RunState::Waiting(waits) = run.state else { return Err(refused) };
        if waits == Waits::Queue {
            count_down(&mut self.wanted, &run.locks);
        }
        self.waiting.remove(&run.place);
        run.state = RunState::Active { since: at };
        count_up(&mut self.held, &run.locks);
        Ok(run)
    }

    /// Notes that a person asked for this run.
    pub(super) fn note_again(&mut self, id: &RunId) {
        if let Some(run) = self.runs.get_mut(id) {
            run.again = true;
        }
    }

    /// It goes on after a crash, holding what it held.
    pub(super) fn resume(&mut self, id: &RunId, at: Timestamp) -> Result<(), Impossible> {
        let refused = self.refuse(id, Transition::Resume);
        let run = self.runs.get_mut(id).filter(|run| !run.is_waiting()).ok_or(refused)?;
        run.state = RunState::Active { since: at };
        run.resumes += 1;
        Ok(())
    }

    pub(super) fn end(&mut self, id: &RunId) -> Result<Run, Impossible> {
        let Some(run) = self.runs.remove(id) else { return Err(self.refuse(id, Transition::End)) };
        for about in run.called_off_by() {
            if let Some(ids) = self.callable_off.get_mut(&about) {
                ids.retain(|other| other != id);
                if ids.is_empty() {
                    self.callable_off.remove(&about);
                }
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
        Ok(run)
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
