//! An expectation held against a finding. Only what the expectation says is compared.

use serde_json::{Map, Value};

use super::{Difference, Finding};
use crate::rule::duration;
use crate::rule::test_case::{Expectation, Until};

/// What stands where there is nothing.
const NOTHING: &str = "(none)";

/// How `finding` differs from what is expected; empty where it does not.
pub(super) fn differences(expectation: &Expectation, finding: &Finding) -> Vec<Difference> {
    let Expectation { outcome, because, reason, until, target, steps, .. } = expectation;
    let mut found = Vec::new();
    let mut differs = |what, expected: String, actual: String| found.push(Difference { what, expected, actual });
    if let Some(outcome) = outcome.as_deref().filter(|outcome| *outcome != finding.outcome) {
        let why = finding.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        differs("outcome", outcome.to_owned(), format!("{}{why}", finding.outcome));
    }
    if let Some(because) = because.as_deref().filter(|because| !is_because(because, finding)) {
        differs("because", because.to_owned(), shown(finding.because.as_deref()));
    }
    if let Some(part) =
        reason.as_deref().filter(|part| !finding.reason.as_deref().is_some_and(|why| why.contains(part)))
    {
        differs("reason", part.to_owned(), shown(finding.reason.as_deref()));
    }
    if let Some(until) = until {
        let expected = match until {
            Until::At(at) => *at,
            Until::After(time) => finding.at.plus(*time),
        };
        if finding.until != Some(expected) {
            let words = match until {
                Until::At(at) => at.to_string(),
                Until::After(time) => format!("{} ({expected})", duration::show(*time)),
            };
            let actual = finding.until.map(|until| {
                let after = duration::show(until.since(finding.at));
                format!("{after} ({until})")
            });
            differs("until", words, shown(actual.as_deref()));
        }
    }
    if let Some(target) = target.as_deref().filter(|target| finding.target.as_deref() != Some(target)) {
        differs("target", target.to_owned(), shown(finding.target.as_deref()));
    }
    if let Some(steps) = steps {
        found.extend(steps_differ(steps, finding.steps.as_deref()));
    }
    found
}

fn shown(text: Option<&str>) -> String {
    text.unwrap_or(NOTHING).to_owned()
}

/// Whether the finding's cause is `because`, or a part of it: `match.labels` stands for `match.labels.env`, and
/// `budget` for `budget:whole engine`.
fn is_because(because: &str, finding: &Finding) -> bool {
    let Some(rest) = finding.because.as_deref().and_then(|seen| seen.strip_prefix(because)) else { return false };
    rest.is_empty() || rest.starts_with(['.', '[', ':', ','])
}

/// Each expected step must be a part of a planned one, in the same order; further planned ones may stand between.
fn steps_differ(expected: &[Value], actual: Option<&[Value]>) -> Option<Difference> {
    let differs = |expected: String, actual: String| Some(Difference { what: "steps", expected, actual });
    let Some(actual) = actual else { return differs(list(expected), "(no step was planned)".into()) };
    if expected.is_empty() && !actual.is_empty() {
        return differs(list(expected), list(actual));
    }
    let mut rest = actual;
    for step in expected {
        match rest.iter().position(|planned| is_part(step, planned)) {
            Some(at) => rest = rest.get(at + 1..).unwrap_or_default(),
            None => {
                let comparable: Vec<Value> = rest.iter().map(|planned| only_keys_of(step, planned)).collect();
                return differs(step.to_string(), list(&comparable));
            }
        }
    }
    None
}

/// Whether `part` is in `whole`: every key of a mapping, recursively; everything else must be equal.
fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|other| is_part(value, other)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| is_part(part, whole))
        }
        _ => part == whole,
    }
}

/// What of a planned step an expected one speaks of, so that the two can be read side by side; all of it where they
/// have nothing in common.
fn only_keys_of(expected: &Value, planned: &Value) -> Value {
    let (Value::Object(expected), Value::Object(planned)) = (expected, planned) else { return planned.clone() };
    let common: Map<String, Value> = planned
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), only_keys_of(expected.get(key)?, value))))
        .collect();
    Value::Object(if common.is_empty() { planned.clone() } else { common })
}

fn list(steps: &[Value]) -> String {
    if steps.is_empty() {
        return NOTHING.into();
    }
    steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
