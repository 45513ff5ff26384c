//! `blast_radius`: at most so many distinct targets in a window.

use super::{Objection, Proposal, Verdict, counted, duration, key};
use crate::clock::Timestamp;
use crate::journal::history::{History, Window};
use crate::rule::guards::BlastRadius;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let Some(radius) = &proposal.rule.guards.blast_radius else { return Verdict::Pass };
    key::first_objection("blast_radius", key::keys(&radius.by, proposal), |key| {
        let window = history.counts.of_rule(&proposal.rule.id, key, proposal.dry, now.minus(radius.per));
        verdict("blast_radius", radius, &window, proposal)
    })
}

/// Whether what would be acted upon is within the radius; a target that is in the window already does not add to it.
pub(super) fn verdict(guard: &str, radius: &BlastRadius, window: &Window<'_>, proposal: &Proposal<'_>) -> Verdict {
    let targets = window.targets(proposal.run);
    let acted_on = proposal.acted_on();
    let added = acted_on.iter().filter(|target| !targets.contains(**target)).count();
    let max = radius.targets as usize;
    if added == 0 || targets.len() + added <= max {
        return Verdict::Pass;
    }
    // Of a list that is longer than the radius nothing is ever done.
    let until = if added > max { None } else { window.oldest().map(|began| began.plus(radius.per)) };
    let were = if targets.len() == 1 { "was" } else { "were" };
    let before = format!("{} {were} acted upon within {}", counted(targets.len(), "target"), duration(radius.per));
    let more = if acted_on.len() > 1 { format!(", this would add {added}") } else { String::new() };
    let reason = format!("{before}{more}, and the limit by {} is {max}", radius.by);
    Verdict::Object(Objection::new(guard, reason, until))
}
