//! What the runner is given to do, and what it asks for on the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::event::Event;
use crate::journal::record::{RunId, StepResult};
use crate::plan::{Call, Plan};
use crate::rule::Rule;
use crate::rule::sandbox::Sandbox;
use crate::rule::step::Step;

/// A run that was decided upon, and whose `run-intended` record is durable.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Its id.
    pub run: RunId,
    /// Its rule, as it is in the set that decided.
    pub rule: Arc<Rule>,
    /// The script engine of that set.
    pub sandbox: Arc<Sandbox>,
    /// The state that it acts on.
    pub event: Arc<Event>,
    /// What it does.
    pub plan: Plan,
    /// The number of the rule set.
    pub generation: u64,
    /// What was done of it already, where a crash cut it off and it goes on.
    pub resumed: Option<Resumed>,
}

/// What a run that goes on after a crash has done before.
#[derive(Debug, Clone, Default)]
pub struct Resumed {
    /// What its first steps led to, which are not done again.
    pub finished: Vec<StepResult>,
    /// How often the next one was tried.
    pub tries: u32,
}

impl Intent {
    /// Whether the plan holds the steps of `guards.attempts.then` in place of the rule's own. `verify`,
    /// `on_success` and `on_failure` speak of the rule's own steps and do not follow these.
    pub(super) fn is_escalation(&self) -> bool {
        let then = self.rule.guards.attempts.as_ref().and_then(|attempts| attempts.then.first());
        let first = self.plan.steps.first();
        then.zip(first).is_some_and(|(then, first)| Arc::ptr_eq(then, &first.spec))
    }
}

/// Renders what depends on what steps led to, and the environment of processes. Implemented over [`crate::plan`].
pub trait Planner: Send + Sync + 'static {
    /// Renders a step. `names` are known besides what the event gives: `steps` and, after the steps, `run`.
    ///
    /// # Errors
    /// Why it cannot be rendered, in words.
    fn render(&self, step: &Step, intent: &Intent, names: &[(&str, Value)], now: Timestamp) -> Result<Call, String>;

    /// The environment of every process of a run, without what steps declare and without `STANCH_ATTEMPT`.
    fn environment(&self, intent: &Intent) -> BTreeMap<String, String>;
}
