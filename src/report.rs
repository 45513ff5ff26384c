//! What people and machines see of the engine: log lines, metrics, and what is written back to Flashduty. Never changes
//! a decision.

pub mod comment;
pub mod flashduty;
pub mod logging;
pub mod metrics;
pub mod outbox;
mod printable;
pub mod redact;
pub mod traces;

pub use metrics::Metrics;
pub use printable::{printable, printable_json};

use std::path::Path;

use crate::clock::Timestamp;
use crate::decide::Decisions;
use crate::event::{EVENT_TYPES, Event};
use crate::journal::CommitReport;
use crate::journal::history::History;
use crate::journal::record::{Outcome, Phase, Record, RunEnd, RunId, StepEnd, WriteBack, WriteBackOutcome};
use crate::rule::{RuleId, RuleSet};
use metrics::{CatchUpLabels, DecisionLabels, EventLabels, RunLabels, WritebackLabels};

/// The one place where log lines are written and metrics are counted.
#[derive(Debug, Default)]
pub struct Report {
    /// The metrics.
    pub metrics: Metrics,
}

impl Report {
    /// A report with all metrics at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// A commit of the journal.
    pub fn committed(&self, commit: CommitReport) {
        self.metrics.journal_commit_seconds.observe(commit.seconds);
    }

    /// A try of a write-back ended.
    pub fn written_back(&self, write_back: &WriteBack, outcome: WriteBackOutcome, error: Option<&str>) {
        let (call, outcome) = (write_back.call.name(), outcome.name());
        self.metrics.writeback.get_or_create(&WritebackLabels { call, outcome }).inc();
        let (id, rule, incident) = (&write_back.id, &write_back.rule, printable(&write_back.incident));
        match error {
            None => tracing::info!(%id, %incident, %rule, call, outcome, "write-back"),
            Some(error) => {
                tracing::warn!(%id, %incident, %rule, call, outcome, error = %printable(error), "write-back")
            }
        }
    }

    /// What became of incidents that were asked for because their pushes were missed.
    pub fn caught_up(&self, outcome: &'static str, count: u64) {
        self.metrics.catch_up.get_or_create(&CatchUpLabels { outcome }).inc_by(count);
    }

    /// An event was decided.
    pub fn decided(&self, event: &Event, decisions: &Decisions) {
        if let Some(newest) = decisions.late_since {
            tracing::info!(event = %printable(event.id.as_str()), outcome = "late", %newest, "event");
        }
        for decision in &decisions.each {
            let decided = &decision.decided;
            let outcome = decided.outcome.name();
            let rule = decided.rule.shared();
            self.metrics.decisions.get_or_create(&DecisionLabels { rule, outcome }).inc();
            let (id, rule) = (printable(event.id.as_str()), &decided.rule);
            match &decided.outcome {
                Outcome::NotMatched { clause, .. } => tracing::debug!(event = %id, %rule, outcome, clause, "decision"),
                Outcome::ConditionError { message } | Outcome::PlanError { message } => {
                    tracing::warn!(event = %id, %rule, outcome, error = %printable(message), "decision");
                }
                Outcome::Suppressed { guard, reason, .. } => {
                    tracing::info!(event = %id, %rule, outcome, guard, reason = %printable(reason), "decision");
                }
                _ => {
                    let reservation = decided.reservation.as_ref();
                    let run = reservation.map(|reservation| reservation.run.as_str()).unwrap_or_default();
                    let target = reservation.map(|reservation| reservation.target.as_str()).unwrap_or_default();
                    tracing::info!(event = %id, %rule, outcome, run, target = %printable(target), "decision");
                }
            }
        }
    }

    /// An event that could not be decided on was set aside.
    pub fn set_aside(&self, event: &crate::event::EventId, error: &str) {
        self.metrics.set_aside.inc();
        tracing::error!(event = %printable(event.as_str()), error = %printable(error), "an event was set aside");
    }

    /// A record that cannot be was not folded.
    pub fn impossible(&self, seq: u64, impossible: &crate::journal::history::Impossible) {
        self.metrics.impossible_records.inc();
        tracing::error!(
            seq,
            error = %impossible,
            "a record of the journal cannot be, and was not counted; check `stanch audit verify`, and report it"
        );
    }

    /// A kill switch was turned on.
    pub fn paused(&self, pause: &crate::journal::history::Pause) {
        let (scope, reason) = (pause.scope.to_string(), pause.reason.as_deref().unwrap_or_default());
        let until = pause.until.map(|until| until.to_string()).unwrap_or_default();
        let by = pause.by.as_deref().unwrap_or_default();
        let (scope, reason, by) = (printable(&scope), printable(reason), printable(by));
        tracing::warn!(%scope, %reason, %by, until, "paused: nothing of it starts");
    }

