//! The core: what becomes of each rule for one event.
//!
//! Given the event, the rules, the history and the time, [`decide`] returns decisions with reasons. It does no I/O,
//! cannot block and cannot fail, and it knows no runtime: `serve`, `test`, `explain` and `backtest` all call it.
//! What a decision reserves is folded into the history before the next rule is asked, so two rules of one event
//! cannot take the same place.

pub mod explain;
mod grounds;
pub mod rerun;
pub mod resume;
pub mod turn;

pub use grounds::Grounds;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::event::Event;
use crate::guard::{self, Consent, GuardSettings, Proposal, Stage};
use crate::journal::history::{History, Ordering};
use crate::journal::record::{Decided, Observed, Outcome, Reservation, RunId};
use crate::matcher;
use crate::plan::{self, EachItems, OwnSteps, Plan, PlanError};
use crate::rule::sandbox::Extra;
use crate::rule::view::EventView;
use crate::rule::{DedupeFor, LatePolicy, Mode, Rule, RuleSet};

/// The clause of a rule that is a script, as reasons name it.
const WHEN: &str = "when";

/// What of the config the core needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ceiling for every rule: the lower of the config's mode and the command line's.
    pub ceiling: Mode,
    /// What the guards ask.
    pub guards: GuardSettings,
}

/// Which rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those that the index finds.
    Concerned,
    /// Every rule, so that each can say why it did not hold.
    Every,
}

/// What is decided on.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The event.
    pub event: &'a Event,
    /// Its number in the journal.
    pub seq: u64,
    /// The newest event of its entity, if the event is late and that one is known and not closed.
    pub newest: Option<&'a Event>,
    /// The rules in force.
    pub rules: &'a RuleSet,
    /// The config's part.
    pub settings: &'a Settings,
    /// Which rules are asked.
    pub scope: Scope,
}

/// The decision on one rule.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The decision as it is recorded.
    pub decided: Decided,
    /// What would be done, where it came that far.
    pub plan: Option<Plan>,
    /// The state that was decided on, where it is not the event itself (`late: newest`).
    pub state: Option<Arc<Event>>,
}

/// What became of an event.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    /// The newest time seen, if the event is late.
    pub late_since: Option<Timestamp>,
    /// One for each rule that was asked, in the order of their ids.
    pub each: Vec<Decision>,
    /// Why no rule could be asked, if evaluating the event panicked: it is set aside then.
    pub set_aside: Option<String>,
}

/// Decides on an event, and folds what that reserves into `history`.
pub fn decide(question: &Question<'_>, history: &mut History, now: Timestamp) -> Decisions {
    let observed = Observed::of(question.event, question.seq);
    let late_since = match history.observe(&observed) {
        Ordering::Current => None,
        Ordering::Late { newest } => Some(newest),
    };
    // A late event stands for the newest state, for the rules that want that.
    let state = late_since.and(question.newest).map(|newest| Arc::new(question.event.with_state_of(newest)));
    let seen = state.as_deref().unwrap_or(question.event);
    let view = EventView::new(seen);
    let mut each = Vec::new();
    // It only reads, so it can be tried a second time; what panics twice is set aside.
    let asked = match twice(|| asked(question, seen)) {
        Ok(asked) => asked,
        Err(message) => return Decisions { late_since, each, set_aside: Some(message) },
    };
    for rule in asked {
        let late = late_since.filter(|_| rule.late == LatePolicy::Ignore || state.is_none());
        let (decided, plan) = match late {
            Some(newest) if question.scope == Scope::Every => (plain(rule, Outcome::Late { newest }), None),
            Some(_) => continue,
            None => decide_rule_apart(question, rule, &view, history, now),
        };
        history.take(&observed, now, &decided);
        each.push(Decision { rule: Arc::clone(rule), decided, plan, state: state.clone() });
    }
    Decisions { late_since, each, set_aside: None }
}

/// The number in the journal of the newest event of a late event's entity, if some rule wants to be asked about that
/// state instead and it is not closed.
pub fn newest_if_late(event: &Event, history: &History, rules: &RuleSet) -> Option<u64> {
    let newest = history.newest.get(&event.entity)?;
    (newest.is_after(event.time) && !newest.closed && rules.any_late_newest).then_some(newest.seq)
}

fn asked<'a>(question: &Question<'a>, seen: &Event) -> Vec<&'a Arc<Rule>> {
    let rules = question.rules;
    let is_asked = |rule: &&Arc<Rule>| rule.mode.min(question.settings.ceiling) != Mode::Off;
    match question.scope {
        Scope::Every => rules.rules.iter().filter(is_asked).collect(),
        Scope::Concerned => {
            let mut places = Vec::new();
            rules.index.candidates(seen, &mut places);
            places.iter().filter_map(|place| rules.rules.get(*place as usize)).filter(is_asked).collect()
        }
    }
}

