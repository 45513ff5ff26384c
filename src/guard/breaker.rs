//! `breaker`: a rule whose runs fail stops for a while.

use super::{Objection, Proposal, Verdict, counted, duration};
use crate::clock::Timestamp;
use crate::journal::history::History;
use crate::rule::Rule;
use crate::rule::guards::Breaker;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let breaker = &proposal.rule.guards.breaker;
    match open_until(proposal.rule, history, now) {
        Some(until) => {
            let (failed, within) = (counted(breaker.failures as usize, "run"), duration(breaker.within));
            let reason = format!("the breaker is open: {failed} failed within {within}");
            Verdict::Object(Objection::new("breaker", reason, Some(until)))
        }
        None => Verdict::Pass,
    }
}

/// Until when the breaker of `rule` is open; `None` where it is closed.
pub fn open_until(rule: &Rule, history: &History, now: Timestamp) -> Option<Timestamp> {
    let failures: Vec<Timestamp> = history.failures(&rule.id).collect();
    let until = opened_at(&rule.guards.breaker, &failures)?.plus(rule.guards.breaker.open_for);
    (now < until).then_some(until)
}

/// When the breaker was opened last: at the latest failure that was the last of enough within the window.
fn opened_at(breaker: &Breaker, failures: &[Timestamp]) -> Option<Timestamp> {
    failures
        .windows(breaker.failures as usize)
        .rev()
        .filter_map(|run| Some((*run.first()?, *run.last()?)))
        .find(|(first, last)| last.since(*first) <= breaker.within)
        .map(|(_, last)| last)
}
