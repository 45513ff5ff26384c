//! Why each rule did or did not act on an event: every clause, every guard, the plan.
//!
//! It asks the same core as the engine does, with every rule instead of the concerned ones, on a history that is
//! then thrown away.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Decision, Question, Scope, WHEN, decide, first_proposal};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::guard::{self, Objection, Verdict};
use crate::journal::history::History;
use crate::journal::record::{Observed, Outcome, RunId};
use crate::matcher;
use crate::plan;
use crate::rule::Rule;
use crate::rule::sandbox::{Extra, Part};
use crate::rule::view::EventView;

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
    /// The clause that failed, the guard that objects, or the part that cannot be rendered.
    #[serde(default)]
    pub because: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Until when a guard would object.
    pub until: Option<Timestamp>,
    /// Each clause of `match`.
    pub clauses: Vec<ClauseExplanation>,
    /// The script `when`, where the rule has one. It is asked here also where `match` does not hold.
    pub when: Option<WhenExplanation>,
    /// What would be acted upon, where it can be rendered.
    pub target: Option<String>,
    /// What each guard says, those behind one that objects too; empty where the rule does not hold.
    pub guards: Vec<GuardExplanation>,
    /// The rendered plan, also where a guard objects to it.
    pub plan: Option<Value>,
}

/// `when`, held against the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhenExplanation {
    /// The script.
    pub source: String,
    /// Whether it holds; `None` where it fails.
    pub holds: Option<bool>,
    /// Why it fails.
    pub error: Option<String>,
    /// Its parts, each with what it gave and read.
    pub parts: Vec<Part>,
}

/// What a guard says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardExplanation {
    /// Its name in the rule language.
    pub guard: String,
    /// `pass`, `object`, `hold`, `queue` or `escalate`.
    pub verdict: String,
    /// Why, where it does not pass.
    pub reason: Option<String>,
    /// Until when, where it knows.
    pub until: Option<Timestamp>,
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
    // What a rule reserves is folded before the next one is asked; guards are asked here on what they were asked on.
    let mut before = history.clone();
    let observed = Observed::of(question.event, question.seq);
    before.observe(&observed);
    let decisions = decide(&question, &mut history, now);
    let mut rules = Vec::new();
    for decision in &decisions.each {
        if only.is_none_or(|only| decision.rule.id.as_str() == only) {
            rules.push(explain_rule(&question, decision, &before, now));
        }
        before.take(&observed, now, &decision.decided);
    }
    Explanation {
        event: question.event.id.to_string(),
        event_type: question.event.event_type.to_string(),
        title: question.event.title().map(str::to_owned),
        late_since: decisions.late_since,
        generation: question.rules.generation,
        rules,
    }
}

fn explain_rule(question: &Question<'_>, decision: &Decision, before: &History, now: Timestamp) -> RuleExplanation {
    let Decision { rule, decided, state, .. } = decision;
    let event = state.as_deref().unwrap_or(question.event);
    let view = EventView::new(event);
    let clauses = matcher::clauses(&rule.matching, event)
        .into_iter()
        .map(|clause| ClauseExplanation {
            clause: clause.name,
            holds: clause.holds,
            expected: clause.expected,
            seen: clause.seen,
        })
        .collect();
    let target = plan::target(rule, &view, now).ok();
    let is_asked = !matches!(
        decided.outcome,
        Outcome::NotMatched { .. } | Outcome::ConditionError { .. } | Outcome::Late { .. } | Outcome::Duplicate
    );
    let own = target.as_deref().filter(|_| is_asked).and_then(|target| {
        let own = plan::own_steps(rule, &question.rules.sandbox, &view, target, now).ok()?;
        Some((target, own))
    });
    let guards = match &own {
        Some((target, own)) => guards(question, rule, event, (target, &own.items.all()), before, now),
        None => Vec::new(),
    };
    let plan = decided.plan.clone().or_else(|| {
        let (target, own) = own.as_ref()?;
        own.plan(&view, target, now).ok().map(|plan| plan.to_json())
    });
    let (reason, until) = reason(&decided.outcome);
    RuleExplanation {
        rule: rule.id.to_string(),
        place: rule.place.to_string(),
        owner: rule.owner.clone(),
        mode: rule.mode.min(question.settings.ceiling).to_string(),
        outcome: decided.outcome.name().to_owned(),
        because: decided.outcome.because().map(str::to_owned),
        reason,
        until,
        clauses,
        when: when(question, rule, &view, target.as_deref(), now),
        target,
        guards,
        plan,
    }
}

/// Asks the script, and each part of it.
fn when(
    question: &Question<'_>,
    rule: &Rule,
    view: &EventView<'_>,
    target: Option<&str>,
    now: Timestamp,
) -> Option<WhenExplanation> {
    let condition = rule.when.as_ref()?;
    let sandbox = &question.rules.sandbox;
    let extra = Extra { target, now, names: &[] };
    let (holds, error) = match condition.holds(sandbox, view, extra) {
        Ok(holds) => (Some(holds), None),
        Err(error) => (None, Some(condition.say(&error, sandbox, view, extra))),
    };
    let parts = condition.why(sandbox, view, extra).parts;
    Some(WhenExplanation { source: condition.source().to_owned(), holds, error, parts })
}

fn guards(
    question: &Question<'_>,
    rule: &Rule,
    event: &Event,
    acted_on: (&str, &[String]),
    history: &History,
    now: Timestamp,
) -> Vec<GuardExplanation> {
    let run = RunId::derive(&question.event.id, &rule.id, 0);
    let proposal = first_proposal(question, rule, event, acted_on, &run);
    let explained = guard::verdicts(&proposal, history, now).into_iter().map(|(guard, verdict)| {
        let (word, reason, until) = match verdict {
            Verdict::Pass => ("pass", None, None),
            Verdict::Object(Objection { reason, until, .. }) => ("object", Some(reason), until),
            Verdict::Hold(until) => ("hold", None, Some(until)),
            Verdict::Queue { behind } => ("queue", Some(behind), None),
            Verdict::Escalate => ("escalate", Some("the escalation steps are done instead".into()), None),
        };
        GuardExplanation { guard: guard.to_owned(), verdict: word.to_owned(), reason, until }
    });
    explained.collect()
}

/// Why an outcome is what it is, in words, and until when it would be so.
pub fn reason(outcome: &Outcome) -> (Option<String>, Option<Timestamp>) {
    match outcome {
        Outcome::NotMatched { clause, seen, .. } if clause == WHEN => (Some(format!("{clause}: {seen}")), None),
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
