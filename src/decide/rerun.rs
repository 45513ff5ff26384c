//! A run that a person has done again: a fresh decision, by the rules in force, on the newest state, under the guards.
//!
//! It is not the old run once more. The person stands in for the event: nothing is held, no threshold has to be
//! reached, and the slot that the old run holds is no objection. A rule in mode `approve` asks for approval again, since
//! what would be done now was not shown yet.

use std::sync::Arc;

use super::{Decision, Grounds, Mode, Plan, apart, conclude, condition, plain};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::guard::{Proposal, Stage};
use crate::journal::history::History;
use crate::journal::record::{Decided, Outcome, Reservation, RunId};
use crate::matcher;
use crate::plan;
use crate::rule::view::EventView;
use crate::rule::{Rule, RuleId};

/// How often one run may be done again. Beyond that nothing is learned from another try.
pub const RERUNS_MAX: u32 = 64;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Rerun<'a> {
    /// The id that the new run gets.
    pub run: &'a RunId,
    /// The rule.
    pub rule: &'a RuleId,
    /// What it is decided on; the event is that of the run that is repeated.
    pub grounds: Grounds<'a>,
}

/// Decides on it. Changes nothing: what the decision reserves is folded with its record.
///
/// # Errors
/// Why there is nothing to decide on, in words.
pub fn decide(rerun: &Rerun<'_>, history: &History, now: Timestamp) -> Result<Decision, String> {
    let rule =
        rerun.grounds.rules.get(rerun.rule).ok_or_else(|| format!("no rule {} is in force any more", rerun.rule))?;
    let mode = rule.mode.min(rerun.grounds.settings.ceiling);
    if matches!(mode, Mode::Off | Mode::DryRun) {
        return Err(format!("rule {} is in mode {mode} now", rule.id));
    }
    let event = rerun.grounds.event()?;
    let (decided, plan) = apart(|| decide_on(rerun, rule, mode, &event, history, now))?;
    Ok(Decision { rule: Arc::clone(rule), decided, plan, state: Some(event) })
}

fn decide_on(
    rerun: &Rerun<'_>,
    rule: &Arc<Rule>,
    mode: Mode,
    event: &Event,
    history: &History,
    now: Timestamp,
) -> (Decided, Option<Plan>) {
    let view = EventView::new(event);
    let target = match condition(rule, rerun.grounds.rules, &view, now, matcher::still_holds) {
        Ok(target) => target,
        Err(outcome) => return (plain(rule, outcome), None),
    };
    let own = match plan::own_steps(rule, &rerun.grounds.rules.sandbox, &view, &target, now) {
        Ok(own) => own,
        Err(error) => return (plain(rule, Outcome::PlanError { message: error.to_string() }), None),
    };
    let items = own.items.all();
    let proposal = Proposal {
        rule,
        event,
        target: &target,
        items: &items,
        run: rerun.run,
        dry: false,
        stage: Stage::Again,
        settings: &rerun.grounds.settings.guards,
    };
    let (mut decided, plan) = conclude(&proposal, &own, mode, &view, now, history, now);
    if let Some(reservation) = &mut decided.reservation {
        keep_apart(reservation, rule, history, now);
    }
    (decided, plan)
}

/// Where the run that is repeated still holds the slot, the new one takes a slot of its own beside it: if it never
/// starts, it must not give back what the old one took.
fn keep_apart(reservation: &mut Reservation, rule: &Rule, history: &History, now: Timestamp) {
    if history.slots.get(&rule.id, &reservation.slot, false, now).is_some() {
        reservation.slot = format!("{} again {}", reservation.slot, reservation.run);
    }
}
