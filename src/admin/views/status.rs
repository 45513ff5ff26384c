//! The engine as a whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::journal::history::Pause;
use crate::journal::record::PauseScope;

/// The state of the engine as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// The version that runs.
    pub version: String,
    /// The number of the rule set in force.
    pub generation: u64,
    /// How many rules it has.
    pub rules: usize,
    /// The ceiling for every rule.
    pub mode: String,
    /// Why the engine is paused, if it is.
    pub paused: Option<PauseView>,
    /// Every pause that is on, that of the engine included.
    #[serde(default)]
    pub pauses: Vec<PauseView>,
    /// Runs that act.
    pub runs_active: usize,
    /// Runs that wait.
    pub runs_waiting: usize,
    /// Those of them that wait for a person.
    #[serde(default)]
    pub approvals_waiting: usize,
    /// The last reload, if it was refused: what lies on disk is then not what is in force.
    #[serde(default)]
    pub reload_refused: Option<RefusedReloadView>,
}

/// A reload that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedReloadView {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A pause that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseView {
    /// What is held back.
    #[serde(default)]
    pub scope: PauseScope,
    /// Why.
    pub reason: Option<String>,
    /// Who paused it.
    #[serde(default)]
    pub by: Option<String>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

impl PauseView {
    /// The view of a pause.
    pub fn of(pause: &Pause) -> Self {
        Self { scope: pause.scope.clone(), reason: pause.reason.clone(), by: pause.by.clone(), until: pause.until }
    }
}
