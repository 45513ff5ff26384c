//! The validated `guards` block: what may object to a run. The guards themselves are in [`crate::guard`].

use std::sync::Arc;
use std::time::Duration;

use super::By;
use super::step::Step;

/// A minute, for defaults.
const MINUTE: Duration = Duration::from_secs(60);
/// An hour, for defaults.
const HOUR: Duration = Duration::from_secs(3600);

/// At most `max` runs in any window of `per`, counted by `by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub max: u32,
    /// In which time.
    pub per: Duration,
    /// Counted by what.
    pub by: By,
}

impl Default for Rate {
    fn default() -> Self {
        Self { max: 20, per: HOUR, by: By::Rule }
    }
}

/// What happens to a run for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It waits for its turn.
    Queue,
    /// It is suppressed.
    Skip,
}

/// At most `max` at a time, counted by `by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// How many.
    pub max: u32,
    /// Counted by what.
    pub by: By,
    /// What becomes of the next one.
    pub over: Over,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { max: 1, by: By::Target, over: Over::Queue }
    }
}

/// When a rule may act. Names of schedules in the config.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Active {
    /// One of these must be on; empty means always.
    pub only: Vec<String>,
    /// None of these may be on.
    pub except: Vec<String>,
}

/// Wait before acting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// How long.
    pub lasts: Duration,
    /// Event types of the same incident that call it off.
    pub cancel_on: Vec<String>,
}

/// Act on the `count`th matching event within `within`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// On which one.
    pub count: u32,
    /// In which time.
    pub within: Duration,
    /// Counted by what; empty means by the rule.
    pub by: Vec<By>,
}

/// At most `targets` distinct targets in any window of `per`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlastRadius {
    /// How many distinct targets.
    pub targets: u32,
    /// In which time.
    pub per: Duration,
    /// Counted by what.
    pub by: By,
}

/// Stop after `failures` failed runs within `within`, for `open_for`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// How many failures open it.
    pub failures: u32,
    /// In which time.
    pub within: Duration,
    /// How long it stays open.
    pub open_for: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 3, within: HOUR, open_for: HOUR }
    }
}

/// After `max` runs in `per`, do something else, once.
#[derive(Debug, Clone)]
pub struct Attempts {
    /// How many runs.
    pub max: u32,
    /// In which time.
    pub per: Duration,
    /// Counted by what.
    pub by: By,
    /// What is done instead, once.
    pub then: Vec<Arc<Step>>,
}

/// All guards of a rule, in the order in which they are asked.
#[derive(Debug, Clone)]
pub struct Guards {
    /// `active`.
    pub active: Option<Active>,
    /// `unless_acked`.
    pub unless_acked: bool,
    /// `hold`.
    pub hold: Option<Hold>,
    /// `threshold`.
    pub threshold: Option<Threshold>,
    /// `cooldown`, per rule and target, from the end of the last run.
    pub cooldown: Option<Duration>,
    /// `rate`.
    pub rate: Rate,
    /// `concurrency`.
    pub concurrency: Concurrency,
    /// `blast_radius`.
    pub blast_radius: Option<BlastRadius>,
    /// `breaker`.
    pub breaker: Breaker,
    /// `attempts`.
    pub attempts: Option<Attempts>,
    /// `recheck: incident`.
    pub recheck: bool,
    /// `max_wait`: how long a run may wait before it expires.
    pub max_wait: Duration,
    /// `storm_hold`.
    pub storm_hold: Option<Duration>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            active: None,
            unless_acked: false,
            hold: None,
            threshold: None,
            cooldown: None,
            rate: Rate::default(),
            concurrency: Concurrency::default(),
            blast_radius: None,
            breaker: Breaker::default(),
            attempts: None,
            recheck: false,
            max_wait: 15 * MINUTE,
            storm_hold: None,
        }
    }
}
