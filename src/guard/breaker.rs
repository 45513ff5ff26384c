//! `breaker`: a rule whose runs fail stops for a while.

use super::{Objection, Proposal, Verdict, duration};
use crate::clock::Timestamp;
use crate::journal::history::History;
use crate::rule::guards::Breaker;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let breaker = &proposal.rule.guards.breaker;
    let failures: Vec<Timestamp> = history.failures(&proposal.rule.id).collect();
    match opened_at(breaker, &failures).map(|opened| opened.plus(breaker.open_for)) {
        Some(until) if now < until => {
            let reason =
                format!("the breaker is open: {} runs failed within {}", breaker.failures, duration(breaker.within));
            Verdict::Object(Objection::new("breaker", reason, Some(until)))
        }
        _ => Verdict::Pass,
    }
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
