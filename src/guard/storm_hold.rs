//! `storm_hold`: hold off after a storm warning on the channel.

use super::{Objection, Proposal, Verdict, duration};
use crate::clock::Timestamp;
use crate::journal::history::History;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let Some(hold) = proposal.rule.guards.storm_hold else { return Verdict::Pass };
    let Some(channel) = proposal.event.channel_id() else { return Verdict::Pass };
    match history.storm(channel).map(|storm| storm.plus(hold)) {
        Some(until) if now < until => {
            let reason = format!("a storm warning came on channel {channel} less than {} ago", duration(hold));
            Verdict::Object(Objection::new("storm_hold", reason, Some(until)))
        }
        _ => Verdict::Pass,
    }
}
