//! `each`: rolling over the items of a list, batch by batch.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::walk::{At, Ended, Item, Walk, Window};
use crate::action::ended;
use crate::journal::record::{Phase, StepEnd, StepResult};
use crate::journal::{RecordSink, Refused};
use crate::plan::EachCall;

/// How many failed items an error names. All of them are on record.
const NAMED_MAX: usize = 5;

/// How one item came out: its place in the list, and what ended it early.
type Outcome = Result<(usize, Option<Ended>), Refused>;

impl<S: RecordSink> Walk<S> {
    /// Does the steps for every item, a batch at a time, and stops before the next batch once more items have failed
    /// than may. An item whose steps have begun is left to its end.
    pub(super) async fn each(&self, at: At<'_>, call: &Arc<EachCall>) -> Result<StepResult, Refused> {
        let window = Window::of(at.step.timeout);
        let mut tally = Tally { call, done: Vec::new() };
        let mut next = 0;
        while next < call.targets.len() && tally.may_go_on() && !window.left().is_zero() && self.stop.reason().is_none()
        {
            let mut batch = JoinSet::new();
            while next < call.targets.len() && batch.len() < call.batch {
                batch.spawn(self.for_item(at.index, call, next).item(Arc::clone(call), next, window));
                next += 1;
            }
            while let Some(joined) = batch.join_next().await {
                match joined {
                    Ok(outcome) => tally.done.push(outcome?),
                    // A panic of one item is one of the run: whoever waits for the run sees to all its processes.
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(error) => tracing::error!(run = %self.intent.run, %error, "an item was given up"),
                }
            }
        }
        let (end, why) = match self.stop.reason() {
            Some(reason) => (StepEnd::Cancelled, Some(reason.to_string())),
            None if tally.is_through() && tally.may_go_on() => (StepEnd::Succeeded, None),
            None if window.left().is_zero() => {
                let why =
                    format!("ended at its time limit of {:?}; raise the `timeout` of the `each`", at.step.timeout);
                (StepEnd::TimedOut, Some(why))
            }
            None => (StepEnd::Failed, None),
        };
        let error = (end != StepEnd::Succeeded).then(|| tally.explain(why));
        Ok(StepResult { stdout: self.redacted(&tally.to_json().to_string()), ..ended(end, error) })
    }

    /// The walk over the steps of one item. It sees what was known before the `each`.
    fn for_item(&self, step: usize, call: &EachCall, nth: usize) -> Self {
        let value = call.targets.get(nth).map(|target| target.item.clone()).unwrap_or_default();
        self.branch(Item { step, name: call.name.clone(), value })
    }

    /// Walks through the steps of an item. Boxed, since steps may hold steps.
    fn item(
        mut self,
        call: Arc<EachCall>,
        nth: usize,
        window: Window,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
        Box::pin(async move {
            let Some(target) = call.targets.get(nth) else { return Ok((nth, None)) };
            let ended = self.steps(&target.steps, 0, Phase::Steps, Some(window)).await?;
            Ok((nth, ended))
        })
    }
}

/// What came of the items so far.
struct Tally<'c> {
    call: &'c EachCall,
    done: Vec<(usize, Option<Ended>)>,
}

impl Tally<'_> {
    fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut failed: Vec<_> = self.done.iter().filter_map(|(nth, ended)| Some((*nth, ended.as_ref()?))).collect();
        failed.sort_unstable_by_key(|(nth, _)| *nth);
        failed
            .into_iter()
            .filter_map(|(nth, ended)| Some((self.call.targets.get(nth)?.item.as_str(), ended.error.as_str())))
    }

    /// Whether no more items have failed than may.
    fn may_go_on(&self) -> bool {
        self.failed().count() <= self.call.tolerance
    }

    fn is_through(&self) -> bool {
        self.done.len() == self.call.targets.len()
    }

    fn items(&self, wanted: impl Fn(usize) -> bool) -> Vec<&str> {
        let items = self.call.targets.iter().enumerate().filter(|(nth, _)| wanted(*nth));
        items.map(|(_, target)| target.item.as_str()).collect()
    }

    fn not_started(&self) -> Vec<&str> {
        self.items(|nth| !self.done.iter().any(|(done, _)| *done == nth))
    }

    /// What later steps see as the output of the `each`.
    fn to_json(&self) -> Value {
        let succeeded = self.items(|nth| self.done.iter().any(|(done, ended)| *done == nth && ended.is_none()));
        let failed: Map<String, Value> = self.failed().map(|(item, why)| (item.to_owned(), why.into())).collect();
        json!({ "succeeded": succeeded, "failed": failed, "not_started": self.not_started() })
    }

    /// What happened, in words.
    fn explain(&self, why: Option<String>) -> String {
        let (failed, all) = (self.failed().count(), self.call.targets.len());
        let mut text = why.unwrap_or_else(|| format!("{failed} of {all} failed, and {} may", self.call.tolerance));
        for (item, error) in self.failed().take(NAMED_MAX) {
            // A string takes every write.
            let _infallible = write!(text, "; {item}: {error}");
        }
        if failed > NAMED_MAX {
            let _infallible = write!(text, "; and {} more", failed - NAMED_MAX);
        }
        let left = self.not_started();
        if !left.is_empty() {
            let named = left.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
            let more =
                if left.len() > NAMED_MAX { format!(" and {} more", left.len() - NAMED_MAX) } else { String::new() };
            let _infallible = write!(text, "; not started: {named}{more}");
        }
        text
    }
}
