//! `dedupe`: the same occasion is acted upon once.

use super::{Objection, Proposal, Verdict, key};
use crate::clock::Timestamp;
use crate::journal::history::History;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let slot = match key::dedupe_key(&proposal.rule.dedupe.by, proposal.event, proposal.target) {
        Ok(slot) => slot,
        Err(error) => return Verdict::Object(Objection::new("dedupe", error.to_string(), None)),
    };
    if proposal.is_again() {
        return Verdict::Pass;
    }
    match history.slots.get(&proposal.rule.id, &slot, proposal.dry, now) {
        Some(taken) if taken.run != *proposal.run => {
            let reason = match taken.until {
                Some(_) => format!("{slot} already led to run {}", taken.run),
                None => format!("{slot} already led to run {}, and has not closed or reopened since", taken.run),
            };
            Verdict::Object(Objection::new("dedupe", reason, taken.until))
        }
        _ => Verdict::Pass,
    }
}
