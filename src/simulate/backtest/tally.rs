//! Counting what a rule set would have done.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::side::Act;
use crate::clock::Timestamp;
use crate::event::{Event, EventId};
use crate::journal::record::{Decided, Outcome, RunEnd, RunId};
use crate::rule::{Mode, RuleId, RuleSet};

/// How many targets of one rule are counted apart. What acts on more of them than this is seen without all of them.
const TARGETS_MAX: usize = 10_000;
/// How many targets of one rule are named in the report.
const TARGETS_SHOWN_MAX: usize = 20;
/// How many hours the report has; more than a year of hours in which something acts.
const HOURS_MAX: usize = 10_000;
/// How many hours all rules have in the report together. Some 3 MB; what acts later than that is in the sums alone.
const RULE_HOURS_MAX: usize = 200_000;
/// How many waiting runs are remembered by their rule; as many as the engine lets wait.
const WAITING_MAX: usize = 10_000;

/// An hour in milliseconds.
const HOUR_MS: i64 = 3_600_000;

/// What one rule set would have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SideReport {
    /// BLAKE3 over the files of the rule set.
    pub rules_hash: String,
    /// Events that a newer one of the same incident or alert had overtaken.
    pub late: u64,
    /// Every rule that may be asked, by its id.
    pub rules: Vec<RuleReport>,
    /// The hours in which something would have acted, in order: the blast radius.
    pub hours: Vec<Hour>,
}

/// What one rule would have done. Each event counts under one of the outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RuleReport {
    /// The rule.
    #[schemars(with = "String")]
    pub rule: RuleId,
    /// How far it may go: the lower of its own mode and the config's.
    #[schemars(with = "String")]
    pub mode: Mode,
    /// Runs that would have acted, those that waited before included.
    pub runs: u64,
    /// Plans that would only have been shown.
    pub dry_runs: u64,
    /// How many runs would first have been held.
    pub held: u64,
    /// How many would have asked a person.
    pub awaiting_approval: u64,
    /// Runs that waited and never acted, by how they ended.
    pub never_acted: BTreeMap<&'static str, u64>,
    /// How often each guard objected.
    pub suppressed: BTreeMap<String, u64>,
    /// How often `when` could not be evaluated.
    pub condition_errors: u64,
    /// How often target or steps could not be made.
    pub plan_errors: u64,
    /// The first of either.
    pub first_error: Option<FirstError>,
    /// How many targets would have been acted upon, or shown.
    pub targets: u64,
    /// Those acted upon most, with how often.
    pub top_targets: Vec<TargetCount>,
    /// The hours in which it would have acted, or shown that it would, in order.
    pub hours: Vec<RuleHour>,
}

/// An error of a rule, and the event that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FirstError {
    /// The event.
    #[schemars(with = "String")]
    pub event: EventId,
    /// What went wrong.
    pub message: String,
}

/// How often a target would have been acted upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TargetCount {
    /// The target.
    pub target: String,
    /// How often.
    pub runs: u64,
}

/// How often a rule would have acted in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RuleHour {
    /// When it begins.
    pub at: Timestamp,
    /// How often; dry-runs count.
    pub runs: u64,
}

/// What would have happened in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Hour {
    /// When it begins.
    pub at: Timestamp,
    /// How many targets would have been acted upon, or shown.
    pub targets: u64,
    /// How many runs there would have been.
    pub runs: u64,
}

/// The counts so far.
#[derive(Debug)]
pub(super) struct Tally {
    rules_hash: String,
    late: u64,
    rules: BTreeMap<RuleId, RuleTally>,
    hours: Vec<Hour>,
    /// How many hours the rules have together.
    rule_hours: usize,
    /// The targets of the last hour.
    in_hour: HashSet<Arc<str>>,
    waiting: HashMap<RunId, RuleId>,
}

#[derive(Debug)]
struct RuleTally {
    report: RuleReport,
    targets: HashMap<Arc<str>, u64>,
}

