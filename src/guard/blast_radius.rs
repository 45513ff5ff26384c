//! `blast_radius`: at most so many distinct targets in a window.

use super::{Objection, Proposal, Verdict, duration, key};
use crate::clock::Timestamp;
use crate::journal::history::{History, Window};
use crate::rule::guards::BlastRadius;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let Some(radius) = &proposal.rule.guards.blast_radius else { return Verdict::Pass };
    let key = match key::key(&radius.by, proposal.event, proposal.target) {
        Ok(key) => key,
        Err(error) => return Verdict::Object(Objection::new("blast_radius", error.to_string(), None)),
    };
    let window = history.counts.of_rule(&proposal.rule.id, &key, proposal.dry, now.minus(radius.per));
    verdict("blast_radius", radius, &window, proposal)
}

/// Whether one more target is within the radius; a target that is in the window already does not add to it.
pub(super) fn verdict(guard: &str, radius: &BlastRadius, window: &Window<'_>, proposal: &Proposal<'_>) -> Verdict {
    let targets = window.targets(proposal.run);
    if targets.contains(proposal.target) || targets.len() < radius.targets as usize {
        return Verdict::Pass;
    }
    let until = window.oldest().map(|began| began.plus(radius.per));
    let reason = format!(
        "{} targets were acted upon within {}, and the limit by {} is {}",
        targets.len(),
        duration(radius.per),
        radius.by,
        radius.targets
    );
    Verdict::Object(Objection::new(guard, reason, until))
}
