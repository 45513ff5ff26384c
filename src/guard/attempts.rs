//! `attempts`: after so many runs something else is done, once.

use super::{Objection, Proposal, Verdict, counted, duration, key};
use crate::clock::Timestamp;
use crate::journal::history::History;
use crate::rule::guards::Attempts;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let Some(attempts) = &proposal.rule.guards.attempts else { return Verdict::Pass };
    key::first_objection("attempts", key::keys(&attempts.by, proposal), |key| {
        ask_one(attempts, key, proposal, history, now)
    })
}

fn ask_one(attempts: &Attempts, key: &str, proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let since = now.minus(attempts.per);
    let count = |key: &str| history.counts.of_rule(&proposal.rule.id, key, proposal.dry, since);
    let (escalation, max) = (escalation_key(key), attempts.max as usize);
    let escalations = count(&escalation).len_without(proposal.run);
    let runs = count(key).len_without(proposal.run).saturating_sub(escalations);
    if runs < max {
        return Verdict::Pass;
    }
    if escalations == 0 && !attempts.then.is_empty() {
        return Verdict::Escalate;
    }
    let until = count(key).oldest().map(|began| began.plus(attempts.per));
    let runs = counted(runs, "run");
    let reason = format!("{runs} within {} did not help, and the limit is {max}", duration(attempts.per));
    Verdict::Object(Objection::new("attempts", reason, until))
}

/// The key under which escalations are counted apart from the runs they follow.
pub(super) fn escalation_key(key: &str) -> String {
    format!("escalation {key}")
}
