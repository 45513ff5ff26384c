//! The engine without its edges: decides on events, gives waiting runs their turns, and ends runs as a [`Model`] says.
//!
//! # Theory of operation
//!
//! A clock that only moves when it is told to goes from event to event, and between them from one time at which
//! something is due to the next: the end of a hold, of a run's patience, of a run, of a pause. What is due at the very
//! time of an event comes after it, as in the engine. Decisions come from [`crate::decide::decide`] and turns from
//! [`Walk`], so that tests and backtests cannot differ from what the engine does.
//!
//! A run's turn can only have come when something ended or became due, so nothing is looked at otherwise, and what an
//! event costs does not grow with the runs that wait.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::decide::turn::{self, Next, Past, Start, Walk};
use crate::decide::{self, Decision, Decisions, Question, Scope, Settings};
use crate::event::{Entity, Event};
use crate::journal::history::{History, Newest};
use crate::journal::record::{Observed, Outcome, Record, RunEnd, RunId};
use crate::rule::{RuleId, RuleSet};

/// How often what no decision can ask for any more is let go, on the simulated clock.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// How a run goes, since nothing is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) end: RunEnd,
    pub(super) takes: Duration,
}

/// What a simulation cannot know by itself, and whom it tells what happens.
pub(super) trait Model {
    /// The event at a number of the journal; `None` where its body is not kept any more.
    fn load(&self, seq: u64) -> Option<Arc<Event>>;

    /// The newest state of an entity that memory let go.
    fn recall(&self, entity: &Entity, before: u64) -> Option<Newest>;

    /// How the next run of a rule goes.
    fn fate(&mut self, rule: &RuleId) -> Fate;

    /// Whether people allow what asks them, at once.
    fn approves(&self) -> bool;

    /// An event was decided on.
    fn decided(&mut self, event: &Arc<Event>, decisions: &Decisions, now: Timestamp);

    /// A run acts. `waited` says that it was not told to act when it was decided upon.
    fn started(&mut self, run: &RunId, start: &Start, waited: bool, now: Timestamp);

    /// A run ended. `reason` is there where it never acted.
    fn ended(&mut self, run: &RunId, end: RunEnd, reason: Option<&str>, now: Timestamp);
}

/// The past of the simulated moment.
struct SoFar<'m, M> {
    model: &'m M,
    taken: u64,
}

impl<M: Model> Past for SoFar<'_, M> {
    type Error = Infallible;

    fn event(&self, seq: u64) -> Result<Option<Arc<Event>>, Infallible> {
        Ok(self.model.load(seq))
    }

    fn newest(&self, entity: &Entity) -> Result<Option<Newest>, Infallible> {
        Ok(self.model.recall(entity, self.taken + 1))
    }
}

/// A run that acts.
#[derive(Debug)]
struct Ending {
    run: RunId,
    rule: RuleId,
    target: String,
    fate: Fate,
}

/// A simulation under way.
#[derive(Debug)]
pub(super) struct Flow<'w> {
    rules: &'w RuleSet,
    settings: &'w Settings,
    pub(super) history: History,
    now: Timestamp,
    /// The number of the last event taken.
    taken: u64,
    /// Times at which the turn of some run may have come; those of runs that have ended do no harm.
    due: BinaryHeap<Reverse<Timestamp>>,
    /// Runs that act, by when they end and the order in which they started.
    ending: BTreeMap<(Timestamp, u64), Ending>,
    started: u64,
    pruned: Timestamp,
}

