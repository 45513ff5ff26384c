//! Being told what runs do, for metrics. Observers change nothing.

use std::time::Duration;

use crate::journal::Refused;
use crate::journal::record::{Phase, RunEnd, RunId, StepEnd};
use crate::report::outbox::Full;
use crate::rule::RuleId;

/// Is told what happens, in the task in which it happens: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// A run started.
    fn run_started(&self, _rule: &RuleId) {}

    /// A run is about to start its first process or request, so long after its event was received.
    fn first_action(&self, _rule: &RuleId, _after: Duration) {}

    /// A try of a step ended.
    fn step_ended(&self, _rule: &RuleId, _phase: Phase, _end: StepEnd, _took: Duration) {}

    /// A write-back was not queued, because the outbox is full.
    fn not_queued(&self, _rule: &RuleId, _call: &'static str, _why: &Full) {}

    /// A run ended, and that is durable.
    fn run_ended(&self, _run: &RunId, _rule: &RuleId, _end: RunEnd, _took: Duration) {}

    /// The journal refused a record of this run: nothing is done any more, and the daemon has to end.
    fn refused(&self, _run: &RunId, _why: &Refused) {}
}

/// Looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
