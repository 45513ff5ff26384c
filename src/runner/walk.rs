//! One run, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::now::Now;
use super::results::Results;
use super::{Intent, Shared, name};
use crate::action::{Stop, StopReason, ended};
use crate::clock::Stopwatch;
use crate::journal::record::{Phase, RunEnd, StepEnd, StepResult};
use crate::journal::{RecordSink, Refused};
use crate::plan::{Call, PlannedStep};
use crate::report::comment::Did;
use crate::rule::sandbox::{Condition, Extra};
use crate::rule::step::Step;
use crate::rule::view::EventView;

/// How a run ended, before that is recorded.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) end: RunEnd,
    pub(super) error: Option<String>,
    pub(super) acted: bool,
    /// Whether a guard objected at the last moment, so that the occasion is not used up.
    pub(super) objected: bool,
    /// The steps that were tried.
    pub(super) did: Vec<Did>,
}

impl Walked {
    /// A run that failed in a way that is a defect of ours.
    pub(super) fn failed_inside() -> Self {
        let error = Some("internal error".into());
        Self { end: RunEnd::Failed, error, acted: true, objected: false, did: Vec::new() }
    }

    /// A run that does nothing now. One that goes on after a crash has `acted` before, and so used up its occasion.
    fn before_acting(ended: Ended, objected: bool, acted: bool) -> Self {
        Self { end: ended.end, error: Some(ended.error), acted, objected: objected && !acted, did: Vec::new() }
    }
}

/// What ended the walk early.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) end: RunEnd,
    pub(super) error: String,
}

impl From<StopReason> for Ended {
    fn from(reason: StopReason) -> Self {
        let end = match reason {
            StopReason::Cancelled(_) => RunEnd::Cancelled,
            StopReason::ShuttingDown => RunEnd::Interrupted,
        };
        Self { end, error: reason.to_string() }
    }
}

/// A time within which all tries have to end, as `verify` has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    watch: Stopwatch,
    within: Duration,
}

impl Window {
    pub(super) fn of(within: Duration) -> Self {
        Self { watch: Stopwatch::start(), within }
    }

    pub(super) fn left(&self) -> Duration {
        self.within.saturating_sub(self.watch.elapsed())
    }
}

/// Which step is meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) phase: Phase,
    pub(super) index: usize,
    pub(super) step: &'a Step,
    pub(super) window: Option<Window>,
}

/// The item of an `each` that a walk is for.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The place of the `each` among the steps of the rule.
    pub(super) step: usize,
    /// What its steps call the item.
    pub(super) name: String,
    /// The item.
    pub(super) value: String,
}

/// A run on its way, or one item of it.
pub(super) struct Walk<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) intent: Arc<Intent>,
    pub(super) stop: Stop,
    /// What it does at this moment, for whoever looks.
    pub(super) now: Arc<Now>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) item: Option<Item>,
    results: Results,
    /// `run` for the steps that follow; unknown before.
    pub(super) outcome: Option<Value>,
    /// The tries so far; those of a `verify` that is repeated count on.
    pub(super) tries: BTreeMap<(u8, usize), u32>,
    pub(super) acted: bool,
    pub(super) told_first_action: bool,
    pub(super) did: Vec<Did>,
}