fn plain(rule: &Rule, outcome: Outcome) -> Decided {
    Decided { rule: rule.id.clone(), outcome, reservation: None, tally: None, plan: None }
}

/// [`decide_rule`], with a panic of one rule kept from the others: it is a defect of ours, and counts as a condition
/// that could not be evaluated. The rule only reads, so nothing is left half done.
fn decide_rule_apart(
    question: &Question<'_>,
    rule: &Arc<Rule>,
    view: &EventView<'_>,
    history: &History,
    now: Timestamp,
) -> (Decided, Option<Plan>) {
    apart(|| decide_rule(question, rule, view, history, now)).unwrap_or_else(|message| {
        tracing::error!(event = %question.event.id, rule = %rule.id, message, "a rule was set aside for an event");
        (plain(rule, Outcome::ConditionError { message }), None)
    })
}

/// Evaluates something that only reads, a second time where it panicked.
fn twice<T>(evaluate: impl Fn() -> T) -> Result<T, String> {
    apart(&evaluate).or_else(|_| apart(&evaluate))
}

/// Evaluates something that only reads; the error says that it panicked, and why.
fn apart<T>(evaluate: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(evaluate)).map_err(|panic| {
        let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => text,
            (_, Some(text)) => text.as_str(),
            _ => "no message",
        };
        format!("its evaluation panicked, which is a defect of Stanch: {text}")
    })
}

fn decide_rule(
    question: &Question<'_>,
    rule: &Arc<Rule>,
    view: &EventView<'_>,
    history: &History,
    now: Timestamp,
) -> (Decided, Option<Plan>) {
    let event = view.event();
    let target = match condition(rule, question.rules, view, now, matcher::holds) {
        Ok(target) => target,
        Err(outcome) => return (plain(rule, outcome), None),
    };
    let mode = rule.mode.min(question.settings.ceiling);
    let run = RunId::derive(&question.event.id, &rule.id, 0);
    let own = match plan::own_steps(rule, &question.rules.sandbox, view, &target, now) {
        Ok(own) => own,
        Err(error) => return (plain(rule, Outcome::PlanError { message: error.to_string() }), None),
    };
    let items = own.items.all();
    let proposal = first_proposal(question, rule, event, (&target, &items), &run);
    let (decided, plan) = conclude(&proposal, &own, mode, view, guard::waits_since(event), history, now);
    (Decided { tally: guard::tally(rule, event, &target, now), ..decided }, plan)
}

/// What becomes of a proposal whose rule holds, and which would do its `own` steps: the guards are asked, the plan is
/// made. It waits at most so long `from` then on.
fn conclude(
    proposal: &Proposal<'_>,
    own: &OwnSteps<'_>,
    mode: Mode,
    view: &EventView<'_>,
    from: Timestamp,
    history: &History,
    now: Timestamp,
) -> (Decided, Option<Plan>) {
    let rule = proposal.rule;
    let consent = match guard::ask(proposal, history, now) {
        Ok(consent) => consent,
        Err(guard::Objection { guard, reason, until }) => {
            return (plain(rule, Outcome::Suppressed { guard, reason, until }), None);
        }
    };
    let plan = match planned(rule, own, &consent, view, proposal.target, now) {
        Ok(plan) => plan,
        Err(error) => return (plain(rule, Outcome::PlanError { message: error.to_string() }), None),
    };
    let expires = guard::expires(rule, from, consent.hold);
    let outcome = match (mode, consent.hold) {
        (Mode::Off | Mode::DryRun, _) => Outcome::DryRun,
        (Mode::Approve, _) => Outcome::AwaitingApproval { until: expires },
        (Mode::Auto, Some(until)) => Outcome::Held { until },
        (Mode::Auto, None) => Outcome::Run { queued: consent.queued.clone() },
    };
    let shown = plan.to_json();
    let reservation = Reservation {
        shown: (mode == Mode::Approve).then(|| digest(&shown)),
        ..reserve(proposal, &consent, now, expires)
    };
    let decided =
        Decided { rule: rule.id.clone(), outcome, reservation: Some(reservation), tally: None, plan: Some(shown) };
    (decided, Some(plan))
}

/// The digest of a plan as it is shown, by which what a person approved is told from anything else.
fn digest(plan: &serde_json::Value) -> String {
    blake3::hash(plan.to_string().as_bytes()).to_hex().to_string()
}

