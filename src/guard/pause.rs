//! The kill switch: what is paused starts nothing new.

use super::{Objection, Proposal, Stage, Verdict};
use crate::clock::Timestamp;
use crate::journal::history::History;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let event = proposal.event;
    let pause = history.pauses.over(&proposal.rule.id, event.channel_id(), event.channel_name(), now);
    match (pause, proposal.stage) {
        (None, _) => Verdict::Pass,
        (Some(pause), Stage::First | Stage::Again) => {
            Verdict::Object(Objection::new("pause", pause.in_words(), pause.until))
        }
        // What was decided before the pause is not thrown away: it waits, and expires if the pause lasts too long.
        (Some(pause), Stage::Turn { .. }) => Verdict::Queue { behind: pause.in_words() },
    }
}