impl<S: RecordSink> Walk<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, intent: Arc<Intent>, stop: Stop, now: Arc<Now>) -> Self {
        let environment = shared.planner.environment(&intent);
        let (mut results, mut tries) = (Results::default(), BTreeMap::new());
        if let Some(resumed) = &intent.resumed {
            for (planned, result) in intent.plan.steps.iter().zip(&resumed.finished) {
                results.note(planned.spec.name.as_deref(), result);
            }
            tries.insert((Phase::Steps as u8, resumed.finished.len()), resumed.tries);
        }
        let acted = intent.resumed.is_some();
        Self {
            shared,
            intent,
            stop,
            now,
            environment,
            item: None,
            results,
            outcome: None,
            tries,
            acted,
            told_first_action: false,
            did: Vec::new(),
        }
    }

    /// A walk for one item, which knows what this one knows and shares nothing further with it.
    pub(super) fn branch(&self, item: Item) -> Self {
        let mut environment = self.environment.clone();
        environment.insert("STANCH_ITEM".into(), item.value.clone());
        Self {
            shared: Arc::clone(&self.shared),
            intent: Arc::clone(&self.intent),
            stop: self.stop.clone(),
            now: Arc::clone(&self.now),
            environment,
            item: Some(item),
            results: self.results.clone(),
            outcome: None,
            tries: BTreeMap::new(),
            acted: self.acted,
            told_first_action: true,
            did: Vec::new(),
        }
    }

    /// Walks to the end. An error means that the journal refused a record and nothing further was done.
    pub(super) async fn walk(mut self) -> Result<Walked, Refused> {
        if let Some(reason) = self.recheck().await {
            return Ok(match self.stop.reason() {
                Some(stop) => Walked::before_acting(stop.into(), false, self.acted),
                None => Walked::before_acting(Ended { end: RunEnd::Cancelled, error: reason }, true, self.acted),
            });
        }
        let intent = Arc::clone(&self.intent);
        let finished = intent.resumed.as_ref().map_or(0, |resumed| resumed.finished.len());
        let ended = match self.steps(&intent.plan.steps, finished, Phase::Steps, None).await? {
            Some(ended) => Some(ended),
            None => self.verify().await?,
        };
        let (end, error) = match ended {
            None => (RunEnd::Succeeded, None),
            Some(ended) => (ended.end, Some(ended.error)),
        };
        self.follow_up(end, error.as_deref()).await?;
        Ok(Walked { end, error, acted: self.acted, objected: false, did: self.did })
    }

    /// Does steps in order, from the place `from` on; what ended them early, if anything did.
    pub(super) async fn steps(
        &mut self,
        steps: &[PlannedStep],
        from: usize,
        phase: Phase,
        window: Option<Window>,
    ) -> Result<Option<Ended>, Refused> {
        for (index, planned) in steps.iter().enumerate().skip(from) {
            if let Some(reason) = self.stop.reason() {
                return Ok(Some(reason.into()));
            }
            let at = At { phase, index, step: &planned.spec, window };
            let result = self.step(at, planned.call.as_ref()).await?;
            if let Some(ended) = self.ended_by(at, &result)
                && (!planned.spec.continue_on_error || self.stop.reason().is_some())
            {
                return Ok(Some(ended));
            }
        }
        // A stop that came after the last step passed changes nothing: all that was to be done was done.
        Ok(None)
    }

    /// How a step's result ends the run, if it does.
    pub(super) fn ended_by(&self, at: At<'_>, result: &StepResult) -> Option<Ended> {
        let end = match result.end {
            StepEnd::Succeeded | StepEnd::Skipped => return None,
            StepEnd::Failed => RunEnd::Failed,
            StepEnd::TimedOut => RunEnd::TimedOut,
            StepEnd::Cancelled => RunEnd::Cancelled,
        };
        // Whatever failed while the run was told to end, or was not tried again for that, did not end it.
        if let Some(reason) = self.stop.reason() {
            return Some(reason.into());
        }
        let why = result.error.as_deref().unwrap_or("no reason is known");
        Some(Ended { end, error: format!("step {} ({}): {why}", at.index + 1, name::of(at.step)) })
    }

    /// Does a step with all its tries, and notes the last result for later steps.
    pub(super) async fn step(&mut self, at: At<'_>, planned: Option<&Call>) -> Result<StepResult, Refused> {
        let result = match self.prepare(at, planned) {
            Ok(call) => self.tries(at, &call).await?,
            Err(unprepared) => {
                let attempt = self.next_try(at);
                self.record_end(at, attempt, unprepared)?
            }
        };
        self.results.note(at.step.name.as_deref(), &result);
        Ok(result)
    }

    /// What the step does now; else what it led to without doing anything: its condition is false, or the condition
    /// or a template failed.
    fn prepare(&self, at: At<'_>, planned: Option<&Call>) -> Result<Call, StepResult> {
        if let Some(condition) = &at.step.condition {
            match self.holds(condition, &self.names()) {
                Ok(true) => {}
                Ok(false) => return Err(ended(StepEnd::Skipped, None)),
                Err(error) => {
                    return Err(ended(StepEnd::Failed, Some(format!("`if` could not be evaluated: {error}"))));
                }
            }
        }
        match planned {
            Some(call) => Ok(call.clone()),
            None => self
                .shared
                .planner
                .render(at.step, &self.intent, &self.names(), self.shared.clock.now())
                .map_err(|error| ended(StepEnd::Failed, Some(format!("it could not be rendered: {error}")))),
        }
    }

    /// What conditions and templates see besides the event.
    pub(super) fn names(&self) -> Vec<(&str, Value)> {
        let mut names = vec![("steps", self.results.to_json())];
        names.extend(self.outcome.clone().map(|run| ("run", run)));
        names.extend(self.item.as_ref().map(|item| (item.name.as_str(), item.value.as_str().into())));
        names
    }

    pub(super) fn holds(&self, condition: &Condition, names: &[(&str, Value)]) -> Result<bool, String> {
        let extra = Extra { target: Some(&self.intent.plan.target), now: self.shared.clock.now(), names };
        let view = EventView::new(&self.intent.event);
        let sandbox = &self.intent.sandbox;
        condition.holds(sandbox, &view, extra).map_err(|error| condition.say(&error, sandbox, &view, extra))
    }

    /// Waits, unless the run has to end.
    pub(super) async fn paused(&self, pause: Duration) -> Option<StopReason> {
        tokio::select! {
            biased;
            reason = self.stop.stopped() => Some(reason),
            () = tokio::time::sleep(pause) => None,
        }
    }
}
