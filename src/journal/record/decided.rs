//! What was decided on a rule, with the reason, and what a run that was decided upon holds.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RunId;
use crate::clock::Timestamp;
use crate::rule::RuleId;

/// What became of one rule for one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Outcome {
    /// A clause of `match`, or `when`, did not hold.
    NotMatched {
        /// The first clause that failed: `match.labels.env`, `when`.
        clause: String,
        /// What it asked for, in words.
        expected: String,
        /// What the event had, in words.
        seen: String,
    },
    /// `when` could not be evaluated; counts as not matched.
    ConditionError {
        /// What went wrong, with the position in the rule file where it is known.
        message: String,
    },
    /// A newer event of the same entity was seen before.
    Late {
        /// The newest time seen.
        newest: Timestamp,
    },
    /// The event was received before.
    Duplicate,
    /// A guard objected.
    Suppressed {
        /// Which one: `dedupe`, `rate`, `pause`, `budget:NAME`, …
        guard: String,
        /// Why, in words.
        reason: String,
        /// Until when it would object, where it knows.
        until: Option<Timestamp>,
    },
    /// The plan was made and shown, nothing was executed.
    DryRun,
    /// Waits by `hold`.
    Held {
        /// Until when.
        until: Timestamp,
    },
    /// Waits for a person.
    AwaitingApproval {
        /// When it expires.
        until: Timestamp,
    },
    /// Runs, or waits in the queue for its turn.
    Run {
        /// What it waits for, if it cannot start at once.
        queued: Option<String>,
    },
    /// Target, template or `steps_from` could not be rendered.
    PlanError {
        /// What went wrong.
        message: String,
    },
}

impl Outcome {
    /// The word of the rule language: `not-matched`, `run`, …
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotMatched { .. } => "not-matched",
            Self::ConditionError { .. } => "condition-error",
            Self::Late { .. } => "late",
            Self::Duplicate => "duplicate",
            Self::Suppressed { .. } => "suppressed",
            Self::DryRun => "dry-run",
            Self::Held { .. } => "held",
            Self::AwaitingApproval { .. } => "awaiting-approval",
            Self::Run { .. } => "run",
            Self::PlanError { .. } => "plan-error",
        }
    }

    /// The part of the rule that kept it from acting: the clause that failed, the guard that objected, or what could not
    /// be rendered.
    pub fn because(&self) -> Option<&str> {
        match self {
            Self::NotMatched { clause, .. } => Some(clause),
            Self::ConditionError { .. } => Some("when"),
            Self::Suppressed { guard, .. } => Some(guard),
            // The message begins with the part that could not be rendered.
            Self::PlanError { message } => message.split_once(": ").map(|(part, _)| part),
            _ => None,
        }
    }
}

/// What a run that was decided upon holds, so that later decisions can count it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    /// The run.
    pub run: RunId,
    /// The dedupe slot that it takes.
    pub slot: String,
    /// When the slot is free again; `None` means when its incident closes or reopens.
    pub slot_until: Option<Timestamp>,
    /// What it acts on.
    pub target: String,
    /// Its keys in the caps that count runs: `rule`, `target:db-07`, `channel:5`, `labels.service:x`.
    pub keys: Vec<String>,
    /// Its keys in the budgets across rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget_keys: Vec<String>,
    /// The keys of which only so many may be held at a time; the run holds them until it ends.
    pub locks: Vec<String>,
    /// The lock that its own rule limits.
    pub gate: String,
    /// The further ones, where it acts on several targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_gates: Vec<String>,
    /// What its `each` steps go over. Where there are any, these are what it acts on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// Until when the caps have to remember it.
    pub counted_until: Timestamp,
    /// When it expires if it still waits.
    pub expires: Timestamp,
    /// When its hold ends, where it has one: it does not act before, also where a person approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// Event types of its incident that call it off while it is held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancel_on: Vec<String>,
    /// The name of its channel, where it has one: pauses are told by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_name: Option<String>,
    /// The digest of the plan that a person is asked to approve. What acts must be that plan and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
}

impl Reservation {
    /// What the run acts on: its items where it goes over a list, else its target.
    pub fn acted_on(&self) -> &[String] {
        if self.items.is_empty() { std::slice::from_ref(&self.target) } else { &self.items }
    }
}

/// A match that counts towards a threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// What it is counted by.
    pub key: String,
    /// Until when it has to be remembered.
    pub until: Timestamp,
}

/// The decision on one rule for one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The rule.
    pub rule: RuleId,
    /// What became of it.
    pub outcome: Outcome,
    /// What was taken, where a run was decided upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Reservation>,
    /// The match that counts towards the rule's threshold, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
    /// The rendered plan, for `run` and `dry-run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
}
