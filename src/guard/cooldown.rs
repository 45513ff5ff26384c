//! `cooldown`: leave a target alone for a while after a run on it ended.

use super::{Objection, Proposal, Verdict, duration};
use crate::clock::Timestamp;
use crate::journal::history::History;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let Some(cooldown) = proposal.rule.guards.cooldown else { return Verdict::Pass };
    let last =
        proposal.touched().filter_map(|target| Some((history.counts.last_end(&proposal.rule.id, target)?, target)));
    let Some((ended, target)) = last.max() else { return Verdict::Pass };
    let until = ended.plus(cooldown);
    if now >= until {
        return Verdict::Pass;
    }
    let reason = format!("the last run on {target} ended at {ended}, less than {} ago", duration(cooldown));
    Verdict::Object(Objection::new("cooldown", reason, Some(until)))
}
