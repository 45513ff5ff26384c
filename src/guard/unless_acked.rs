//! `unless_acked`: hold off while a person has the incident.

use super::{Objection, Proposal, Verdict};
use crate::clock::Timestamp;
use crate::journal::history::History;

pub(super) fn ask(proposal: &Proposal<'_>, _: &History, _: Timestamp) -> Verdict {
    if proposal.rule.guards.unless_acked && proposal.event.progress() == Some("Processing") {
        return Verdict::Object(Objection::new("unless_acked", "a person has acknowledged the incident", None));
    }
    Verdict::Pass
}