/// The steps that the guards allow, rendered: the rule's own, or those it escalates to, which go over no list.
fn planned(
    rule: &Rule,
    own: &OwnSteps<'_>,
    consent: &Consent,
    view: &EventView<'_>,
    target: &str,
    now: Timestamp,
) -> Result<Plan, PlanError> {
    match &rule.guards.attempts {
        Some(attempts) if consent.escalate => plan::steps(&attempts.then, &EachItems::default(), view, target, now),
        _ => own.plan(view, target, now),
    }
}

/// The run that a rule proposes when its event is taken up.
fn first_proposal<'a>(
    question: &Question<'a>,
    rule: &'a Rule,
    event: &'a Event,
    (target, items): (&'a str, &'a [String]),
    run: &'a RunId,
) -> Proposal<'a> {
    let dry = rule.mode.min(question.settings.ceiling) == Mode::DryRun;
    Proposal { rule, event, target, items, run, dry, stage: Stage::First, settings: &question.settings.guards }
}

/// How a `match` block is held against an event.
type Holds = fn(&crate::rule::matching::Match, &Event) -> Result<(), matcher::Clause>;

/// Whether a rule's `match` and `when` hold; if so, what it would act upon.
fn condition(
    rule: &Rule,
    rules: &RuleSet,
    view: &EventView<'_>,
    now: Timestamp,
    holds: Holds,
) -> Result<String, Outcome> {
    if let Err(clause) = holds(&rule.matching, view.event()) {
        return Err(Outcome::NotMatched { clause: clause.name, expected: clause.expected, seen: clause.seen });
    }
    // `when` may ask for the target; an error in rendering it counts only if the condition holds without it.
    let target = plan::target(rule, view, now);
    if let Some(when) = &rule.when {
        let extra = Extra { target: target.as_deref().ok(), now, names: &[] };
        match when.holds(&rules.sandbox, view, extra) {
            Ok(true) => {}
            Ok(false) => {
                let seen = when.why(&rules.sandbox, view, extra).to_string();
                let expected = "the condition to be true".into();
                return Err(Outcome::NotMatched { clause: WHEN.into(), expected, seen });
            }
            Err(error) => {
                let message = when.say(&error, &rules.sandbox, view, extra);
                return Err(Outcome::ConditionError { message });
            }
        }
    }
    target.map_err(|error| Outcome::PlanError { message: error.to_string() })
}

fn reserve(proposal: &Proposal<'_>, consent: &Consent, now: Timestamp, expires: Timestamp) -> Reservation {
    let Proposal { rule, event, target, run, settings, .. } = *proposal;
    // An escalation does other steps, which go over no list; but it is the answer to what was tried on those items.
    let acting = if consent.escalate { Proposal { items: &[], ..*proposal } } else { *proposal };
    let mut gates = guard::gates(&acting).into_iter();
    let guards = &rule.guards;
    let slot_until = match rule.dedupe.lasts {
        DedupeFor::Incident => None,
        DedupeFor::Time(lasts) => Some(now.plus(lasts)),
    };
    Reservation {
        run: run.clone(),
        // The guards were asked before, and would have objected if the key could not be made.
        slot: guard::dedupe_key(&rule.dedupe.by, event, target).unwrap_or_default(),
        slot_until,
        target: target.to_owned(),
        keys: guard::rule_keys(proposal, consent),
        budget_keys: guard::budget_keys(proposal),
        locks: guard::locks(&acting),
        gate: gates.next().unwrap_or_default(),
        more_gates: gates.collect(),
        items: acting.items.to_vec(),
        counted_until: now.plus(remembered(rule, settings)),
        expires,
        held_until: consent.hold,
        cancel_on: guards.hold.as_ref().map(|hold| hold.cancel_on.clone()).unwrap_or_default(),
        channel_name: event.channel_name().map(str::to_owned),
        shown: None,
    }
}

/// The longest window for which any guard of the rule, or any budget, may ask for a run.
fn remembered(rule: &Rule, settings: &GuardSettings) -> Duration {
    let guards = &rule.guards;
    let own = [
        Some(guards.rate.per),
        guards.cooldown,
        guards.blast_radius.as_ref().map(|radius| radius.per),
        guards.attempts.as_ref().map(|attempts| attempts.per),
    ];
    let shared = settings
        .budgets
        .iter()
        .flat_map(|budget| [budget.rate.as_ref().map(|r| r.per), budget.blast_radius.as_ref().map(|r| r.per)]);
    own.into_iter().chain(shared).flatten().max().unwrap_or_default()
}

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod world;
