//! One run, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::results::Results;
use super::{Intent, Shared, name, retry};
use crate::action::{Attempt, Expected, Stop, StopReason};
use crate::clock::Stopwatch;
use crate::journal::record::{Phase, Record, RunEnd, StepEnd, StepResult};
use crate::journal::{RecordSink, Refused};
use crate::plan::Call;
use crate::rule::sandbox::{Condition, Extra};
use crate::rule::step::{Action, Step};
use crate::rule::view::EventView;

/// How a run ended, before that is recorded.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) end: RunEnd,
    pub(super) error: Option<String>,
    pub(super) acted: bool,
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

/// A run on its way.
pub(super) struct Walk<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) intent: Arc<Intent>,
    pub(super) stop: Stop,
    environment: BTreeMap<String, String>,
    results: Results,
    /// `run` for the steps that follow; unknown before.
    pub(super) outcome: Option<Value>,
    /// The tries so far; those of a `verify` that is repeated count on.
    tries: BTreeMap<(u8, usize), u32>,
    acted: bool,
    told_first_action: bool,
}

impl<S: RecordSink> Walk<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, intent: Arc<Intent>, stop: Stop) -> Self {
        let environment = shared.planner.environment(&intent);
        Self {
            shared,
            intent,
            stop,
            environment,
            results: Results::default(),
            outcome: None,
            tries: BTreeMap::new(),
            acted: false,
            told_first_action: false,
        }
    }

    /// Walks to the end. An error means that the journal refused a record and nothing further was done.
    pub(super) async fn walk(mut self) -> Result<Walked, Refused> {
        let ended = match self.steps().await? {
            Some(ended) => Some(ended),
            None => self.verify().await?,
        };
        let (end, error) = match ended {
            None => (RunEnd::Succeeded, None),
            Some(ended) => (ended.end, Some(ended.error)),
        };
        self.follow_up(end, error.as_deref()).await?;
        Ok(Walked { end, error, acted: self.acted })
    }

    async fn steps(&mut self) -> Result<Option<Ended>, Refused> {
        let intent = Arc::clone(&self.intent);
        for (index, planned) in intent.plan.steps.iter().enumerate() {
            if let Some(reason) = self.stop.reason() {
                return Ok(Some(reason.into()));
            }
            let at = At { phase: Phase::Steps, index, step: &planned.spec, window: None };
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
        let names = || {
            let mut names = vec![("steps", self.results.to_json())];
            names.extend(self.outcome.clone().map(|run| ("run", run)));
            names
        };
        if let Some(condition) = &at.step.condition {
            match self.holds(condition, &names()) {
                Ok(true) => {}
                Ok(false) => return Err(not_done(StepEnd::Skipped, None)),
                Err(error) => {
                    return Err(not_done(StepEnd::Failed, Some(format!("`if` could not be evaluated: {error}"))));
                }
            }
        }
        match planned {
            Some(call) => Ok(call.clone()),
            None => self
                .shared
                .planner
                .render(at.step, &self.intent, &names(), self.shared.clock.now())
                .map_err(|error| not_done(StepEnd::Failed, Some(format!("it could not be rendered: {error}")))),
        }
    }

    fn holds(&self, condition: &Condition, names: &[(&str, Value)]) -> Result<bool, String> {
        let extra = Extra { target: Some(&self.intent.plan.target), now: self.shared.clock.now(), names };
        let view = EventView::new(&self.intent.event);
        let sandbox = &self.intent.sandbox;
        condition.holds(sandbox, &view, extra).map_err(|error| condition.say(&error, sandbox, &view, extra))
    }

    async fn tries(&mut self, at: At<'_>, call: &Call) -> Result<StepResult, Refused> {
        let mut nth = 0;
        loop {
            nth += 1;
            let result = self.once(at, call).await?;
            if !matches!(result.end, StepEnd::Failed | StepEnd::TimedOut) {
                return Ok(result);
            }
            let pause = retry::backoff(at.step.retry, nth, retry::chance());
            let Some(pause) = pause.filter(|pause| at.window.is_none_or(|window| window.left() > *pause)) else {
                return Ok(result);
            };
            if self.paused(pause).await.is_some() {
                return Ok(result);
            }
        }
    }

    /// Waits, unless the run has to end.
    pub(super) async fn paused(&self, pause: Duration) -> Option<StopReason> {
        tokio::select! {
            biased;
            reason = self.stop.stopped() => Some(reason),
            () = tokio::time::sleep(pause) => None,
        }
    }

    fn next_try(&mut self, at: At<'_>) -> u32 {
        let tries = self.tries.entry((at.phase as u8, at.index)).or_default();
        *tries += 1;
        *tries
    }

    async fn once(&mut self, at: At<'_>, call: &Call) -> Result<StepResult, Refused> {
        let attempt = self.next_try(at);
        self.environment.insert("STANCH_ATTEMPT".into(), attempt.to_string());
        let started = Record::StepStarted {
            run: self.intent.run.clone(),
            phase: at.phase,
            step: at.index,
            name: self.name(at),
            attempt,
        };
        if self.acted {
            // With it the end of the step before becomes durable: on a disk that takes nothing more, nothing more is
            // started.
            self.shared.sink.append(vec![started]).await?;
        } else {
            // The intent was made durable just now.
            self.shared.sink.append_later(started)?;
        }
        self.acted = true;
        if !self.told_first_action && !matches!(call, Call::Wait(_)) {
            self.told_first_action = true;
            let after = self.shared.clock.now().since(self.intent.event.received_at);
            self.shared.observer.first_action(&self.intent.rule.id, after);
        }
        let result = self.act(at, call).await;
        self.record_end(at, attempt, result)
    }

    async fn act(&self, at: At<'_>, call: &Call) -> StepResult {
        let settings = self.shared.settings.load_full();
        let judge_by;
        let expected = match &at.step.action {
            Action::Http(spec) => {
                judge_by = spec
                    .expect_when
                    .as_ref()
                    .map(|condition| move |response: Value| self.holds(condition, &[("response", response)]));
                let when = judge_by.as_ref().map(|judge| judge as &(dyn Fn(Value) -> Result<bool, String> + Sync));
                Expected { status: &spec.expect_status, when }
            }
            Action::Run(_) | Action::Shell(_) | Action::Wait(_) => Expected { status: &[], when: None },
        };
        let timeout = at.window.map_or(at.step.timeout, |window| at.step.timeout.min(window.left()));
        let attempt = Attempt {
            run: &self.intent.run,
            environment: &self.environment,
            event_body: &self.intent.event.body,
            timeout,
            stop: &self.stop,
            settings: &settings,
        };
        self.shared.actor.act(call, &expected, &attempt).await
    }

    /// What the step is called on record. A rule may hold what it should not.
    fn name(&self, at: At<'_>) -> String {
        self.shared.settings.load().redactor.redact(&name::of(at.step)).into_owned()
    }

    fn record_end(&self, at: At<'_>, attempt: u32, mut result: StepResult) -> Result<StepResult, Refused> {
        if let Some(error) = &mut result.error {
            *error = self.shared.settings.load().redactor.redact(error).into_owned();
        }
        let took = Duration::from_millis(result.duration_ms);
        self.shared.sink.append_later(Record::StepEnded {
            run: self.intent.run.clone(),
            phase: at.phase,
            step: at.index,
            name: self.name(at),
            attempt,
            result: result.clone(),
        })?;
        self.shared.observer.step_ended(&self.intent.rule.id, at.phase, result.end, took);
        Ok(result)
    }
}

fn not_done(end: StepEnd, error: Option<String>) -> StepResult {
    StepResult {
        end,
        exit_code: None,
        signal: None,
        status: None,
        stdout: String::new(),
        stderr: String::new(),
        dropped_bytes: 0,
        error,
        duration_ms: 0,
    }
}
