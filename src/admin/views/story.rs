//! A run with everything it did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RunView, WriteBackView};
use crate::action::Tail;
use crate::clock::Timestamp;
use crate::journal::record::{EachPlace, Phase, Record, StepResult};
use crate::journal::store::Stored;
use crate::runner::StepNow;

/// A try of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// Which part of the rule.
    pub phase: Phase,
    /// Which step of it, from 0.
    pub step: usize,
    /// For which item, and which step of it, inside an `each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<EachPlace>,
    /// Its name, or what it does.
    pub name: String,
    /// Which try, from 1.
    pub attempt: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// What it led to; `None` while it runs.
    pub result: Option<StepResult>,
    /// How it goes while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<NowView>,
}

/// How a step goes that runs now. None of it is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NowView {
    /// For how long it has run, in milliseconds.
    pub for_ms: u64,
    /// The end of its standard output so far, without secrets. Empty where it is no process.
    pub stdout: String,
    /// The end of its standard error so far.
    pub stderr: String,
    /// How many bytes it has printed so far on both.
    pub printed_bytes: u64,
}

impl From<StepNow> for NowView {
    fn from(now: StepNow) -> Self {
        let Tail { stdout, stderr, printed_bytes } = now.tail.unwrap_or_default();
        Self { for_ms: now.for_ms, stdout, stderr, printed_bytes }
    }
}

/// A run with everything it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStory {
    /// The run.
    pub run: RunView,
    /// What it was to do.
    pub plan: Option<serde_json::Value>,
    /// The rule set by which it was decided last.
    pub generation: Option<u64>,
    /// What people said to it, in order.
    #[serde(default)]
    pub said: Vec<SaidView>,
    /// Its steps in order.
    pub steps: Vec<StepView>,
    /// What it wrote back to Flashduty, or still has to.
    #[serde(default)]
    pub write_backs: Vec<WriteBackView>,
}

/// What a person said to a run, or what else befell it between its intent and its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SaidView {
    /// When.
    pub at: Timestamp,
    /// What, in words: `approved by root: looks right`.
    pub what: String,
}

impl StepView {
    fn begun(at: Timestamp, phase: Phase, step: usize, each: Option<&EachPlace>, name: &str, attempt: u32) -> Self {
        let (each, name) = (each.cloned(), name.to_owned());
        Self { phase, step, each, name, attempt, started_at: at, result: None, now: None }
    }
}

impl RunStory {
    /// The story that the records of one run tell; `live` is what the engine knows of it.
    pub fn of(records: &[Stored], live: Option<RunView>) -> Option<Self> {
        let mut story = Self {
            run: live.clone().or_else(|| last_state(records))?,
            plan: None,
            generation: None,
            said: Vec::new(),
            steps: Vec::new(),
            write_backs: WriteBackView::of(records),
        };
        for stored in records {
            match &stored.record {
                Record::RunIntended { event, plan, generation, .. } => {
                    story.run.event = Some(event.to_string());
                    story.plan = Some(plan.clone());
                    story.generation = Some(*generation);
                }
                Record::Approved { by, reason, .. } => story.say(stored.at, "approved", by, reason.as_deref()),
                Record::Rerun { of, by, reason, observed, generation, decided, .. } => {
                    story.run.event = Some(observed.event.to_string());
                    story.generation = Some(*generation);
                    story.plan.clone_from(&decided.plan);
                    story.say(stored.at, &format!("run {of} done again"), by, reason.as_deref());
                }
                Record::RunResumed { from_step, .. } => {
                    let what = format!("went on from step {} after the daemon died", from_step + 1);
                    story.said.push(SaidView { at: stored.at, what });
                }
                Record::StepStarted { phase, step, each, name, attempt, .. } => {
                    story.steps.push(StepView::begun(stored.at, *phase, *step, each.as_ref(), name, *attempt));
                }
                Record::StepEnded { phase, step, each, name, attempt, result, .. } => {
                    let started = story.steps.iter_mut().rev().find(|view| {
                        (view.phase, view.step, &view.each, view.attempt) == (*phase, *step, each, *attempt)
                            && view.result.is_none()
                    });
                    match started {
                        Some(view) => view.result = Some(result.clone()),
                        // A skipped step ends without having started.
                        None => story.steps.push(StepView {
                            result: Some(result.clone()),
                            ..StepView::begun(stored.at, *phase, *step, each.as_ref(), name, *attempt)
                        }),
                    }
                }
                _ => {}
            }
        }
        Some(story)
    }

    /// Adds how those of its steps go that run now. One that began since the records were read is left out.
    pub fn add_now(&mut self, steps: Vec<StepNow>) {
        for now in steps {
            let it = self.steps.iter_mut().rev().find(|view| {
                (view.phase, view.step, &view.each, view.attempt) == (now.phase, now.step, &now.each, now.attempt)
                    && view.result.is_none()
            });
            if let Some(view) = it {
                view.now = Some(now.into());
            }
        }
    }

    fn say(&mut self, at: Timestamp, what: &str, by: &str, reason: Option<&str>) {
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        self.said.push(SaidView { at, what: format!("{what} by {by}{reason}") });
    }
}

/// The state that the records of a run leave it in.
fn last_state(records: &[Stored]) -> Option<RunView> {
    records.iter().rev().find_map(RunView::of_ended).or_else(|| {
        records.iter().find_map(|stored| match &stored.record {
            Record::RunIntended { run, rule, target, event, .. } => Some(RunView {
                run: run.to_string(),
                rule: rule.to_string(),
                target: target.clone(),
                event: Some(event.to_string()),
                state: "running".into(),
                since: stored.at,
                error: None,
                duration_ms: None,
                until: None,
                seq: None,
            }),
            _ => None,
        })
    })
}
