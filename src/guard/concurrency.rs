//! `concurrency`: at most so many runs at a time, by default one a target over the whole rule set; and the limit
//! of runs that the engine as a whole does at a time.

use super::{Objection, Proposal, Stage, Verdict, key};
use crate::clock::Timestamp;
use crate::journal::history::History;
use crate::rule::guards::Over;

/// The lock that every run holds; `limits.runs` of the config says how many may.
pub const ENGINE_LOCK: &str = "engine";

/// How many runs may wait. Each holds about a kilobyte; more than this is a storm that no queue will heal.
pub const WAITING_MAX: usize = 10_000;

pub(super) fn ask(proposal: &Proposal<'_>, history: &History, _: Timestamp) -> Verdict {
    if proposal.dry {
        return Verdict::Pass;
    }
    let guard = &proposal.rule.guards.concurrency;
    if let Err(error) = key::key(&guard.by, proposal.event, proposal.target) {
        return Verdict::Object(Objection::new("concurrency", error.to_string(), None));
    }
    if let Some(lock) = gates(proposal).into_iter().find(|lock| is_taken(proposal, history, lock, guard.max)) {
        let holder = history.runs.a_holder(&lock).map_or_else(|| "an earlier run".into(), |run| format!("run {run}"));
        let behind = format!("{lock} is held by {holder}");
        return match guard.over {
            Over::Skip => Verdict::Object(Objection::new("concurrency", behind, None)),
            Over::Queue => queue(proposal, history, behind),
        };
    }
    let runs_max = proposal.settings.runs_max;
    if is_taken(proposal, history, ENGINE_LOCK, runs_max) {
        // Where the engine has room, those that wait do so for something else; this run goes past them at its turn,
        // which comes at once.
        let behind = match history.runs.holders(ENGINE_LOCK) >= runs_max {
            true => format!("{runs_max} runs act at a time"),
            false => format!("it takes its turn after what waits already ({})", history.runs.waiting_len()),
        };
        return queue(proposal, history, behind);
    }
    Verdict::Pass
}

/// The locks that a run of this proposal holds while it acts: those of all that it touches, whatever the rule counts by,
/// so that other rules see it; its rule's own; and the engine's. It takes them at once, so no two runs can wait for each
/// other.
pub fn locks(proposal: &Proposal<'_>) -> Vec<String> {
    let mut locks = vec![ENGINE_LOCK.to_owned()];
    locks.extend(proposal.touched().map(|target| format!("target:{target}")));
    let own = gates(proposal).into_iter().filter(|gate| !locks.contains(gate)).collect::<Vec<_>>();
    locks.extend(own);
    locks
}

/// The locks that the rule's own `concurrency` asks for. A target is one for all rules; anything else that a rule
/// counts by is its own. Never empty.
pub fn gates(proposal: &Proposal<'_>) -> Vec<String> {
    match key::keys(&proposal.rule.guards.concurrency.by, proposal) {
        Ok(keys) => keys
            .into_iter()
            .map(|key| if key.starts_with("target:") { key } else { format!("{} {key}", proposal.rule.id) })
            .collect(),
        // The guard objects to what cannot be counted; the rule as a whole stands in for it.
        Err(_) => vec![proposal.rule.id.to_string()],
    }
}

fn is_taken(proposal: &Proposal<'_>, history: &History, lock: &str, max: u32) -> bool {
    let overtakes = match proposal.stage {
        Stage::First | Stage::Again => history.runs.queued_for(lock) > 0,
        Stage::Turn { blocked, .. } => blocked.contains(lock),
    };
    overtakes || history.runs.holders(lock) >= max
}

fn queue(proposal: &Proposal<'_>, history: &History, behind: String) -> Verdict {
    if !matches!(proposal.stage, Stage::Turn { .. }) && history.runs.waiting_len() >= WAITING_MAX {
        return Verdict::Object(Objection::new(
            "concurrency",
            format!("{behind}, and {WAITING_MAX} runs wait already"),
            None,
        ));
    }
    Verdict::Queue { behind }
}
