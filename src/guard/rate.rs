//! `rate`: at most so many runs in a window.

use super::{Objection, Proposal, Verdict, counted, duration, key};
use crate::clock::Timestamp;
use crate::journal::history::{History, Window};
use crate::rule::guards::Rate;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let rate = &proposal.rule.guards.rate;
    let since = now.minus(rate.per);
    key::first_objection("rate", key::keys(&rate.by, proposal), |key| {
        let window = history.counts.of_rule(&proposal.rule.id, key, proposal.dry, since);
        verdict("rate", rate, &window, proposal.own_since(since))
    })
}

/// Whether a window has room for one more run; `own` of its runs are the proposed one itself.
pub(super) fn verdict(guard: &str, rate: &Rate, window: &Window<'_>, own: usize) -> Verdict {
    let others = window.len().saturating_sub(own);
    let max = rate.max as usize;
    if others < max {
        return Verdict::Pass;
    }
    // There is room again when the run that is `max` from the end has left the window.
    let until = window.began_nth_last(max).map(|began| began.plus(rate.per));
    let (runs, per) = (counted(others, "run"), duration(rate.per));
    let reason = format!("{runs} began within {per}, and the limit by {} is {max}", rate.by);
    Verdict::Object(Objection::new(guard, reason, until))
}
