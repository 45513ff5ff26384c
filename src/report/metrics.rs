//! The metrics, as Prometheus reads them. Event text never becomes a label value.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::journal::record::WRITE_BACK_CALLS;

/// Bounds for what takes micro- to milliseconds, in seconds.
const FAST_SECONDS: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.8];
/// Bounds for what takes as long as a command, in seconds.
const SLOW_SECONDS: [f64; 11] = [0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

/// Labels of `stanch_events_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EventLabels {
    /// The configured source.
    pub source: String,
    /// A documented event type, else `other`.
    pub r#type: &'static str,
    /// `accepted`, `duplicate`, or the code of the error.
    pub outcome: &'static str,
}

/// Labels of `stanch_decisions_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DecisionLabels {
    /// The rule.
    pub rule: Arc<str>,
    /// The word of the outcome.
    pub outcome: &'static str,
}

/// Labels of `stanch_runs_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RunLabels {
    /// The rule.
    pub rule: Arc<str>,
    /// How the run ended.
    pub state: &'static str,
}

/// Labels of `stanch_writeback_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WritebackLabels {
    /// The call of the Open API.
    pub call: &'static str,
    /// What became of it.
    pub outcome: &'static str,
}

/// Labels of `stanch_catch_up_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CatchUpLabels {
    /// `taken`, `known`, `unusable`, or `failed`.
    pub outcome: &'static str,
}

/// Labels of `stanch_trace_spans_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TraceLabels {
    /// `sent`, `refused` by the collector, or `dropped` because it could not be reached for too long.
    pub outcome: &'static str,
}

/// Every metric.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Pushes by source, type and answer.
    pub events: Family<EventLabels, Counter>,
    /// Decisions by rule and outcome.
    pub decisions: Family<DecisionLabels, Counter>,
    /// Runs by rule and end.
    pub runs: Family<RunLabels, Counter>,
    /// Runs that act now.
    pub runs_active: Gauge,
    /// Runs that wait now.
    pub runs_waiting: Gauge,
    /// From intent to end.
    pub run_seconds: Histogram,
    /// From the head of a push to its answer.
    pub receive_seconds: Histogram,
    /// From the receipt of an event to the start of its first command.
    pub event_to_action_seconds: Histogram,
    /// From the first insert of a commit until it is durable.
    pub journal_commit_seconds: Histogram,
    /// The size of the journal's files.
    pub journal_bytes: Gauge,
    /// Pushes received but not decided yet.
    pub undecided: Gauge,
    /// Rules in force.
    pub rules_loaded: Gauge,
    /// The number of the rule set in force.
    pub rules_generation: Gauge,
    /// Rule sets that were refused.
    pub reload_failures: Counter,
    /// 1 while the engine is paused.
    pub paused: Gauge,
    /// Pauses that are on, those of rules and channels included.
    pub pauses: Gauge,
    /// Events that were set aside.
    pub set_aside: Counter,
    /// Records that the state of their run rules out.
    pub impossible_records: Counter,
    /// When the last push came, in Unix seconds.
    pub last_event_timestamp: Gauge<f64, AtomicU64>,
    /// Calls that write back.
    pub writeback: Family<WritebackLabels, Counter>,
    /// Calls that wait to be written back.
    pub writeback_waiting: Gauge,
    /// Incidents that were asked for, by what became of them.
    pub catch_up: Family<CatchUpLabels, Counter>,
    /// Spans by what became of them.
    pub trace_spans: Family<TraceLabels, Counter>,
    /// Records of which no spans were made, because the collector was too far behind.
    pub trace_records_skipped: Counter,
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("stanch"),
            events: Family::default(),
            decisions: Family::default(),
            runs: Family::default(),
            runs_active: Gauge::default(),
            runs_waiting: Gauge::default(),
            run_seconds: Histogram::new(SLOW_SECONDS),
            receive_seconds: Histogram::new(FAST_SECONDS),
            event_to_action_seconds: Histogram::new(FAST_SECONDS.into_iter().chain([2.5, 10.0, 60.0, 900.0])),
            journal_commit_seconds: Histogram::new(FAST_SECONDS),
            journal_bytes: Gauge::default(),
            undecided: Gauge::default(),
            rules_loaded: Gauge::default(),
            rules_generation: Gauge::default(),
            reload_failures: Counter::default(),
            paused: Gauge::default(),
            pauses: Gauge::default(),
            set_aside: Counter::default(),
            impossible_records: Counter::default(),
            last_event_timestamp: Gauge::default(),
            writeback: Family::default(),
            writeback_waiting: Gauge::default(),
            catch_up: Family::default(),
            trace_spans: Family::default(),
            trace_records_skipped: Counter::default(),
        };
        metrics.register();
        // A counter that appears with the first failure is one whose rise nobody sees.
        for call in WRITE_BACK_CALLS {
            for outcome in ["sent", "failed"] {
                drop(metrics.writeback.get_or_create(&WritebackLabels { call, outcome }));
            }
        }
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("events", "Pushes by source, type and answer", self.events.clone());
        registry.register("decisions", "Decisions by rule and outcome", self.decisions.clone());
        registry.register("runs", "Runs by rule and how they ended", self.runs.clone());
        registry.register("runs_active", "Runs that act now", self.runs_active.clone());
        registry.register("runs_waiting", "Runs that wait now", self.runs_waiting.clone());
        let seconds = Unit::Seconds;
        registry.register_with_unit("run", "From intent to end of a run", seconds.clone(), self.run_seconds.clone());
        registry.register_with_unit(
            "receive",
            "From the head of a push to its answer",
            seconds.clone(),
            self.receive_seconds.clone(),
        );
        registry.register_with_unit(
            "event_to_action",
            "From the receipt of an event to the start of its first command",
            seconds.clone(),
            self.event_to_action_seconds.clone(),
        );
        registry.register_with_unit(
            "journal_commit",
            "From the first insert of a commit until it is durable",
            seconds.clone(),
            self.journal_commit_seconds.clone(),
        );
        registry.register_with_unit("journal", "Size of the journal's files", Unit::Bytes, self.journal_bytes.clone());
        registry.register("undecided", "Pushes received but not decided yet", self.undecided.clone());
        registry.register("rules_loaded", "Rules in force", self.rules_loaded.clone());
        registry.register("rules_generation", "Number of the rule set in force", self.rules_generation.clone());
        registry.register("reload_failures", "Rule sets that were refused", self.reload_failures.clone());
        registry.register("paused", "1 while the engine is paused", self.paused.clone());
        registry.register("pauses", "Pauses that are on, those of rules and channels included", self.pauses.clone());
        registry.register("set_aside", "Events that could not be decided on", self.set_aside.clone());
        registry.register(
            "impossible_records",
            "Records that the state of their run rules out",
            self.impossible_records.clone(),
        );
        registry.register_with_unit(
            "last_event_timestamp",
            "When the last push came",
            seconds,
            self.last_event_timestamp.clone(),
        );
        registry.register("writeback", "Calls that write back to Flashduty, by outcome", self.writeback.clone());
        registry.register("writeback_waiting", "Write-backs that wait or are sent", self.writeback_waiting.clone());
        registry.register("catch_up", "Incidents that were asked for, by what became of them", self.catch_up.clone());
        registry.register("trace_spans", "Spans of traces, by what became of them", self.trace_spans.clone());
        registry.register(
            "trace_records_skipped",
            "Records of which no spans were made, because the collector was too far behind",
            self.trace_records_skipped.clone(),
        );
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing to a string fails only where an encoder of ours does.
            Err(error) => {
                tracing::error!(%error, "the metrics could not be encoded");
                String::new()
            }
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
