//! `hold`: wait before acting. What calls a held run off is in [`crate::decide::turn`].

use super::{Proposal, Verdict};
use crate::clock::Timestamp;
use crate::journal::history::History;

pub(super) fn ask(proposal: &Proposal<'_>, _: &History, now: Timestamp) -> Verdict {
    match &proposal.rule.guards.hold {
        Some(hold) if proposal.is_first() => Verdict::Hold(now.plus(hold.lasts)),
        _ => Verdict::Pass,
    }
}
