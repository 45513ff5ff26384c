//! `budgets` of the config: caps across rules, asked after the rule's own guards.

use super::{Proposal, Verdict, blast_radius, key, rate};
use crate::clock::Timestamp;
use crate::config::Budget;
use crate::journal::history::History;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    // A dry run spends nothing, so the budgets of what really runs are not asked for it.
    if proposal.dry {
        return Verdict::Pass;
    }
    proposal
        .settings
        .budgets
        .iter()
        .map(|budget| ask_one(budget, proposal, history, now))
        .find(|verdict| *verdict != Verdict::Pass)
        .unwrap_or(Verdict::Pass)
}

fn ask_one(budget: &Budget, proposal: &Proposal<'_>, history: &History, now: Timestamp) -> Verdict {
    let name = format!("budget:{}", budget.name);
    if let Some(cap) = &budget.rate {
        let since = now.minus(cap.per);
        let verdict = key::first_objection(&name, key::engine_keys(&cap.by, proposal), |key| {
            let window = history.counts.of_everyone(key, since);
            rate::verdict(&name, cap, &window, proposal.own_since(since))
        });
        if verdict != Verdict::Pass {
            return verdict;
        }
    }
    let Some(cap) = &budget.blast_radius else { return Verdict::Pass };
    key::first_objection(&name, key::engine_keys(&cap.by, proposal), |key| {
        let window = history.counts.of_everyone(key, now.minus(cap.per));
        blast_radius::verdict(&name, cap, &window, proposal)
    })
}
