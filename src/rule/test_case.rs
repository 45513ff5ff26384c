//! Tests of rules: events, and what they must lead to. `stanch test` runs them through the real core.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::Place;
use crate::clock::Timestamp;
use crate::journal::record::RunEnd;

/// The words that a test can expect as an outcome.
pub const OUTCOMES: &[&str] = &[
    "not-matched",
    "condition-error",
    "late",
    "duplicate",
    "suppressed",
    "dry-run",
    "held",
    "awaiting-approval",
    "run",
    "plan-error",
];

/// Words that a test can expect besides [`OUTCOMES`], with what each says. They are no outcomes of a rule: the
/// receiver, or the end of a run that waited, gives them.
pub const MORE_OUTCOMES: &[(&str, &str)] = &[
    ("refused", "the `event_id` came before with another body, which is answered with 409"),
    ("cancelled", "a run that waited was called off, or must not act any more"),
    ("expired", "a run waited too long"),
    ("failed", "a run that acted failed, as `runs` of the test says"),
    ("timed-out", "a run that acted took too long, as `runs` of the test says"),
    ("unverified", "the steps of a run passed and `verify` did not, as `runs` of the test says"),
    ("interrupted", "the engine died in a run, as `runs` of the test says"),
];

/// How a run that acted can end in a test.
pub const RUN_ENDS: &[(&str, RunEnd)] = &[
    ("succeeded", RunEnd::Succeeded),
    ("failed", RunEnd::Failed),
    ("timed-out", RunEnd::TimedOut),
    ("unverified", RunEnd::Unverified),
    ("interrupted", RunEnd::Interrupted),
];

/// One test.
#[derive(Debug, Clone)]
pub struct TestCase {
    /// What it shows.
    pub name: String,
    /// The events, in the order in which they come. Never empty.
    pub events: Vec<TestEvent>,
    /// How the runs go that the events lead to. The first of a rule is that of its first run, and so on; the last of a
    /// rule is that of all that follow. Runs of other rules succeed at once.
    pub runs: Vec<RunFate>,
    /// What the events led to, in order; `None` where the events say it.
    pub expect: Option<Vec<Expectation>>,
    /// Where it stands.
    pub place: Place,
}

/// How a run goes in a test, where nothing is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFate {
    /// Whose run.
    pub rule: String,
    /// How it ends.
    pub ends: RunEnd,
    /// How long it lasts.
    pub takes: Duration,
}

/// One event of a test.
#[derive(Debug, Clone)]
pub struct TestEvent {
    /// How long after the one before it comes; for the first, after its own `event_time`.
    pub after: Duration,
    /// Its payload.
    pub payload: Payload,
    /// Overrides on top of it: dotted path and value. What begins with `labels.` or `fields.` after its object is one
    /// name, dots included. Those of the test come first, then those of the event.
    pub with: Vec<(String, Value)>,
    /// It gets an `event_id` of its own.
    pub fresh: bool,
    /// What it led to; `None` where the test says it.
    pub expect: Option<Vec<Expectation>>,
    /// Where it stands.
    pub place: Place,
}

/// Where the payload of a test's event comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A JSON file, absolute or relative to where the rule file was found from.
    Fixture(PathBuf),
    /// Written in the test.
    Inline(Value),
}

/// What an event must have led to for one rule. What is `None` may be anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Which rule; `None` where no rule was asked, or any may be it.
    pub rule: Option<String>,
    /// The outcome, one of [`OUTCOMES`] or [`MORE_OUTCOMES`].
    pub outcome: Option<String>,
    /// The clause that failed, or the guard that objected: `match.labels.env`, `cooldown`.
    pub because: Option<String>,
    /// A part of the reason in words.
    pub reason: Option<String>,
    /// Until when a guard objects.
    pub until: Option<Until>,
    /// The rendered target.
    pub target: Option<String>,
    /// The rendered steps; each is a part of what is planned.
    pub steps: Option<Vec<Value>>,
    /// Where it stands.
    pub place: Place,
    /// The same as bytes of the file, for diagnostics.
    pub span: Range<usize>,
}

/// Until when a guard objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// A point in time.
    At(Timestamp),
    /// So long after the event.
    After(Duration),
}
