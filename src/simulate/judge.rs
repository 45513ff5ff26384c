//! Whether what happened is what a test expects.

use std::collections::BTreeSet;

use super::compare::differences;
use super::{Finding, Problem, World, expectations, is_late_rule};
use crate::rule::test_case::{Expectation, TestCase};
use crate::rule::{Mode, Place, RuleId};

/// What of a test did not come true. `answers_for` names the rules that must not act unexpectedly.
pub(super) fn judge(
    test: &TestCase,
    findings: &[Finding],
    world: World<'_>,
    answers_for: &BTreeSet<&str>,
) -> Vec<Problem> {
    let mut problems: Vec<Problem> = expectations(test).filter_map(|one| cannot_come(one, world)).collect();
    problems.extend(test.runs.iter().filter_map(|run| no_such_run(&run.rule, test, world)));
    if !problems.is_empty() {
        return problems;
    }
    match &test.expect {
        Some(expected) => {
            let pool: Vec<&Finding> = findings.iter().collect();
            problems.extend(Ledger::new(&pool).settle(expected, &test.place, answers_for));
        }
        // An event that expects nothing prepares for the next; whatever came of it is right.
        None => {
            for (number, event) in test.events.iter().enumerate() {
                let Some(expected) = &event.expect else { continue };
                let concerns = |one: &&Finding| one.event == number || one.during == number;
                let pool: Vec<&Finding> = findings.iter().filter(concerns).collect();
                problems.extend(Ledger::new(&pool).settle(expected, &event.place, answers_for));
            }
        }
    }
    problems
}

/// An expectation that nothing could ever meet.
fn cannot_come(expectation: &Expectation, world: World<'_>) -> Option<Problem> {
    let name = expectation.rule.as_deref()?;
    let message = match world.rules.get(&RuleId::new(name)) {
        None => format!("there is no rule `{name}`"),
        Some(rule) if rule.mode.min(world.settings.ceiling) == Mode::Off => {
            format!("rule `{name}` is never asked: its mode, or the config's, is `off`")
        }
        Some(_) => return None,
    };
    Some(Problem { place: expectation.place.clone(), message, differences: Vec::new() })
}

/// That a test tells of runs of a rule that there is not.
fn no_such_run(rule: &str, test: &TestCase, world: World<'_>) -> Option<Problem> {
    if world.rules.get(&RuleId::new(rule)).is_some() {
        return None;
    }
    let message = format!("`runs` names a rule `{rule}`, and there is none");
    Some(Problem { place: test.place.clone(), message, differences: Vec::new() })
}

/// Findings, and which of them an expectation speaks of.
struct Ledger<'f> {
    pool: &'f [&'f Finding],
    /// Met an expectation.
    used: Vec<bool>,
    /// Was shown as what came instead of what an expectation asks for.
    compared: Vec<bool>,
}

