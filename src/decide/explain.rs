//! Why each rule did or did not act on an event: every clause, every guard, the plan.
//!
//! It asks the same core as the engine does, with every rule instead of the concerned ones, on a history that is
//! then thrown away.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Decision, Question, Scope, decide};
use crate::clock::Timestamp;
use crate::journal::history::History;
use crate::journal::record::Outcome;
use crate::matcher;

/// What a rule says to an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleExplanation {
    /// The rule.
    pub rule: String,
    /// The file, line and column where it stands.
    pub place: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// How far it may go, the ceiling taken into account.
    pub mode: String,
    /// The word of the outcome.
    pub outcome: String,
    /// Why, in words.
    pub reason: Option<String>,
    /// Until when a guard would object.
    pub until: Option<Timestamp>,
    /// Each clause of `match`.
    pub clauses: Vec<ClauseExplanation>,
    /// What would be acted upon.
    pub target: Option<String>,
    /// The rendered plan.
    pub plan: Option<Value>,
}

/// A clause of `match`, held against the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClauseExplanation {
    /// Where it stands: `match.labels.env`.
    pub clause: String,
    /// Whether it holds.
    pub holds: bool,
    /// What it asks for.
    pub expected: String,
    /// What the event has.
    pub seen: String,
}

/// What every rule says to an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The event's id.
    pub event: String,
    /// Its type.
    pub event_type: String,
    /// Its title.
    pub title: Option<String>,
    /// The newest time seen of its entity, if it is late.
    pub late_since: Option<Timestamp>,
    /// The number of the rule set that was asked.
    pub generation: u64,
    /// Each rule.
    pub rules: Vec<RuleExplanation>,
}

/// Asks every rule about an event. `only` names a single rule.
pub fn explain(question: &Question<'_>, mut history: History, now: Timestamp, only: Option<&str>) -> Explanation {
    let question = Question { scope: Scope::Every, ..*question };
    let decisions = decide(&question, &mut history, now);
    let wanted = |decision: &&Decision| only.is_none_or(|only| decision.rule.id.as_str() == only);
    let rules = decisions.each.iter().filter(wanted).map(|decision| explain_rule(&question, decision)).collect();
    Explanation {
        event: question.event.id.to_string(),
        event_type: question.event.event_type.to_string(),
        title: question.event.title().map(str::to_owned),
        late_since: decisions.late_since,
        generation: question.rules.generation,
        rules,
    }
}

fn explain_rule(question: &Question<'_>, decision: &Decision) -> RuleExplanation {
    let Decision { rule, decided, state, .. } = decision;
    let event = state.as_deref().unwrap_or(question.event);
    let clauses = matcher::clauses(&rule.matching, event)
        .into_iter()
        .map(|clause| ClauseExplanation {
            clause: clause.name,
            holds: clause.holds,
            expected: clause.expected,
            seen: clause.seen,
        })
        .collect();
    let (reason, until) = reason(&decided.outcome);
    RuleExplanation {
        rule: rule.id.to_string(),
        place: rule.place.to_string(),
        owner: rule.owner.clone(),
        mode: rule.mode.min(question.settings.ceiling).to_string(),
        outcome: decided.outcome.name().to_owned(),
        reason,
        until,
        clauses,
        target: decided.reservation.as_ref().map(|reservation| reservation.target.clone()),
        plan: decided.plan.clone(),
    }
}

/// Why an outcome is what it is, in words, and until when it would be so.
pub fn reason(outcome: &Outcome) -> (Option<String>, Option<Timestamp>) {
    match outcome {
        Outcome::NotMatched { clause, expected, seen } => {
            (Some(format!("{clause} expects {expected}, and the event has {seen}")), None)
        }
        Outcome::ConditionError { message } | Outcome::PlanError { message } => (Some(message.clone()), None),
        Outcome::Late { newest } => (Some(format!("a newer event of the same entity, of {newest}, came before")), None),
        Outcome::Duplicate => (Some("the same event was received before".into()), None),
        Outcome::Suppressed { guard, reason, until } => (Some(format!("{guard}: {reason}")), *until),
        Outcome::DryRun => (Some("nothing is executed in dry-run".into()), None),
        Outcome::Held { until } => (Some("it waits, and acts only if nothing calls it off".into()), Some(*until)),
        Outcome::AwaitingApproval { until } => (Some("it waits for a person to approve".into()), Some(*until)),
        Outcome::Run { queued: Some(behind) } => (Some(format!("it waits for its turn: {behind}")), None),
        Outcome::Run { queued: None } => (None, None),
    }
}
