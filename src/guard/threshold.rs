//! `threshold`: act only once enough matching events came.

use super::{Objection, Proposal, Verdict, duration, key};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::journal::history::History;
use crate::journal::record::Tally;
use crate::rule::{By, Rule};

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let Some(threshold) = proposal.rule.guards.threshold.as_ref().filter(|_| proposal.is_first()) else {
        return Verdict::Pass;
    };
    let key = match tally_key(proposal.rule, proposal.event, proposal.target) {
        Ok(key) => key,
        Err(error) => return Verdict::Object(Objection::new("threshold", error.to_string(), None)),
    };
    // The history counts the matches before this one.
    let count = history.counts.tallied(&proposal.rule.id, &key, now.minus(threshold.within)) + 1;
    if count >= threshold.count as usize {
        return Verdict::Pass;
    }
    let reason = format!("{count} of {} matching events came within {}", threshold.count, duration(threshold.within));
    Verdict::Object(Objection::new("threshold", reason, None))
}

/// The match to count towards the rule's threshold, where it has one.
pub fn tally(rule: &Rule, event: &Event, target: &str, now: Timestamp) -> Option<Tally> {
    let threshold = rule.guards.threshold.as_ref()?;
    let key = tally_key(rule, event, target).ok()?;
    Some(Tally { key, until: now.plus(threshold.within) })
}

fn tally_key(rule: &Rule, event: &Event, target: &str) -> Result<String, key::KeyError> {
    match rule.guards.threshold.as_ref().map(|threshold| threshold.by.as_slice()) {
        None | Some([]) => key::key(&By::Rule, event, target),
        Some(by) => key::dedupe_key(by, event, target),
    }
}
