//! What a crash left behind: runs with an intent and no outcome.

use std::sync::Arc;

use super::flashduty::Outgoing;
use crate::action::process;
use crate::clock::Clock;
use crate::journal::history::{History, RunState};
use crate::journal::record::{Record, RunEnd, RunId};
use crate::journal::{Journal, Refused};
use crate::report::Report;
use crate::rule::RuleSet;

/// Ends every run that was acting when the daemon died: first what is left of its processes, then its record. It
/// may have done anything, so it is never simply run again.
pub(super) async fn end_interrupted(
    history: &mut History,
    journal: &Journal,
    clock: &dyn Clock,
    report: &Arc<Report>,
    outgoing: &Outgoing,
    rules: &RuleSet,
) -> Result<(), Refused> {
    let interrupted: Vec<RunId> = history
        .runs
        .iter()
        .filter(|(_, run)| matches!(run.state, RunState::Active { .. }))
        .map(|(id, _)| id.clone())
        .collect();
    if interrupted.is_empty() {
        return Ok(());
    }
    let mut records = Vec::new();
    let now = clock.now();
    for run in interrupted {
        let Some(known) = history.runs.get(&run) else { continue };
        let RunState::Active { since } = known.state else { continue };
        // Nothing of ours was started yet, so no process is too young to be left over. Our own start would be the
        // wrong bound: start times come in ticks of 10 ms, and a daemon restarts within one.
        let (found, left) = process::end_leftovers(&run, process::StartTime::MAX).await;
        let left = match (found, left) {
            (0, _) => String::new(),
            (found, 0) => format!("; {found} of its processes were still there and were ended"),
            (found, left) => format!("; {found} of its processes were still there, and {left} of them resisted"),
        };
        let error = Some(format!("the daemon died between the run's intent and its outcome{left}"));
        let duration_ms = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
        let comment = rules
            .get(&known.rule)
            .and_then(|rule| outgoing.of_interrupted(&run, known, rule, error.as_deref(), duration_ms, report));
        let record = Record::RunEnded {
            run: run.clone(),
            rule: known.rule.clone(),
            target: known.target.clone(),
            end: RunEnd::Interrupted,
            acted: true,
            keeps_slot: true,
            error,
            duration_ms,
        };
        report.ended_waiting(&record);
        for record in [Some(record), comment].into_iter().flatten() {
            history.apply(history.last_seq(), now, &record);
            records.push(record);
        }
    }
    journal.append_folded(now, records).await
}
