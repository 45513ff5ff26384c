//! Tests of rules, run through the real core on a simulated journal and clock.
//!
//! # Theory of operation
//!
//! A test's events are made into bodies and read as the receiver reads them. The clock stands at the first
//! `event_time` and is moved by `after` alone. Each event is decided by [`crate::decide::decide`], and runs that wait
//! get their turns by the same [`crate::decide::turn::Walk`] that the engine uses, at the very times at which their
//! holds and limits end. A run that starts ends at once and with success unless the test says otherwise: what commands
//! would say is not known here.
//! After the last event time goes on until nothing waits any more. What happened is then compared with what was
//! expected.
//!
//! Nothing here reads a file, a clock or the environment, and nothing is executed: the caller loads fixtures. The
//! same tests on the same rules give the same results in the same order.

pub mod backtest;
mod compare;
mod course;
mod flow;
mod judge;
mod payload;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::decide::Settings;
use crate::rule::test_case::{Expectation, TestCase};
use crate::rule::{Mode, Place, RuleSet};
use course::Course;

/// Where tests take place.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// The rules.
    pub rules: &'a RuleSet,
    /// The config's part: its ceiling, budgets, schedules and limits hold in tests too.
    pub settings: &'a Settings,
    /// Whether annotating events order as well.
    pub strict_ordering: bool,
    /// The name of the source that takes the events in, for `match.sources`.
    pub source: &'a str,
    /// The most bytes that a body may have.
    pub body_bytes_max: usize,
}

/// Gives the JSON of a fixture, or says why it cannot.
pub type LoadFixture<'a> = dyn Fn(&Path) -> Result<Value, String> + 'a;

/// Something that became of an event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Finding {
    /// Which event led to it, from 0.
    pub event: usize,
    /// Which event was the last to come before it, or came with it, from 0.
    pub during: usize,
    /// Counts the moments of the test; what has the same number is in no order.
    #[serde(skip)]
    moment: usize,
    /// When, on the simulated clock.
    pub at: Timestamp,
    /// The rule; `None` where no rule was asked.
    pub rule: Option<String>,
    /// One of [`crate::rule::test_case::OUTCOMES`] or [`crate::rule::test_case::MORE_OUTCOMES`].
    pub outcome: &'static str,
    /// The clause that failed, the guard that objected, or the part that could not be rendered.
    pub because: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Until when a guard objects, or the run waits.
    pub until: Option<Timestamp>,
    /// The rendered target.
    pub target: Option<String>,
    /// The rendered steps.
    pub steps: Option<Vec<Value>>,
    /// Whether it is what became of a run that waited, rather than of a rule that was asked.
    pub follows: bool,
}

impl Finding {
    /// Whether something is done, or will be.
    fn acts(&self) -> bool {
        matches!(self.outcome, "run" | "held" | "awaiting-approval")
    }
}

/// A part of an expectation that did not come true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// Which key of the expectation.
    pub what: &'static str,
    /// What it asks for.
    pub expected: String,
    /// What there was.
    pub actual: String,
}

/// Why a test failed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Problem {
    /// File, line and column of what did not come true.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub place: Place,
    /// What is wrong, in one sentence.
    pub message: String,
    /// How what came differs from what was expected, where something comparable came.
    pub differences: Vec<Difference>,
}

/// What a test led to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TestResult {
    /// Its name.
    pub name: String,
    /// Where it stands.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub place: Place,
    /// Whether all that was expected came true, and nothing else was done.
    pub passed: bool,
    /// Why it failed; empty where it passed.
    pub problems: Vec<Problem>,
    /// What became of its events, without the rules that did not match and that it does not name.
    pub findings: Vec<Finding>,
}

fn as_text<S: serde::Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(place)
}

/// Tests that belong together, with what each of them answers for.
///
/// A test answers for the rules of its own file and for those that tests of its file name: if one of them acts and
/// no expectation covers that, the test fails. Rules of other files, a catch-all say, may act as they like; their own
/// tests look after them.
#[derive(Debug)]
pub struct Suite<'a> {
    world: World<'a>,
    tests: &'a [TestCase],
    answers_for: HashMap<Arc<PathBuf>, BTreeSet<&'a str>>,
}

impl<'a> Suite<'a> {
    /// The suite of all tests that were loaded with the rules of `world`.
    pub fn new(world: World<'a>, tests: &'a [TestCase]) -> Self {
        let mut answers_for: HashMap<Arc<PathBuf>, BTreeSet<&'a str>> = HashMap::new();
        for test in tests {
            let rules = answers_for.entry(Arc::clone(&test.place.file)).or_default();
            rules.extend(expectations(test).filter_map(|expectation| expectation.rule.as_deref()));
        }
        for rule in &world.rules.rules {
            if let Some(rules) = answers_for.get_mut(&rule.place.file) {
                rules.insert(rule.id.as_str());
            }
        }
        Self { world, tests, answers_for }
    }

    /// All tests, in the order in which they stand in their files.
    pub fn tests(&self) -> &'a [TestCase] {
        self.tests
    }

    /// Runs a test of this suite.
    pub fn run(&self, test: &TestCase, load: &LoadFixture<'_>) -> TestResult {
        let mut course = Course::new(self.world, &test.runs);
        let mut problems = Vec::new();
        for (number, event) in test.events.iter().enumerate() {
            let taken =
                payload::payload(event, number, load).and_then(|payload| course.take(number, event.after, payload));
            if let Err(message) = taken {
                let message = format!("event {} cannot be taken: {message}", number + 1);
                problems.push(Problem { place: event.place.clone(), message, differences: Vec::new() });
                break;
            }
        }
        let mut findings = course.finish();
        if problems.is_empty() {
            let none = BTreeSet::new();
            let answers_for = self.answers_for.get(&test.place.file).unwrap_or(&none);
            problems = judge::judge(test, &findings, self.world, answers_for);
        }
        let named: BTreeSet<&str> = expectations(test).filter_map(|one| one.rule.as_deref()).collect();
        findings.retain(|finding| {
            let is_named = finding.rule.as_deref().is_some_and(|rule| named.contains(rule));
            is_named || !matches!(finding.outcome, "not-matched") && !is_late_rule(finding)
        });
        TestResult {
            name: test.name.clone(),
            place: test.place.clone(),
            passed: problems.is_empty(),
            problems,
            findings,
        }
    }

    /// The rules that may act and that no test names, with where they stand, ordered by id.
    pub fn untested(&self) -> BTreeMap<&'a str, &'a Place> {
        let tested: BTreeSet<&str> =
            self.tests.iter().flat_map(expectations).filter_map(|one| one.rule.as_deref()).collect();
        let rules = self.world.rules.rules.iter().filter(|rule| rule.mode != Mode::Off);
        rules.map(|rule| (rule.id.as_str(), &rule.place)).filter(|(id, _)| !tested.contains(id)).collect()
    }
}

/// Every expectation of a test, wherever it stands.
pub fn expectations(test: &TestCase) -> impl Iterator<Item = &Expectation> {
    let in_events = test.events.iter().flat_map(|event| &event.expect);
    test.expect.iter().chain(in_events).flatten()
}

/// Whether a test has this text in its name, whatever the case, or expects something of the rule with this id.
pub fn is_about(test: &TestCase, text: &str) -> bool {
    let is_named = test.name.to_lowercase().contains(&text.to_lowercase());
    is_named || expectations(test).any(|one| one.rule.as_deref() == Some(text))
}

/// Whether this only repeats for one rule that its event is late.
fn is_late_rule(finding: &Finding) -> bool {
    finding.outcome == "late" && finding.rule.is_some()
}