impl<'w> Flow<'w> {
    pub(super) fn new(rules: &'w RuleSet, settings: &'w Settings, strict_ordering: bool, now: Timestamp) -> Self {
        let mut history = History::default();
        history.newest.set_strict(strict_ordering);
        let (due, ending) = (BinaryHeap::new(), BTreeMap::new());
        Self { rules, settings, history, now, taken: 0, due, ending, started: 0, pruned: now }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Moves the clock to `to`, through all that is due before. The clock never goes back.
    pub(super) fn advance(&mut self, to: Timestamp, model: &mut impl Model) {
        while let Some(next) = self.next_due().filter(|next| *next < to) {
            self.be(next, model);
        }
        self.now = self.now.max(to);
        if self.now.since(self.pruned) >= PRUNE_EVERY {
            self.history.prune(self.now);
            self.pruned = self.now;
        }
    }

    /// Lets time pass until nothing is due any more.
    pub(super) fn finish(&mut self, model: &mut impl Model) {
        while let Some(next) = self.next_due() {
            self.be(next, model);
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        let ending = self.ending.first_key_value().map(|((at, _), _)| *at);
        ending.into_iter().chain(self.due.peek().map(|Reverse(at)| *at)).min()
    }

    fn be(&mut self, now: Timestamp, model: &mut impl Model) {
        self.now = self.now.max(now);
        while self.due.peek().is_some_and(|Reverse(at)| *at <= self.now) {
            self.due.pop();
        }
        self.end_what_ends(model);
        self.turns(model);
    }

    /// Folds what people did to the engine as a whole.
    pub(super) fn note(&mut self, record: &Record, model: &mut impl Model) {
        self.apply(record);
        if let Record::Paused { until: Some(until), .. } = record {
            self.due.push(Reverse(*until));
        }
        if let Record::Resumed { .. } = record {
            self.turns(model);
        }
    }

    /// Takes an event on which nothing can be decided, and which orders others all the same.
    pub(super) fn observe(&mut self, observed: &Observed) {
        self.history.observe(observed);
    }

    /// Takes an event at the clock's time.
    pub(super) fn take(&mut self, event: &Arc<Event>, seq: u64, scope: Scope, model: &mut impl Model) {
        let now = self.now;
        self.taken = seq;
        for entity in self.history.newest.unknown_of(event) {
            if let Some(newest) = model.recall(&entity, seq) {
                self.history.newest.recall(entity, newest);
            }
        }
        let called_off = turn::called_off(event, &self.history);
        let mut has_changed = !called_off.is_empty();
        for run in called_off {
            let reason = format!("called off by {} ({})", event.event_type, event.id);
            self.end_waiting(&run, RunEnd::Cancelled, reason, true, model);
        }
        let newest = decide::newest_if_late(event, &self.history, self.rules).and_then(|seq| model.load(seq));
        let question =
            Question { event, seq, newest: newest.as_deref(), rules: self.rules, settings: self.settings, scope };
        let decisions = decide::decide(&question, &mut self.history, now);
        model.decided(event, &decisions, now);
        for decision in decisions.each {
            has_changed |= self.follow(decision, event, model);
        }
        // All of them act before the first of them ends.
        has_changed |= self.end_what_ends(model);
        if has_changed {
            self.turns(model);
        }
    }

    /// Does what was decided. Whether it may be the turn of a run that waits now.
    fn follow(&mut self, decision: Decision, event: &Arc<Event>, model: &mut impl Model) -> bool {
        let Decision { rule, decided, plan, state } = decision;
        let Some(reservation) = decided.reservation else { return false };
        let waits = match decided.outcome {
            Outcome::Run { queued: None } => {
                if let Some(plan) = plan {
                    let start = Start { rule, plan, event: state.unwrap_or_else(|| Arc::clone(event)) };
                    self.start(&reservation.run, &start, false, model);
                }
                return false;
            }
            Outcome::Run { .. } | Outcome::Held { .. } => false,
            Outcome::AwaitingApproval { .. } => {
                if model.approves() {
                    let run = reservation.run;
                    self.apply(&Record::Approved { run, by: "the simulation".into(), reason: None });
                    true
                } else {
                    false
                }
            }
            _ => return false,
        };
        self.due.push(Reverse(reservation.expires));
        self.due.extend(reservation.held_until.map(Reverse));
        waits
    }

    fn start(&mut self, run: &RunId, start: &Start, waited: bool, model: &mut impl Model) {
        self.apply(&start.intent(run, self.rules.generation));
        model.started(run, start, waited, self.now);
        let fate = model.fate(&start.rule.id);
        let (rule, target) = (start.rule.id.clone(), start.plan.target.clone());
        self.started += 1;
        let key = (self.now.plus(fate.takes), self.started);
        self.ending.insert(key, Ending { run: run.clone(), rule, target, fate });
    }

    /// Ends the runs whose time has come. Whether there was any.
    fn end_what_ends(&mut self, model: &mut impl Model) -> bool {
        let mut any = false;
        while let Some(first) = self.ending.first_entry().filter(|first| first.key().0 <= self.now) {
            let Ending { run, rule, target, fate } = first.remove();
            any = true;
            self.apply(&Record::RunEnded {
                run: run.clone(),
                rule,
                target,
                end: fate.end,
                acted: true,
                keeps_slot: true,
                error: None,
                duration_ms: u64::try_from(fate.takes.as_millis()).unwrap_or(u64::MAX),
            });
            model.ended(&run, fate.end, None, self.now);
        }
        any
    }

    /// Ends a run that waited and never acts.
    fn end_waiting(&mut self, id: &RunId, end: RunEnd, reason: String, keeps_slot: bool, model: &mut impl Model) {
        let Some(run) = self.history.runs.get(id) else { return };
        let record = turn::unstarted(id, run, end, reason.clone(), keeps_slot, self.now);
        self.apply(&record);
        model.ended(id, end, Some(&reason), self.now);
    }

    /// Gives every run that waits its turn until nothing changes any more: each run that ends may make room.
    fn turns(&mut self, model: &mut impl Model) {
        let (rules, settings) = (self.rules, self.settings);
        loop {
            let mut walk = Walk::new(true);
            let mut changed = false;
            loop {
                let past = SoFar { model: &*model, taken: self.taken };
                let next = match walk.next(&self.history, rules, settings, self.now, &past) {
                    Ok(next) => next,
                    Err(never) => match never {},
                };
                match next {
                    None => break,
                    Some(Next::Start { run, start }) => {
                        self.start(&run, &start, true, model);
                        self.end_what_ends(model);
                    }
                    Some(Next::End { run, end, reason }) => self.end_waiting(&run, end, reason, false, model),
                }
                changed = true;
            }
            if !changed {
                return;
            }
        }
    }

    fn apply(&mut self, record: &Record) {
        self.history.apply(self.history.last_seq(), self.now, record);
    }
}