impl Tally {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let asked = rules.rules.iter().filter(|rule| rule.mode != Mode::Off);
        let rules_by_id = asked.map(|rule| (rule.id.clone(), RuleTally::new(rule.id.clone(), rule.mode))).collect();
        Self {
            rules_hash: rules.hash.clone(),
            late: 0,
            rules: rules_by_id,
            hours: Vec::new(),
            rule_hours: 0,
            in_hour: HashSet::new(),
            waiting: HashMap::new(),
        }
    }

    pub(super) fn late(&mut self) {
        self.late += 1;
    }

    pub(super) fn decided(&mut self, event: &Event, decided: &Decided) {
        let Some(RuleTally { report, .. }) = self.rules.get_mut(&decided.rule) else { return };
        let mut waits = false;
        match &decided.outcome {
            Outcome::Suppressed { guard, .. } => *report.suppressed.entry(guard.clone()).or_default() += 1,
            Outcome::DryRun => report.dry_runs += 1,
            Outcome::Held { .. } => (report.held, waits) = (report.held + 1, true),
            Outcome::AwaitingApproval { .. } => {
                (report.awaiting_approval, waits) = (report.awaiting_approval + 1, true)
            }
            Outcome::Run { queued } => waits = queued.is_some(),
            Outcome::ConditionError { message } => {
                report.condition_errors += 1;
                report.err(event, message);
            }
            Outcome::PlanError { message } => {
                report.plan_errors += 1;
                report.err(event, message);
            }
            // Most rules do not match most events; the index leaves them out before they are asked.
            Outcome::NotMatched { .. } | Outcome::Late { .. } | Outcome::Duplicate => {}
        }
        if let Some(reservation) = decided.reservation.as_ref().filter(|_| waits && self.waiting.len() < WAITING_MAX) {
            self.waiting.insert(reservation.run.clone(), decided.rule.clone());
        }
    }

    pub(super) fn act(&mut self, act: &Act) {
        self.waiting.remove(&act.run);
        let begins = Timestamp::from_millis(act.at.as_millis().div_euclid(HOUR_MS) * HOUR_MS);
        if let Some(RuleTally { report, targets }) = self.rules.get_mut(&act.rule) {
            report.runs += u64::from(!act.shown);
            match report.hours.last_mut() {
                Some(hour) if hour.at == begins => hour.runs += 1,
                _ if self.rule_hours < RULE_HOURS_MAX => {
                    self.rule_hours += 1;
                    report.hours.push(RuleHour { at: begins, runs: 1 });
                }
                _ => {}
            }
            if let Some(count) = targets.get_mut(&act.target) {
                *count += 1;
            } else if targets.len() < TARGETS_MAX {
                targets.insert(Arc::clone(&act.target), 1);
            }
        }
        if self.hours.last().is_none_or(|hour| hour.at != begins) {
            if self.hours.len() >= HOURS_MAX {
                return;
            }
            self.hours.push(Hour { at: begins, targets: 0, runs: 0 });
            self.in_hour.clear();
        }
        if let Some(hour) = self.hours.last_mut() {
            hour.runs += 1;
            hour.targets += u64::from(self.in_hour.insert(Arc::clone(&act.target)));
        }
    }

    pub(super) fn never_acted(&mut self, run: &RunId, end: RunEnd) {
        if let Some(rule) = self.waiting.remove(run).and_then(|rule| self.rules.get_mut(&rule)) {
            *rule.report.never_acted.entry(end.name()).or_default() += 1;
        }
    }

    pub(super) fn report(self) -> SideReport {
        let rules = self.rules.into_values().map(RuleTally::report).collect();
        SideReport { rules_hash: self.rules_hash, late: self.late, rules, hours: self.hours }
    }
}

impl RuleReport {
    fn err(&mut self, event: &Event, message: &str) {
        self.first_error.get_or_insert_with(|| FirstError { event: event.id.clone(), message: message.to_owned() });
    }
}

impl RuleTally {
    fn new(rule: RuleId, mode: Mode) -> Self {
        let report = RuleReport {
            rule,
            mode,
            runs: 0,
            dry_runs: 0,
            held: 0,
            awaiting_approval: 0,
            never_acted: BTreeMap::new(),
            suppressed: BTreeMap::new(),
            condition_errors: 0,
            plan_errors: 0,
            first_error: None,
            targets: 0,
            top_targets: Vec::new(),
            hours: Vec::new(),
        };
        Self { report, targets: HashMap::new() }
    }

    fn report(self) -> RuleReport {
        let count = self.targets.len() as u64;
        let mut counts: Vec<(Arc<str>, u64)> = self.targets.into_iter().collect();
        counts.sort_by(|(a, a_runs), (b, b_runs)| b_runs.cmp(a_runs).then_with(|| a.cmp(b)));
        counts.truncate(TARGETS_SHOWN_MAX);
        let top_targets =
            counts.into_iter().map(|(target, runs)| TargetCount { target: target.to_string(), runs }).collect();
        RuleReport { targets: count, top_targets, ..self.report }
    }
}
