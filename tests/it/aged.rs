//! A journal as it is after months: written by the journal itself, without the engine, so that it takes seconds.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use stanch::clock::{SystemClock, wall_now};
use stanch::event;
use stanch::journal::record::{Decided, Outcome, Phase, Record, Reservation, RunEnd, RunId, StepEnd, StepResult};
use stanch::journal::{Committed, Intake, RecordSink, Recovered};
use stanch::rule::RuleId;

use crate::support::{incident, with};

/// How many runs are written at a time.
const CHUNK: usize = 500;

/// Fills the journal in the folder `data` with so many events, each of which led to a run that succeeded.
pub(crate) fn fill(data: &Path, runs: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(write(data, runs));
}

async fn write(data: &Path, runs: usize) {
    let recovered = Recovered::open(data, false).unwrap();
    let (_, mut opened) = recovered.start(Arc::new(SystemClock::new()), |_| {}).unwrap();
    let journal = opened.journal;
    for first in (0..runs).step_by(CHUNK) {
        let admitted: Vec<_> = (first..first + CHUNK)
            .map(|nth| {
                let journal = journal.clone();
                tokio::spawn(async move { journal.admit(push(nth)).await.unwrap() })
            })
            .collect();
        let mut seqs = HashMap::new();
        while seqs.len() < CHUNK {
            if let Some(Committed::Push { seq, event, .. }) = opened.committed.recv().await {
                seqs.insert(event.id.to_string(), seq);
            }
        }
        for one in admitted {
            one.await.unwrap();
        }
        let records = (first..first + CHUNK).flat_map(|nth| records(nth, seqs[&format!("e-{nth}")])).collect();
        journal.append(records).await.unwrap();
    }
    journal.close();
    tokio::task::spawn_blocking(move || opened.writer.join().unwrap()).await.unwrap();
}

fn push(nth: usize) -> event::Event {
    let changes = [("/incident/incident_id", serde_json::json!(format!("i-{}", nth % 5000)))];
    let body = with(incident(&format!("e-{nth}"), ""), &changes).to_string();
    event::read(body.into(), "flashduty".into(), wall_now()).unwrap()
}

/// What the engine would have recorded of the event at `seq`.
fn records(nth: usize, seq: u64) -> Vec<Record> {
    let now = wall_now();
    let (event, rule) = (event::EventId::new(format!("e-{nth}")), RuleId::new("disk-full"));
    let (run, target) = (RunId::derive(&event, &rule, 0), format!("db-{}", nth % 50));
    let plan = serde_json::json!({ "target": target, "steps": [{ "run": ["/bin/echo", "cleared"] }] });
    let reservation = Reservation {
        run: run.clone(),
        slot: format!("incident:i-{}", nth % 5000),
        slot_until: Some(now),
        target: target.clone(),
        keys: vec![],
        budget_keys: vec![],
        locks: vec![format!("target:{target}")],
        gate: format!("target:{target}"),
        more_gates: vec![],
        items: vec![],
        counted_until: now,
        expires: now,
        held_until: None,
        cancel_on: vec![],
        channel_name: None,
        shown: None,
    };
    let decided = Decided {
        rule: rule.clone(),
        outcome: Outcome::Run { queued: None },
        reservation: Some(reservation),
        tally: None,
        plan: Some(plan.clone()),
    };
    let result = StepResult {
        end: StepEnd::Succeeded,
        exit_code: Some(0),
        signal: None,
        status: None,
        stdout: "cleared\n".into(),
        stderr: String::new(),
        dropped_bytes: 0,
        error: None,
        duration_ms: 3,
    };
    let (phase, step, name, attempt) = (Phase::Steps, 0, "clear".to_owned(), 1);
    vec![
        Record::Decided {
            from_seq: seq,
            to_seq: seq,
            event: Some(event.clone()),
            generation: 1,
            late_since: None,
            decisions: vec![decided],
        },
        Record::RunIntended {
            run: run.clone(),
            rule: rule.clone(),
            event,
            generation: 1,
            target: target.clone(),
            plan,
        },
        Record::StepStarted { run: run.clone(), phase, step, each: None, name: name.clone(), attempt },
        Record::StepEnded { run: run.clone(), phase, step, each: None, name, attempt, result },
        Record::RunEnded {
            run,
            rule,
            target,
            end: RunEnd::Succeeded,
            acted: true,
            keeps_slot: true,
            error: None,
            duration_ms: 5,
        },
    ]
}
