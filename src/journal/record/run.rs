//! Runs: what they are called, and how they end.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::EventId;
use crate::rule::RuleId;

/// The id of a run: derived from its event and rule, so that the same decision always names the same run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Arc<str>);

impl RunId {
    /// Wraps an id read from the journal or typed by a person.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id of the run that `rule` does for the event. `nth` tells reruns apart; the first is 0.
    pub fn derive(event: &EventId, rule: &RuleId, nth: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [event.as_str(), rule.as_str()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(&nth.to_le_bytes());
        let hex = hasher.finalize().to_hex();
        Self(format!("r-{}", hex.get(..16).unwrap_or_default()).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// Every step passed (and `verify`, where there is one).
    Succeeded,
    /// A step failed.
    Failed,
    /// A step took longer than its time limit.
    TimedOut,
    /// A person, or an event, called it off.
    Cancelled,
    /// A person refused it.
    Denied,
    /// It waited too long.
    Expired,
    /// The process died between intent and outcome.
    Interrupted,
    /// The steps passed, `verify` did not.
    Unverified,
}

impl RunEnd {
    /// The word of the rule language.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Interrupted => "interrupted",
            Self::Unverified => "unverified",
        }
    }
}

impl RunEnd {
    /// Whether it counts for the breaker: something was done, and the condition is not known to be gone. A run that
    /// was interrupted tells of the daemon, not of its rule; what a crash counts for is in
    /// [`History`](crate::journal::history::History).
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Unverified)
    }
}
