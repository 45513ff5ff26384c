//! One rule set's part of a backtest: how its runs go, and what it did.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::tally::{SideReport, Tally};
use super::{Approvals, Lookup, RunModel};
use crate::clock::Timestamp;
use crate::decide::Decisions;
use crate::decide::turn::Start;
use crate::event::{Entity, Event, EventId};
use crate::journal::history::Newest;
use crate::journal::record::{Outcome, RunEnd, RunId};
use crate::rule::{RuleId, RuleSet};
use crate::simulate::flow::{Fate, Model};

/// That a rule acted for an event, or would have shown that it would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Act {
    /// The run; the same on both sides.
    pub(super) run: RunId,
    pub(super) rule: RuleId,
    pub(super) event: EventId,
    pub(super) target: Arc<str>,
    pub(super) at: Timestamp,
    /// Dry-run: nothing is executed.
    pub(super) shown: bool,
}

/// One rule set under test.
pub(super) struct Side<'a, L> {
    model: RunModel,
    from: Timestamp,
    lookup: &'a L,
    tally: Tally,
    /// What was done since it was last asked for.
    acts: VecDeque<Act>,
}

impl<L> fmt::Debug for Side<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side").field("model", &self.model).field("tally", &self.tally).finish_non_exhaustive()
    }
}

impl<'a, L> Side<'a, L> {
    pub(super) fn new(rules: &RuleSet, model: RunModel, from: Timestamp, lookup: &'a L) -> Self {
        Self { model, from, lookup, tally: Tally::new(rules), acts: VecDeque::new() }
    }

    /// Hands out what was done.
    pub(super) fn acts(&mut self) -> impl Iterator<Item = Act> {
        self.acts.drain(..)
    }

    pub(super) fn report(self) -> SideReport {
        self.tally.report()
    }

    fn act(&mut self, act: Act) {
        self.tally.act(&act);
        self.acts.push_back(act);
    }
}

impl<L: Lookup> Model for Side<'_, L> {
    fn load(&self, seq: u64) -> Option<Arc<Event>> {
        self.lookup.load(seq)
    }

    fn recall(&self, entity: &Entity, before: u64) -> Option<Newest> {
        self.lookup.newest(entity, before)
    }

    fn fate(&mut self, _rule: &RuleId) -> Fate {
        Fate { end: RunEnd::Succeeded, takes: self.model.takes }
    }

    fn approves(&self) -> bool {
        self.model.approvals == Approvals::Granted
    }

    fn decided(&mut self, event: &Arc<Event>, decisions: &Decisions, now: Timestamp) {
        if event.received_at < self.from {
            return;
        }
        if decisions.late_since.is_some() {
            self.tally.late();
        }
        for decision in &decisions.each {
            let decided = &decision.decided;
            self.tally.decided(event, decided);
            if let (Outcome::DryRun, Some(reservation)) = (&decided.outcome, &decided.reservation) {
                self.act(Act {
                    run: reservation.run.clone(),
                    rule: decided.rule.clone(),
                    event: event.id.clone(),
                    target: reservation.target.as_str().into(),
                    at: now,
                    shown: true,
                });
            }
        }
    }

    fn started(&mut self, run: &RunId, start: &Start, _waited: bool, now: Timestamp) {
        if start.event.received_at >= self.from {
            self.act(Act {
                run: run.clone(),
                rule: start.rule.id.clone(),
                event: start.event.id.clone(),
                target: start.plan.target.as_str().into(),
                at: now,
                shown: false,
            });
        }
    }

    fn ended(&mut self, run: &RunId, end: RunEnd, reason: Option<&str>, _now: Timestamp) {
        if reason.is_some() {
            self.tally.never_acted(run, end);
        }
    }
}