impl<'f> Ledger<'f> {
    fn new(pool: &'f [&'f Finding]) -> Self {
        Self { pool, used: vec![false; pool.len()], compared: vec![false; pool.len()] }
    }

    /// Looks for each expectation, in order, and then for what acted without being expected.
    fn settle(mut self, expected: &[Expectation], place: &Place, answers_for: &BTreeSet<&str>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut moment = 0;
        for (at, expectation) in expected.iter().enumerate() {
            let later = expected.get(at + 1..).unwrap_or_default();
            match self.find(expectation, later, moment) {
                Some((index, found)) => {
                    if let Some(used) = self.used.get_mut(index) {
                        *used = true;
                    }
                    moment = found.moment;
                }
                None => problems.push(self.missing(expectation, moment)),
            }
        }
        let nothing_expected = expected.is_empty();
        for (index, finding) in self.pool.iter().enumerate() {
            let spoken_of = |flags: &[bool]| flags.get(index).copied().unwrap_or_default();
            let Some(rule) = &finding.rule else { continue };
            let counts = if nothing_expected {
                finding.acts() || finding.outcome == "dry-run"
            } else {
                finding.acts() && answers_for.contains(rule.as_str())
            };
            if counts && !finding.follows && !spoken_of(&self.used) && !spoken_of(&self.compared) {
                let on = finding.target.as_deref().map(|target| format!(" on {target}")).unwrap_or_default();
                let message = format!(
                    "event {} also led to: rule {rule}, outcome {}{on}, which no expectation covers",
                    finding.event + 1,
                    finding.outcome
                );
                problems.push(Problem { place: place.clone(), message, differences: Vec::new() });
            }
        }
        problems
    }

    /// The first finding from `moment` on that meets the expectation. Within a moment, one whose rule a later
    /// expectation names is left to that one where there is a choice.
    fn find(&self, expectation: &Expectation, later: &[Expectation], moment: usize) -> Option<(usize, &'f Finding)> {
        let is_wanted_later = |finding: &Finding| {
            expectation.rule.is_none() && finding.rule.is_some() && later.iter().any(|one| one.rule == finding.rule)
        };
        self.unused()
            .filter(|(_, finding)| finding.moment >= moment && speaks_of(expectation, finding))
            .filter(|(_, finding)| differences(expectation, finding).is_empty())
            .min_by_key(|(_, finding)| (finding.moment, is_wanted_later(finding)))
    }

    /// Says that an expectation was not met, and what came nearest to it.
    fn missing(&mut self, expectation: &Expectation, moment: usize) -> Problem {
        let named = match &expectation.rule {
            Some(rule) => format!("rule {rule}"),
            None => "an event".to_owned(),
        };
        let is_comparable = |finding: &Finding| match &expectation.rule {
            Some(rule) => finding.rule.as_ref() == Some(rule),
            None => finding.outcome != "not-matched" && !is_late_rule(finding),
        };
        let nearest = self
            .unused()
            .filter(|(_, finding)| is_comparable(finding))
            .map(|(index, finding)| (index, finding, differences(expectation, finding)))
            .min_by_key(|(_, finding, differences)| (finding.moment < moment, differences.len(), finding.moment));
        let (message, differences) = match nearest {
            Some((index, finding, differences)) => {
                if let Some(compared) = self.compared.get_mut(index) {
                    *compared = true;
                }
                let event = finding.event + 1;
                if differences.is_empty() {
                    let message = format!("{named} did this, but earlier than expected here, at event {event}");
                    (message, differences)
                } else {
                    (format!("{named} did otherwise at event {event}"), differences)
                }
            }
            None => (format!("{named} did nothing that could be this"), Vec::new()),
        };
        let message = format!("{message}; expected {}", in_words(expectation));
        Problem { place: expectation.place.clone(), message, differences }
    }

    fn unused(&self) -> impl Iterator<Item = (usize, &'f Finding)> {
        let unused = self.pool.iter().copied().enumerate().zip(&self.used);
        unused.filter(|(_, used)| !**used).map(|(found, _)| found)
    }
}

/// Whether an expectation can be about a finding at all.
fn speaks_of(expectation: &Expectation, finding: &Finding) -> bool {
    let Expectation { rule, outcome, because, reason, .. } = expectation;
    // That a rule did not match is nothing to speak of unless it is asked for.
    let asks_for_no_match = match outcome.as_deref() {
        Some(outcome) => outcome == "not-matched",
        None => because.is_some() || reason.is_some(),
    };
    if finding.outcome == "not-matched" && !asks_for_no_match {
        return false;
    }
    match (rule, &finding.rule) {
        (Some(rule), Some(seen)) => rule == seen,
        // What comes before any rule is asked comes to each of them.
        (Some(_), None) => matches!(finding.outcome, "duplicate" | "refused"),
        (None, _) => !is_late_rule(finding),
    }
}

fn in_words(expectation: &Expectation) -> String {
    let parts = [("outcome", &expectation.outcome), ("because", &expectation.because), ("target", &expectation.target)];
    let words: Vec<String> =
        parts.iter().filter_map(|(key, value)| Some(format!("{key} {}", value.as_ref()?))).collect();
    if words.is_empty() { "something of it".into() } else { words.join(", ") }
}
