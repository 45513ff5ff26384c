//! The rules in force, and how each has fared.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::{ApiError, answer};
use crate::admin::table::Call;
use crate::clock::Timestamp;
use crate::engine::Handle;
use crate::engine::decider::InForce;
use crate::guard;
use crate::journal::history::{History, Standing};
use crate::rule::{Rule, RuleId};

/// A rule in force, and how it has fared since the oldest record that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleView {
    /// Its id.
    pub rule: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The file, line and column where it stands.
    pub place: String,
    /// How far it may go, by itself.
    pub mode: String,
    /// How far it may go, the engine's ceiling taken into account.
    pub effective_mode: String,
    /// The event types that it names.
    pub events: Vec<String>,
    /// The channels that it names.
    pub channels: Vec<String>,
    /// How often its `match` and its `when` held.
    pub hits: u64,
    /// How often a guard objected.
    pub suppressed: u64,
    /// How often each outcome came about.
    pub outcomes: BTreeMap<String, u64>,
    /// The last outcome.
    pub last_outcome: Option<LastOutcome>,
    /// The last run that ended.
    pub last_run: Option<LastRun>,
    /// Its breaker.
    pub breaker: BreakerView,
}

/// The last outcome of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastOutcome {
    /// Its word.
    pub outcome: String,
    /// When.
    pub at: Timestamp,
    /// For which event.
    pub event: String,
}

/// The last run of a rule that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastRun {
    /// The run.
    pub run: String,
    /// How it ended.
    pub state: String,
    /// When.
    pub at: Timestamp,
}

/// The state of a breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BreakerView {
    /// Whether it keeps the rule from acting.
    pub open: bool,
    /// Until when.
    pub until: Option<Timestamp>,
    /// How many failures of the rule are within its window.
    pub failures: usize,
    /// How many open it.
    pub limit: u32,
}

impl RuleView {
    fn of(rule: &Rule, history: &History, in_force: &InForce, now: Timestamp) -> Self {
        let default = Standing::default();
        let standing = history.standings.get(&rule.id).unwrap_or(&default);
        let until = guard::open_until(rule, history, now);
        let breaker = &rule.guards.breaker;
        Self {
            rule: rule.id.to_string(),
            description: rule.description.clone(),
            owner: rule.owner.clone(),
            place: rule.place.to_string(),
            mode: rule.mode.to_string(),
            effective_mode: rule.mode.min(in_force.settings.ceiling).to_string(),
            events: names(&rule.matching.events),
            channels: names(&rule.matching.channels),
            hits: standing.hits(),
            suppressed: standing.suppressed(),
            outcomes: standing.outcomes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            last_outcome: standing.last.as_ref().map(|(at, outcome, event)| LastOutcome {
                outcome: (*outcome).to_owned(),
                at: *at,
                event: event.to_string(),
            }),
            last_run: standing.last_end.as_ref().map(|(at, end, run)| LastRun {
                run: run.to_string(),
                state: end.name().to_owned(),
                at: *at,
            }),
            breaker: BreakerView {
                open: until.is_some(),
                until,
                failures: history.failures(&rule.id).filter(|at| now.since(*at) <= breaker.within).count(),
                limit: breaker.failures,
            },
        }
    }
}

fn names<T: ToString>(patterns: &Option<Vec<T>>) -> Vec<String> {
    patterns.iter().flatten().map(ToString::to_string).collect()
}

pub(in crate::admin) async fn list(call: Call) -> Response {
    answer(list_of(&call.desk.handle).await)
}

/// Every rule in force, by its id.
pub(in crate::admin) async fn list_of(handle: &Handle) -> Result<Vec<RuleView>, ApiError> {
    let look = |history: &History, in_force: &InForce, now| -> Vec<RuleView> {
        in_force.rules.rules.iter().map(|rule| RuleView::of(rule, history, in_force, now)).collect()
    };
    Ok(handle.inspect(look).await?)
}

pub(in crate::admin) async fn show(call: Call) -> Response {
    answer(show_of(&call.desk.handle, call.id()).await)
}

/// One rule in force.
pub(in crate::admin) async fn show_of(handle: &Handle, id: String) -> Result<RuleView, ApiError> {
    let rule = RuleId::new(id.as_str());
    let look = move |history: &History, in_force: &InForce, now| {
        in_force.rules.get(&rule).map(|rule| RuleView::of(rule, history, in_force, now))
    };
    handle.inspect(look).await?.ok_or(ApiError::NotFound { what: "rule", id })
}
