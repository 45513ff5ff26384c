//! The rules that are in force, and what they promise.

use std::collections::HashMap;

use super::super::world::rule;

const MINUTE: u64 = 60;

/// What the rules below promise, as the account holds it against them. Zero stands for "does not promise it".
#[derive(Debug, Default)]
pub(super) struct Promise {
    /// Runs, seconds, and whether each target is counted apart.
    pub(super) rate: (usize, u64, bool),
    /// Targets, seconds, on each channel.
    pub(super) radius: (usize, u64),
    pub(super) cooldown_s: u64,
    pub(super) hold_s: u64,
    /// Events, seconds.
    pub(super) threshold: (usize, u64),
    /// Failures, seconds, seconds that it stays open.
    pub(super) breaker: (usize, u64, u64),
    /// Runs on a target, seconds; after them one that escalates.
    pub(super) attempts: (usize, u64),
    /// How many of the rule act at a time; zero stands for one on each target.
    pub(super) at_a_time: usize,
    pub(super) asks: bool,
    /// Occasions are told apart by incident, until it closes or reopens; the others by target, for some seconds.
    pub(super) slot_s: Option<u64>,
}

/// A rule that fails as often as it likes.
const NEVER_OPEN: &str = "breaker: { failures: 128, within: 1s, open_for: 1s }";

pub(super) fn rules() -> (String, HashMap<&'static str, Promise>) {
    let many = "rate: { max: 100000, per: 1h }";
    let all = [
        (
            "often",
            format!("    guards: {{ rate: {{ max: 2, per: 10m, by: target }}, {NEVER_OPEN} }}\n"),
            Promise { rate: (2, 10 * MINUTE, true), ..Promise::default() },
        ),
        (
            "narrow",
            format!("    guards: {{ {many}, blast_radius: {{ targets: 2, per: 20m, by: channel }}, {NEVER_OPEN} }}\n"),
            Promise { radius: (2, 20 * MINUTE), ..Promise::default() },
        ),
        (
            "cool",
            format!("    guards: {{ {many}, cooldown: 5m, {NEVER_OPEN} }}\n"),
            Promise { cooldown_s: 5 * MINUTE, ..Promise::default() },
        ),
        (
            "held",
            format!(
                "    guards: {{ hold: {{ for: 3m, cancel_on: [i_ack] }}, rate: {{ max: 3, per: 10m }}, {NEVER_OPEN} }}\n"
            ),
            Promise { hold_s: 3 * MINUTE, rate: (3, 10 * MINUTE, false), ..Promise::default() },
        ),
        (
            "asked",
            format!(
                "    mode: approve\n    dedupe: {{ by: [target], for: 3m }}\n    guards: {{ {many}, hold: {{ for: 1m }}, {NEVER_OPEN} }}\n"
            ),
            Promise { asks: true, hold_s: MINUTE, slot_s: Some(3 * MINUTE), ..Promise::default() },
        ),
        (
            "third",
            format!("    guards: {{ {many}, threshold: {{ count: 3, within: 5m }}, {NEVER_OPEN} }}\n"),
            Promise { threshold: (3, 5 * MINUTE), ..Promise::default() },
        ),
        (
            "fragile",
            format!("    guards: {{ {many}, breaker: {{ failures: 2, within: 10m, open_for: 30m }} }}\n"),
            Promise { breaker: (2, 10 * MINUTE, 30 * MINUTE), ..Promise::default() },
        ),
        (
            "tries",
            format!(
                "    guards: {{ {many}, attempts: {{ max: 1, per: 1h, by: target, then: [ {{ run: [/bin/false] }} ] }}, {NEVER_OPEN} }}\n"
            ),
            Promise { attempts: (1, 60 * MINUTE), ..Promise::default() },
        ),
        (
            "alone",
            format!("    guards: {{ {many}, concurrency: {{ max: 1, by: rule, over: skip }}, {NEVER_OPEN} }}\n"),
            Promise { at_a_time: 1, ..Promise::default() },
        ),
    ];
    let text = all.iter().map(|(id, guards, _)| rule(id, guards)).collect::<String>();
    (text, all.into_iter().map(|(id, _, promise)| (id, promise)).collect())
}

/// Over all rules: runs and seconds, and targets and seconds. And how many act at a time.
pub(super) const BUDGET: (usize, u64) = (14, 30 * MINUTE);
pub(super) const BUDGET_TARGETS: (usize, u64) = (4, 30 * MINUTE);
pub(super) const AT_A_TIME: usize = 3;
pub(super) const CONFIG: &str = "limits: { runs: 3 }
budgets:
  - { name: all, rate: { max: 14, per: 30m } }
  - { name: reach, blast_radius: { targets: 4, per: 30m } }
";

/// How long a run may wait.
pub(super) const MAX_WAIT_S: u64 = 15 * MINUTE;

/// The channel of an incident; some have none in common.
pub(super) fn channel(incident: u8) -> i64 {
    i64::from(incident % 2) + 5
}
