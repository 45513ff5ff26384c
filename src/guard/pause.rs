//! The kill switch: a paused engine starts nothing new.

use super::{Objection, Proposal, Stage, Verdict};
use crate::clock::Timestamp;
use crate::journal::history::History;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let Some(pause) = history.paused(now) else { return Verdict::Pass };
    match proposal.stage {
        Stage::First => {
            let reason = match &pause.reason {
                Some(reason) => format!("the engine is paused: {reason}"),
                None => "the engine is paused".to_owned(),
            };
            Verdict::Object(Objection::new("pause", reason, pause.until))
        }
        // What was decided before the pause is not thrown away: it waits, and expires if the pause lasts too long.
        Stage::Turn { .. } => Verdict::Queue { behind: "the engine is paused".into() },
    }
}
