//! Events, and what each led to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::decide::explain::reason;
use crate::event::{Event, TimeMark};
use crate::journal::record::{Decided, Record};
use crate::journal::store::Stored;

/// A push, in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its number in the journal.
    pub seq: u64,
    /// Its id.
    pub event: String,
    /// Its type.
    pub event_type: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// Its own time.
    pub time: Timestamp,
    /// What that is worth.
    pub time_mark: TimeMark,
    /// By which source.
    pub source: String,
    /// What it is about.
    pub entity: String,
    /// The incident that it concerns, where there is one.
    #[serde(default)]
    pub incident: Option<String>,
    /// Its severity, where the body is still kept.
    #[serde(default)]
    pub severity: Option<String>,
    /// Its channel, where the body is still kept.
    #[serde(default)]
    pub channel: Option<String>,
    /// Its title, where the body is still kept.
    pub title: Option<String>,
    /// What it led to, where it was decided.
    pub decision: Option<DecisionView>,
}

/// What an event led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionView {
    /// When it was decided.
    pub at: Timestamp,
    /// By which rule set.
    pub generation: u64,
    /// The newest time seen of its entity, if it is late.
    pub late_since: Option<Timestamp>,
    /// Why it could not be decided on, if it was set aside.
    #[serde(default)]
    pub set_aside: Option<String>,
    /// Each rule that it concerns. Empty means: none.
    pub rules: Vec<RuleDecisionView>,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleDecisionView {
    /// The rule.
    pub rule: String,
    /// The word of the outcome.
    pub outcome: String,
    /// The clause that failed, the guard that objected, or the part that could not be rendered.
    #[serde(default)]
    pub because: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// The run, where there is one.
    pub run: Option<String>,
    /// What it acts on.
    pub target: Option<String>,
    /// The plan, where one was made.
    pub plan: Option<serde_json::Value>,
}

impl From<&Decided> for RuleDecisionView {
    fn from(decided: &Decided) -> Self {
        let (reason, until) = reason(&decided.outcome);
        let reservation = decided.reservation.as_ref();
        // A dry run reserves, but there is no run to look up.
        let is_run = decided.outcome != crate::journal::record::Outcome::DryRun;
        Self {
            rule: decided.rule.to_string(),
            outcome: decided.outcome.name().to_owned(),
            because: decided.outcome.because().map(str::to_owned),
            reason,
            until,
            run: reservation.filter(|_| is_run).map(|reservation| reservation.run.to_string()),
            target: reservation.map(|reservation| reservation.target.clone()),
            plan: decided.plan.clone(),
        }
    }
}

impl DecisionView {
    /// The view of a `decided` or `set-aside` record; `None` for any other.
    pub fn of(stored: &Stored) -> Option<Self> {
        match &stored.record {
            Record::Decided { generation, late_since, decisions, .. } => Some(Self {
                at: stored.at,
                generation: *generation,
                late_since: *late_since,
                set_aside: None,
                rules: decisions.iter().map(RuleDecisionView::from).collect(),
            }),
            Record::SetAside { error, .. } => Some(Self {
                at: stored.at,
                generation: 0,
                late_since: None,
                set_aside: Some(error.clone()),
                rules: Vec::new(),
            }),
            _ => None,
        }
    }
}

impl EventView {
    /// The view of a `received` record; `None` for any other.
    pub fn of(stored: &Stored, decision: Option<&Stored>) -> Option<Self> {
        match &stored.record {
            Record::Received { event, source, event_type, time, time_mark, entity, incident, channel, .. } => {
                let body = crate::engine::event_of(stored);
                let known = |get: fn(&Event) -> Option<&str>| body.as_ref().and_then(get).map(str::to_owned);
                Some(Self {
                    seq: stored.seq,
                    event: event.to_string(),
                    event_type: event_type.to_string(),
                    received_at: stored.at,
                    time: *time,
                    time_mark: *time_mark,
                    source: source.clone(),
                    entity: entity.to_string(),
                    incident: incident.as_ref().map(ToString::to_string),
                    severity: known(Event::severity),
                    channel: known(Event::channel_name).or_else(|| channel.map(|id| id.to_string())),
                    title: known(Event::title),
                    decision: decision.and_then(DecisionView::of),
                })
            }
            _ => None,
        }
    }
}
