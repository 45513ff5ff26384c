//! The turn of a run that waited: everything is decided again, on the newest state, before anything is started.

mod walk;

pub use walk::{Next, Past, Walk};

use std::collections::HashSet;
use std::sync::Arc;

use super::{Grounds, Settings, WHEN, apart, condition, digest, planned};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::guard::{self, ENGINE_LOCK, Objection, Proposal, Stage};
use crate::journal::history::{History, Run, RunState, Waits};
use crate::journal::record::{Outcome, Record, RunEnd, RunId};
use crate::matcher;
use crate::plan::{self, Plan};
use crate::rule::view::EventView;
use crate::rule::{Mode, Rule, RuleSet};

/// Whether the turn of a waiting run has come, told without looking at its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Its hold is not over, nobody has approved it, or the engine has no room.
    NotYet,
    /// Others hold the lock that it waits for.
    Blocked,
    /// It waited too long.
    Expired,
    /// It has to be decided again; if its rule is no longer in force, so that it ends.
    Ready,
}

/// Whether the turn of `run` has come. `blocked` are locks for which an earlier run waits.
pub fn readiness(
    run: &Run,
    rules: &RuleSet,
    settings: &Settings,
    history: &History,
    blocked: &HashSet<String>,
    now: Timestamp,
) -> Readiness {
    let RunState::Waiting(waits) = run.state else { return Readiness::NotYet };
    if now >= run.expires {
        return Readiness::Expired;
    }
    // Its next look ends it, whatever it waits for.
    let Some(rule) = rules.get(&run.rule) else { return Readiness::Ready };
    match waits {
        Waits::Approval => return Readiness::NotYet,
        Waits::Hold { until } if now < until => return Readiness::NotYet,
        Waits::Hold { .. } | Waits::Queue => {}
    }
    if run.pause(&history.pauses, now).is_some() || history.runs.holders(ENGINE_LOCK) >= settings.guards.runs_max {
        return Readiness::NotYet;
    }
    let max = rule.guards.concurrency.max;
    if run.gates().any(|gate| blocked.contains(gate) || history.runs.holders(gate) >= max) {
        return Readiness::Blocked;
    }
    Readiness::Ready
}

/// What is decided when the turn has come.
#[derive(Debug)]
pub enum Turn {
    /// It acts.
    Start(Box<Start>),
    /// It waits on.
    Wait,
    /// It never acts.
    End {
        /// How it ends.
        end: RunEnd,
        /// Why, in words.
        reason: String,
    },
}

/// What a run that acts needs.
#[derive(Debug)]
pub struct Start {
    /// Its rule, as it is now.
    pub rule: Arc<Rule>,
    /// What it will do.
    pub plan: Plan,
    /// The state that it acts on.
    pub event: Arc<Event>,
}

impl Start {
    /// The record that has to be durable before anything of the run is started.
    pub fn intent(&self, run: &RunId, generation: u64) -> Record {
        Record::RunIntended {
            run: run.clone(),
            rule: self.rule.id.clone(),
            event: self.event.id.clone(),
            generation,
            target: self.plan.target.clone(),
            plan: self.plan.to_json(),
        }
    }
}

/// The record of the end of a run that never started.
pub fn unstarted(id: &RunId, run: &Run, end: RunEnd, reason: String, keeps_slot: bool, now: Timestamp) -> Record {
    Record::RunEnded {
        run: id.clone(),
        rule: run.rule.clone(),
        target: run.target.clone(),
        end,
        acted: false,
        keeps_slot,
        error: Some(reason),
        duration_ms: u64::try_from(now.since(run.decided_at).as_millis()).unwrap_or(u64::MAX),
    }
}

/// A run whose turn has come.
#[derive(Debug, Clone, Copy)]
pub struct Turning<'a> {
    /// Its id.
    pub id: &'a RunId,
    /// What the history knows of it.
    pub run: &'a Run,
    /// What it is decided on.
    pub grounds: Grounds<'a>,
    /// Locks for which an earlier run waits.
    pub blocked: &'a HashSet<String>,
}

/// Decides again on a run whose turn has come.
pub fn turn(turning: &Turning<'_>, history: &History, now: Timestamp) -> Turn {
    // What panics never acts.
    match apart(|| again(turning, history, now)).flatten() {
        Ok(turn) => turn,
        Err(reason) => Turn::End { end: RunEnd::Cancelled, reason },
    }
}

fn again(turning: &Turning<'_>, history: &History, now: Timestamp) -> Result<Turn, String> {
    let Turning { id, run, grounds, blocked } = *turning;
    let Grounds { rules, settings, .. } = grounds;
    let rule = rules.get(&run.rule).ok_or("its rule is no longer in force")?;
    match rule.mode.min(settings.ceiling) {
        Mode::Auto => {}
        Mode::Approve if run.approved => {}
        mode => return Err(format!("its rule is in mode {mode} now")),
    }
    let event = grounds.event()?;
    let view = EventView::new(&event);
    let target = condition(rule, rules, &view, now, matcher::still_holds).map_err(|outcome| no_longer(&outcome))?;
    if target != run.target {
        return Err(format!("its target changed from {} to {target}", run.target));
    }
    // What a person allowed is the plan that they were shown, so it is rendered as of then, and must come out the same.
    let shown = run.shown.as_ref().filter(|_| run.approved);
    let rendered_at = if shown.is_some() { run.decided_at } else { now };
    let own = plan::own_steps(rule, &rules.sandbox, &view, &target, rendered_at).map_err(|error| error.to_string())?;
    let items = own.items.all();
    let stage = Stage::Turn { reserved_at: run.decided_at, blocked, again: run.again };
    let proposal = Proposal {
        rule,
        event: &event,
        target: &target,
        items: &items,
        run: id,
        dry: false,
        stage,
        settings: &settings.guards,
    };
    let consent = match guard::ask(&proposal, history, now) {
        Ok(consent) => consent,
        Err(Objection { guard, reason, .. }) => return Err(format!("{guard} objects: {reason}")),
    };
    if consent.queued.is_some() {
        return Ok(Turn::Wait);
    }
    // Its locks and counts are for the items of then, and an escalation has none.
    if !consent.escalate && items != run.items {
        return Err(format!("its list changed from [{}] to [{}]", run.items.join(", "), items.join(", ")));
    }
    let plan = planned(rule, &own, &consent, &view, &target, rendered_at).map_err(|error| error.to_string())?;
    if shown.is_some_and(|shown| *shown != digest(&plan.to_json())) {
        return Err("what it would do is no longer what was approved: its rule or its event changed since".into());
    }
    drop(view);
    Ok(Turn::Start(Box::new(Start { rule: Arc::clone(rule), plan, event })))
}

fn no_longer(outcome: &Outcome) -> String {
    match outcome {
        Outcome::NotMatched { clause, seen, .. } if clause == WHEN => format!("it no longer matches: {clause}: {seen}"),
        Outcome::NotMatched { clause, expected, seen } => {
            format!("it no longer matches: {clause} expects {expected} and sees {seen}")
        }
        Outcome::ConditionError { message } | Outcome::PlanError { message } => message.clone(),
        other => other.name().to_owned(),
    }
}

/// The waiting runs that `event` calls off, as their rules' `hold.cancel_on` asks. Also a late event does: that it came
/// is what counts.
pub fn called_off(event: &Event, history: &History) -> Vec<RunId> {
    history.runs.cancelled_by(&event.entity, event.incident_id.as_ref(), &event.event_type)
}
