//! The tries of one step: doing it, again where it may be, and recording each.

use std::time::Duration;

use serde_json::Value;

use super::now::Place;
use super::walk::{At, Walk};
use super::{name, retry};
use crate::action::{Attempt, Expected, Settings};
use crate::chance::chance;
use crate::journal::record::{EachPlace, Record, StepEnd, StepResult};
use crate::journal::{RecordSink, Refused};
use crate::plan::Call;
use crate::report::traces::Place as Span;
use crate::rule::step::Action;

impl<S: RecordSink> Walk<S> {
    pub(super) async fn tries(&mut self, at: At<'_>, call: &Call) -> Result<StepResult, Refused> {
        let mut nth = 0;
        loop {
            nth += 1;
            let result = self.once(at, call).await?;
            if !matches!(result.end, StepEnd::Failed | StepEnd::TimedOut) {
                return Ok(result);
            }
            let pause = retry::backoff(at.step.retry, nth, chance());
            let Some(pause) = pause.filter(|pause| at.window.is_none_or(|window| window.left() > *pause)) else {
                return Ok(result);
            };
            if self.paused(pause).await.is_some() {
                return Ok(result);
            }
        }
    }

    pub(super) fn next_try(&mut self, at: At<'_>) -> u32 {
        let tries = self.tries.entry((at.phase as u8, at.index)).or_default();
        *tries += 1;
        *tries
    }

    async fn once(&mut self, at: At<'_>, call: &Call) -> Result<StepResult, Refused> {
        let attempt = self.next_try(at);
        self.environment.insert("STANCH_ATTEMPT".into(), attempt.to_string());
        let (step, each) = self.place(at);
        let started = Record::StepStarted {
            run: self.intent.run.clone(),
            phase: at.phase,
            step,
            each,
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
        if !self.told_first_action && !matches!(call, Call::Wait(_) | Call::Flashduty(_)) {
            self.told_first_action = true;
            let after = self.shared.clock.now().since(self.intent.event.received_at);
            self.shared.observer.first_action(&self.intent.rule.id, after);
        }
        let result = match call {
            Call::Each(each) => {
                let watch = crate::clock::Stopwatch::start();
                let result = self.each(at, each).await?;
                StepResult { duration_ms: watch.elapsed_ms(), ..result }
            }
            Call::Flashduty(call) => self.write_back(at, attempt, call).await?,
            _ => self.act(at, attempt, call).await,
        };
        self.record_end(at, attempt, result)
    }

    async fn act(&self, at: At<'_>, attempt: u32, call: &Call) -> StepResult {
        let settings = self.shared.settings.load_full();
        let judge_by;
        let expected = match &at.step.action {
            Action::Http(spec) => {
                judge_by = spec.expect_when.as_ref().map(|condition| {
                    move |response: Value| {
                        let mut names = self.names();
                        names.push(("response", response));
                        self.holds(condition, &names)
                    }
                });
                let when = judge_by.as_ref().map(|judge| judge as &(dyn Fn(Value) -> Result<bool, String> + Sync));
                Expected { status: &spec.expect_status, when }
            }
            Action::Run(_)
            | Action::Shell(_)
            | Action::Ssh(_)
            | Action::Flashduty(_)
            | Action::Wait(_)
            | Action::Each(_) => Expected { status: &[], when: None },
        };
        let timeout = at.window.map_or(at.step.timeout, |window| at.step.timeout.min(window.left()));
        let traceparent = self.traceparent(at, attempt, &settings);
        let (step, each) = self.place(at);
        let going = self.now.begin(Place { phase: at.phase, step, each, attempt });
        let attempt = Attempt {
            run: &self.intent.run,
            environment: &self.environment,
            event_body: &self.intent.event.body,
            traceparent: traceparent.as_deref(),
            timeout,
            stop: &self.stop,
            live: &going.what.live,
            settings: &settings,
        };
        self.shared.actor.act(call, &expected, &attempt).await
    }

    /// The span of a try, where it is traced.
    fn traceparent(&self, at: At<'_>, attempt: u32, settings: &Settings) -> Option<String> {
        let traces = settings.traces.as_ref()?;
        let (step, each) = self.place(at);
        let run = &self.intent.run;
        let span = Span::Step { run, phase: at.phase, step, each: each.as_ref(), attempt };
        traces.traceparent(&self.intent.event.id, span)
    }

    /// Which step of its phase, and which one inside that.
    pub(super) fn place(&self, at: At<'_>) -> (usize, Option<EachPlace>) {
        match &self.item {
            None => (at.index, None),
            Some(item) => (item.step, Some(EachPlace { item: self.redacted(&item.value), step: at.index })),
        }
    }

    /// What the step is called on record. A rule may hold what it should not.
    pub(super) fn name(&self, at: At<'_>) -> String {
        self.redacted(&name::of(at.step))
    }

    pub(super) fn redacted(&self, text: &str) -> String {
        self.shared.settings.load().redactor.redact(text).into_owned()
    }

    pub(super) fn record_end(
        &mut self,
        at: At<'_>,
        attempt: u32,
        mut result: StepResult,
    ) -> Result<StepResult, Refused> {
        // The output was captured by the secrets of when the step began, and they may have been changed since.
        let texts = [&mut result.stdout, &mut result.stderr].into_iter().chain(&mut result.error);
        texts.for_each(|text| *text = self.redacted(text));
        let took = Duration::from_millis(result.duration_ms);
        let (step, each) = self.place(at);
        self.shared.sink.append_later(Record::StepEnded {
            run: self.intent.run.clone(),
            phase: at.phase,
            step,
            each,
            name: self.name(at),
            attempt,
            result: result.clone(),
        })?;
        self.note_done(at, result.end);
        self.shared.observer.step_ended(&self.intent.rule.id, at.phase, result.end, took);
        Ok(result)
    }
}
