//! Runs, in a list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::journal::history::{History, Run, RunState, Waits};
use crate::journal::record::{Record, RunId};
use crate::journal::store::Stored;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// Its id.
    pub run: String,
    /// Its rule.
    pub rule: String,
    /// What it acts on.
    pub target: String,
    /// The event that led to it, where it is known without looking further.
    pub event: Option<String>,
    /// `queued`, `held`, `awaiting-approval`, `running`, or how it ended.
    pub state: String,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// Why, where it did not succeed.
    pub error: Option<String>,
    /// From intent to end, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Until when it waits: the end of its hold, else when it expires.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// The journal's number of its end, to ask for what came before.
    #[serde(default)]
    pub seq: Option<u64>,
}

impl RunView {
    /// A run that waits or acts.
    pub fn of_live(id: &RunId, run: &Run) -> Self {
        let (state, since) = match run.state {
            RunState::Waiting(Waits::Queue) => ("queued", run.decided_at),
            RunState::Waiting(Waits::Hold { .. }) => ("held", run.decided_at),
            RunState::Waiting(Waits::Approval) => ("awaiting-approval", run.decided_at),
            RunState::Active { since } => ("running", since),
        };
        Self {
            run: id.to_string(),
            rule: run.rule.to_string(),
            target: run.target.clone(),
            event: Some(run.event.to_string()),
            state: state.to_owned(),
            since,
            error: None,
            duration_ms: None,
            until: match run.state {
                RunState::Waiting(Waits::Hold { until }) => Some(until),
                RunState::Waiting(Waits::Queue | Waits::Approval) => Some(run.expires),
                RunState::Active { .. } => None,
            },
            seq: None,
        }
    }

    /// A run that ended; `None` for any other record.
    pub fn of_ended(stored: &Stored) -> Option<Self> {
        match &stored.record {
            Record::RunEnded { run, rule, target, end, error, duration_ms, .. } => Some(Self {
                run: run.to_string(),
                rule: rule.to_string(),
                target: target.clone(),
                event: None,
                state: end.name().to_owned(),
                since: stored.at,
                error: error.clone(),
                duration_ms: Some(*duration_ms),
                until: None,
                seq: Some(stored.seq),
            }),
            _ => None,
        }
    }

    /// Every run that waits or acts, the oldest first.
    pub fn live(history: &History) -> Vec<Self> {
        let mut runs: Vec<Self> = history.runs.iter().map(|(id, run)| Self::of_live(id, run)).collect();
        runs.sort_by(|a, b| (a.since, &a.run).cmp(&(b.since, &b.run)));
        runs
    }
}
