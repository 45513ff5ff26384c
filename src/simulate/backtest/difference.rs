//! What one side did and the other did not.

use std::collections::{BTreeMap, HashMap, VecDeque};

use schemars::JsonSchema;
use serde::Serialize;

use super::side::Act;
use crate::clock::Timestamp;
use crate::event::EventId;
use crate::journal::record::RunId;
use crate::rule::RuleId;

/// How many acts wait for their counterpart. One comes at once, or when a run that waited acts; an act for which none
/// came while so many others were done is taken to have none.
const OPEN_MAX: usize = 200_000;
/// How many examples are kept of each kind of difference, for each rule.
const EXAMPLES_MAX: usize = 3;
/// How many rules may have examples; both sides together have no more rules than this.
const RULES_MAX: usize = 40_000;

/// How what a rule did for an event differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only the set that was tried acts.
    Added,
    /// Only the other side acts.
    Removed,
    /// Both act, on different targets.
    OtherTarget,
    /// The other side only showed what it would do.
    NowActs,
    /// The set that was tried only shows what it would do.
    NowShown,
}

/// An act that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Example {
    /// The event.
    #[schemars(with = "String")]
    pub event: EventId,
    /// When it acts, or acted.
    pub at: Timestamp,
    /// On what.
    pub target: String,
    /// On what the other side acts, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_target: Option<String>,
}

/// How often one rule differs in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Differs {
    /// The rule.
    #[schemars(with = "String")]
    pub rule: RuleId,
    /// In which way.
    pub change: Change,
    /// How often.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// How two sides differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DifferenceReport {
    /// Acts that are the same on both sides.
    pub same: u64,
    /// What differs, by rule.
    pub differs: Vec<Differs>,
}

/// The comparison so far.
#[derive(Debug, Default)]
pub struct Difference {
    /// Acts of one side for which the other has none yet, with which side that is.
    open: HashMap<RunId, (bool, Act)>,
    order: VecDeque<RunId>,
    same: u64,
    differs: BTreeMap<(RuleId, Change), (u64, Vec<Example>)>,
}

impl Difference {
    /// The set that is tried acts.
    pub(super) fn tried(&mut self, act: Act) {
        self.hold(true, act);
    }

    /// The other side acts, or acted.
    pub(super) fn other(&mut self, act: Act) {
        self.hold(false, act);
    }

    fn hold(&mut self, is_tried: bool, act: Act) {
        match self.open.remove(&act.run) {
            Some((was_tried, first)) if was_tried != is_tried => {
                let (tried, other) = if is_tried { (act, first) } else { (first, act) };
                self.compare(tried, &other);
            }
            // The same run a second time: a rerun has another id, so it does not come.
            Some((was_tried, first)) => drop(self.open.insert(first.run.clone(), (was_tried, first))),
            None => {
                self.order.push_back(act.run.clone());
                self.open.insert(act.run.clone(), (is_tried, act));
                self.let_go(OPEN_MAX);
            }
        }
    }

    fn compare(&mut self, tried: Act, other: &Act) {
        let change = match (tried.shown, other.shown) {
            (false, true) => Change::NowActs,
            (true, false) => Change::NowShown,
            _ if tried.target != other.target => Change::OtherTarget,
            _ => {
                self.same += 1;
                return;
            }
        };
        let other_target = (tried.target != other.target).then(|| other.target.to_string());
        self.note(change, tried, other_target);
    }

    /// Gives up waiting for counterparts until at most `most` acts are open.
    fn let_go(&mut self, most: usize) {
        while self.open.len() > most || self.order.len() > most.saturating_mul(2) {
            let Some(run) = self.order.pop_front() else { return };
            if let Some((is_tried, act)) = self.open.remove(&run) {
                self.note(if is_tried { Change::Added } else { Change::Removed }, act, None);
            }
        }
    }

    fn note(&mut self, change: Change, act: Act, other_target: Option<String>) {
        let key = (act.rule.clone(), change);
        if self.differs.len() >= RULES_MAX && !self.differs.contains_key(&key) {
            return;
        }
        let (count, examples) = self.differs.entry(key).or_default();
        *count += 1;
        if examples.len() < EXAMPLES_MAX {
            let target = act.target.to_string();
            examples.push(Example { event: act.event, at: act.at, target, other_target });
        }
    }

    pub(super) fn report(mut self) -> DifferenceReport {
        self.order.retain(|run| self.open.contains_key(run));
        self.let_go(0);
        let differs = self.differs.into_iter();
        let differs =
            differs.map(|((rule, change), (count, examples))| Differs { rule, change, count, examples }).collect();
        DifferenceReport { same: self.same, differs }
    }
}
