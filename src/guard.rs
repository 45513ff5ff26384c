//! What may object to a run. One file a guard.
//!
//! A guard is a pure function of the proposed run, the history and the time; it answers with a reason, never with
//! a bool. They are asked in the documented order: the first that objects names itself. A run that waited is asked
//! again when its turn comes, with its own reservation left out of the counts. No guard does I/O or reads a clock.

mod active;
mod attempts;
mod blast_radius;
mod breaker;
mod budget;
mod concurrency;
mod cooldown;
mod dedupe;
mod hold;
mod key;
mod max_wait;
mod pause;
mod rate;
mod recheck;
mod storm_hold;
mod threshold;
mod unless_acked;

pub use active::window_at;
pub use breaker::open_until;
pub use concurrency::{ENGINE_LOCK, WAITING_MAX, gates, locks};
pub use key::{KeyError, budget_keys, dedupe_key, key, rule_keys};
pub use max_wait::{expires, waits_since};
pub use threshold::tally;

use std::collections::BTreeMap;
use std::collections::HashSet;

use crate::clock::Timestamp;
use crate::config::{Budget, Schedule};
use crate::event::Event;
use crate::journal::history::History;
use crate::journal::record::RunId;
use crate::rule::Rule;
use crate::rule::duration::show as duration;

/// What of the config the guards ask.
#[derive(Debug, Clone, Default)]
pub struct GuardSettings {
    /// Caps across rules.
    pub budgets: Vec<Budget>,
    /// Named times.
    pub schedules: BTreeMap<String, Schedule>,
    /// Runs that act at the same time, over all rules.
    pub runs_max: u32,
}

/// A run that may come to be.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The state to act on: the event itself, or at a later turn the newest of its entity.
    pub event: &'a Event,
    /// What would be acted upon.
    pub target: &'a str,
    /// What its `each` steps would go over.
    pub items: &'a [String],
    /// The run it would be.
    pub run: &'a RunId,
    /// Whether nothing would be executed.
    pub dry: bool,
    /// Where the proposal stands.
    pub stage: Stage<'a>,
    /// The config's part.
    pub settings: &'a GuardSettings,
}

/// Where a proposal stands.
#[derive(Debug, Clone, Copy)]
pub enum Stage<'a> {
    /// The event was just taken up.
    First,
    /// A person has a run done again. The occasion is theirs, so it is neither held nor counted towards a threshold,
    /// and the slot of the run that it repeats does not stand in its way; everything else does.
    Again,
    /// The run waited, and its turn has come.
    Turn {
        /// When it was decided upon, and so counted.
        reserved_at: Timestamp,
        /// Locks for which an earlier run still waits.
        blocked: &'a HashSet<String>,
        /// Whether a person had an earlier run done again by it.
        again: bool,
    },
}

impl Proposal<'_> {
    /// Everything that it would touch: its target and its items, each once.
    fn touched(&self) -> impl Iterator<Item = &str> {
        let items = self.items.iter().map(String::as_str);
        std::iter::once(self.target).chain(items.filter(|item| *item != self.target))
    }

    /// What counts as acted upon: its items where it goes over a list, else its target.
    fn acted_on(&self) -> Vec<&str> {
        if self.items.is_empty() { vec![self.target] } else { self.items.iter().map(String::as_str).collect() }
    }

    /// How many of the runs that began after `since` are this one itself.
    fn own_since(&self, since: Timestamp) -> usize {
        match self.stage {
            Stage::First | Stage::Again => 0,
            Stage::Turn { reserved_at, .. } => usize::from(reserved_at > since),
        }
    }

    /// Whether a person had an earlier run done again by it, whose slot is then no objection.
    fn is_again(&self) -> bool {
        matches!(self.stage, Stage::Again | Stage::Turn { again: true, .. })
    }

    fn is_first(&self) -> bool {
        matches!(self.stage, Stage::First)
    }
}

/// An objection: which guard, why, and until when where it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The guard's name in the rule language.
    pub guard: String,
    /// Why, in words.
    pub reason: String,
    /// Until when it would object.
    pub until: Option<Timestamp>,
}

impl Objection {
    fn new(guard: &str, reason: impl Into<String>, until: Option<Timestamp>) -> Self {
        Self { guard: guard.to_owned(), reason: reason.into(), until }
    }
}

/// A guard's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing against it.
    Pass,
    /// No.
    Object(Objection),
    /// Not before this time.
    Hold(Timestamp),
    /// Not before there is room.
    Queue {
        /// What it waits for, in words.
        behind: String,
    },
    /// Do the escalation steps instead.
    Escalate,
}

/// One guard.
type Ask = fn(&Proposal<'_>, &History, Timestamp) -> Verdict;

/// The guards in the order in which they are asked.
const GUARDS: &[(&str, Ask)] = &[
    ("pause", pause::ask),
    ("dedupe", dedupe::ask),
    ("active", active::ask),
    ("unless_acked", unless_acked::ask),
    ("hold", hold::ask),
    ("threshold", threshold::ask),
    ("cooldown", cooldown::ask),
    ("rate", rate::ask),
    ("concurrency", concurrency::ask),
    ("blast_radius", blast_radius::ask),
    ("breaker", breaker::ask),
    ("attempts", attempts::ask),
    ("recheck", recheck::ask),
    ("max_wait", max_wait::ask),
    ("storm_hold", storm_hold::ask),
    ("budget", budget::ask),
];

/// What all guards together say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consent {
    /// Wait until then.
    pub hold: Option<Timestamp>,
    /// Wait for this.
    pub queued: Option<String>,
    /// Do the escalation steps instead of the rule's own.
    pub escalate: bool,
}

/// Asks every guard in order. A wish to wait does not end the asking: a later guard may still object.
pub fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Result<Consent, Objection> {
    let mut consent = Consent::default();
    for (_, ask) in GUARDS {
        match ask(proposal, history, now) {
            Verdict::Pass => {}
            Verdict::Object(objection) => return Err(objection),
            Verdict::Hold(until) => consent.hold = Some(until),
            Verdict::Queue { behind } => consent.queued = Some(behind),
            Verdict::Escalate => consent.escalate = true,
        }
    }
    Ok(consent)
}

/// What each guard says, in the order in which they are asked, also those behind one that objects.
pub fn verdicts(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Vec<(&'static str, Verdict)> {
    GUARDS.iter().map(|(name, ask)| (*name, ask(proposal, history, now))).collect()
}

/// The names of all guards, in the order in which they are asked.
pub fn names() -> impl Iterator<Item = &'static str> {
    GUARDS.iter().map(|(name, _)| *name)
}

/// `1 run`, `2 runs`.
fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests;
