//! Whether a run that a crash cut off may go on, and from which step.
//!
//! It may only where every step that it has not finished is `idempotent: true`, its rule still makes the same plan of
//! the same event, and nothing has closed or paused it since. In every other case it stays in doubt, and ends as
//! `interrupted`.

use std::sync::Arc;

use serde_json::Value;

use super::turn::Start;
use super::{Grounds, Mode, digest};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::journal::history::{History, Run};
use crate::journal::record::{Phase, Record, StepEnd, StepResult};
use crate::journal::store::Stored;
use crate::plan::{self, EachItems, Plan};
use crate::rule::Rule;
use crate::rule::view::EventView;

/// How often one run may go on after a crash. If the daemon dies a further time, the run may be why.
pub const RESUMES_MAX: u32 = 2;

/// A run that was cut off.
#[derive(Debug, Clone, Copy)]
pub struct CutOff<'a> {
    /// What the history knows of it.
    pub run: &'a Run,
    /// What the journal holds of it, in order.
    pub records: &'a [Stored],
    /// What it is decided on.
    pub grounds: Grounds<'a>,
}

/// How a run goes on.
#[derive(Debug)]
pub struct Resumption {
    /// What it does, all its steps included.
    pub start: Start,
    /// The first step that is done again, from 0.
    pub from_step: usize,
    /// What the steps before led to, in order.
    pub finished: Vec<StepResult>,
    /// How often that first step was tried already.
    pub tries: u32,
}

/// Whether and where a run that was cut off goes on. `on_record` gives a plan as the journal would hold it, which is
/// without secrets.
///
/// # Errors
/// Why it does not, in words.
pub fn resume(
    cut_off: &CutOff<'_>,
    on_record: &dyn Fn(&Plan) -> Value,
    history: &History,
    now: Timestamp,
) -> Result<Resumption, String> {
    let CutOff { run, records, grounds } = *cut_off;
    let Grounds { rules, settings, .. } = grounds;
    if run.resumes >= RESUMES_MAX {
        return Err(format!("it went on {RESUMES_MAX} times already, and the daemon died each time"));
    }
    let rule = rules.get(&run.rule).ok_or("its rule is no longer in force")?;
    match rule.mode.min(settings.ceiling) {
        Mode::Auto => {}
        Mode::Approve if run.approved => {}
        mode => return Err(format!("its rule is in mode {mode} now")),
    }
    if let Some(pause) = run.pause(&history.pauses, now) {
        return Err(pause.in_words());
    }
    let start = same_plan(cut_off, on_record, rule, grounds.event()?)?;
    let finished = finished(records, &start.plan)?;
    let from_step = finished.len();
    let tries = records.iter().filter_map(|stored| match &stored.record {
        Record::StepStarted { phase: Phase::Steps, step, each: None, attempt, .. } if *step == from_step => {
            Some(*attempt)
        }
        _ => None,
    });
    let tries = tries.max().unwrap_or(0);
    let unfinished = start.plan.steps.get(from_step..).unwrap_or_default();
    let follow_up = rule.on_success.iter().chain(&rule.on_failure);
    let followed = records
        .iter()
        .any(|stored| matches!(stored.record, Record::StepStarted { phase: Phase::OnSuccess | Phase::OnFailure, .. }));
    if let Some(step) = unfinished.iter().map(|step| &step.spec).find(|step| !step.may_be_repeated()) {
        let name = step.name.as_deref().map_or_else(|| "a step".to_owned(), |name| format!("step `{name}`"));
        return Err(format!("{name} is unfinished and not `idempotent`"));
    }
    if followed && follow_up.into_iter().any(|step| !step.may_be_repeated()) {
        return Err("it was telling of its end, and that is not `idempotent`".into());
    }
    Ok(Resumption { start, from_step, finished, tries })
}

/// The plan as it was intended, made again: from the state that led to the run, or from the newest one.
fn same_plan(
    cut_off: &CutOff<'_>,
    on_record: &dyn Fn(&Plan) -> Value,
    rule: &Arc<Rule>,
    now: Arc<Event>,
) -> Result<Start, String> {
    let CutOff { run, records, grounds: Grounds { trigger, rules, .. } } = *cut_off;
    let intended = records.iter().find_map(|stored| match &stored.record {
        Record::RunIntended { plan, .. } => Some((digest(plan), stored.at)),
        _ => None,
    });
    let (intended, intended_at) = intended.ok_or("its intent is not kept any more")?;
    let then = rule.guards.attempts.as_ref().map(|attempts| attempts.then.as_slice());
    for event in [Arc::clone(trigger), now] {
        let view = EventView::new(&event);
        // What a person approved was rendered as of when they were shown it, all else as of when it began.
        for at in [intended_at, run.decided_at] {
            let own = plan::own_steps(rule, &rules.sandbox, &view, &run.target, at);
            let own = own.and_then(|own| own.plan(&view, &run.target, at)).ok();
            let escalated = then.and_then(|then| plan::steps(then, &EachItems::default(), &view, &run.target, at).ok());
            for plan in [own, escalated].into_iter().flatten() {
                if digest(&on_record(&plan)) == intended {
                    return Ok(Start { rule: Arc::clone(rule), plan, event: Arc::clone(&event) });
                }
            }
        }
    }
    Err("its rule or its event is not what it was when the run began".into())
}

/// The results of the steps that are done with: those that passed or were skipped, in a row from the first, and those
/// that may fail and after which the run went on.
fn finished(records: &[Stored], plan: &Plan) -> Result<Vec<StepResult>, String> {
    let mut finished: Vec<StepResult> = Vec::new();
    let results = |wanted: usize| {
        records.iter().filter_map(move |stored| match &stored.record {
            Record::StepEnded { phase: Phase::Steps, step, each: None, result, .. } if *step == wanted => Some(result),
            _ => None,
        })
    };
    let was_begun = |wanted: usize| {
        records.iter().any(|stored| match &stored.record {
            Record::StepStarted { phase: Phase::Steps, step, .. }
            | Record::StepEnded { phase: Phase::Steps, step, .. } => *step == wanted,
            _ => false,
        })
    };
    while let Some(last) = results(finished.len()).next_back() {
        let may_fail = plan.steps.get(finished.len()).is_some_and(|step| step.spec.continue_on_error);
        let is_done =
            matches!(last.end, StepEnd::Succeeded | StepEnd::Skipped) || (may_fail && was_begun(finished.len() + 1));
        if !is_done {
            break;
        }
        finished.push(last.clone());
    }
    let beyond = records.iter().any(|stored| {
        matches!(&stored.record, Record::StepStarted { phase: Phase::Steps, step, .. } if *step > finished.len())
    });
    // What is written later without waiting can be lost in a crash, but never from the middle.
    if beyond { Err("what it has done is not wholly on record".into()) } else { Ok(finished) }
}