    /// A kill switch was turned off.
    pub fn resumed(&self, scope: &crate::journal::record::PauseScope, by: Option<&str>) {
        let scope = scope.to_string();
        tracing::warn!(scope = %printable(&scope), by = %printable(by.unwrap_or_default()), "resumed");
    }

    /// A run ended without having acted.
    pub fn ended_waiting(&self, record: &Record) {
        let Record::RunEnded { run, rule, end, error, .. } = record else { return };
        let state = end.name();
        self.metrics.runs.get_or_create(&RunLabels { rule: rule.shared(), state }).inc();
        let reason = error.as_deref().unwrap_or_default();
        tracing::info!(%run, %rule, state, reason = %printable(reason), "run");
    }

    /// Another rule set came into force.
    pub fn in_force(&self, rules: &RuleSet) {
        self.metrics.rules_loaded.set(count(rules.rules.len()));
        self.metrics.rules_generation.set(i64::try_from(rules.generation).unwrap_or(i64::MAX));
    }

    /// The state after a round of deciding.
    pub fn observe(&self, history: &History, undecided: usize) {
        self.metrics.runs_active.set(count(history.runs.active_len()));
        self.metrics.runs_waiting.set(count(history.runs.waiting_len()));
        self.metrics.undecided.set(count(undecided));
    }

    /// The metrics as text, with what is read only when somebody asks.
    pub fn metrics_text(&self, journal: &Path, paused: bool, pauses: usize) -> String {
        let mut bytes = 0;
        for suffix in ["", "-wal", "-shm"] {
            let mut name = journal.as_os_str().to_owned();
            name.push(suffix);
            bytes += std::fs::metadata(name).map_or(0, |meta| meta.len());
        }
        self.metrics.journal_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.metrics.paused.set(i64::from(paused));
        self.metrics.pauses.set(count(pauses));
        self.metrics.text()
    }
}

impl crate::receiver::Observer for Report {
    fn answered(&self, answered: &crate::receiver::Answered<'_>) {
        let source = answered.source.unwrap_or("none");
        let r#type = bucket(answered.event_type);
        let labels = EventLabels { source: source.to_owned(), r#type, outcome: answered.code };
        self.metrics.events.get_or_create(&labels).inc();
        self.metrics.receive_seconds.observe(answered.took.as_secs_f64());
        let id = printable(answered.event_id.unwrap_or_default());
        let ms = answered.took.as_secs_f64() * 1000.0;
        if answered.status == 200 {
            // A clock that shows seconds as floats is what Prometheus expects; they are exact to the microsecond.
            self.metrics.last_event_timestamp.set(seconds(crate::clock::wall_now()));
            tracing::info!(event = %id, source, r#type, answer = answered.code, took_ms = ms, "event");
        } else {
            let message = printable(answered.message.unwrap_or_default());
            let (status, peer) = (answered.status, answered.peer);
            tracing::warn!(event = %id, source, %peer, status, answer = answered.code, %message, "push refused");
        }
    }

    fn closed(&self, peer: std::net::SocketAddr, why: crate::receiver::Closed) {
        tracing::debug!(%peer, ?why, "connection closed");
    }
}

/// A documented event type, else `other`: what a sender writes never becomes a label value.
fn bucket(event_type: &str) -> &'static str {
    EVENT_TYPES.iter().find(|(known, _)| *known == event_type).map_or("other", |(known, _)| known)
}

fn count(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn seconds(at: Timestamp) -> f64 {
    std::time::Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0)).as_secs_f64()
}

impl crate::runner::Observer for Report {
    fn first_action(&self, _: &RuleId, after: std::time::Duration) {
        self.metrics.event_to_action_seconds.observe(after.as_secs_f64());
    }

    fn step_ended(&self, rule: &RuleId, phase: Phase, end: StepEnd, took: std::time::Duration) {
        let (phase, end, took_ms) = (phase.name(), end.name(), took.as_secs_f64() * 1000.0);
        tracing::info!(%rule, phase, end, took_ms, "step");
    }

    fn not_queued(&self, rule: &RuleId, call: &'static str, why: &outbox::Full) {
        self.metrics.writeback.get_or_create(&WritebackLabels { call, outcome: "refused" }).inc();
        tracing::warn!(%rule, call, error = %why, "write-back");
    }

    fn run_ended(&self, run: &RunId, rule: &RuleId, end: RunEnd, took: std::time::Duration) {
        self.metrics.runs.get_or_create(&RunLabels { rule: rule.shared(), state: end.name() }).inc();
        self.metrics.run_seconds.observe(took.as_secs_f64());
        tracing::info!(%run, %rule, state = end.name(), took_ms = took.as_secs_f64() * 1000.0, "run");
    }

    fn refused(&self, run: &RunId, why: &crate::journal::Refused) {
        tracing::error!(%run, error = %why, "the journal refused a record; nothing further is done");
    }
}
