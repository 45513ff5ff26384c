//! `recheck: incident`: Flashduty is asked just before acting. That needs the network, and so is the runner's; here it is
//! told at once where there is nothing to ask about.

use super::{Objection, Proposal, Verdict};
use crate::clock::Timestamp;
use crate::journal::history::History;

pub(super) fn ask(proposal: &Proposal<'_>, _: &History, _: Timestamp) -> Verdict {
    if proposal.rule.guards.recheck && proposal.event.incident_id.is_none() {
        let reason = "the event belongs to no incident, so Flashduty cannot be asked whether it is still open";
        return Verdict::Object(Objection::new("recheck", reason, None));
    }
    Verdict::Pass
}
