//! Takes secrets out of what the engine puts on record.
//!
//! A rule should not have a secret in its text, and `stanch check` says so where it does; nor should a push have one in
//! a label. Where there is one all the same, what is to be done is done with it, and the record shows that there was one.
//! What the fold is computed from is left as it is, so that a replay gives the same history: ids, targets, keys and locks.

use std::borrow::Cow;

use crate::clock::Timestamp;
use crate::journal::record::{Decided, Outcome, Record, WriteBackCall};
use crate::journal::{Journal, Refused};
use crate::report::redact::Redactor;

/// Puts on record what the engine has folded already, without secrets. The engine writes to the journal here alone.
pub(super) async fn put_on_record(
    journal: &Journal,
    redactor: &Redactor,
    at: Timestamp,
    mut records: Vec<Record>,
) -> Result<(), Refused> {
    records.iter_mut().for_each(|record| hide(record, redactor));
    journal.append_folded(at, records).await
}

/// Takes the secrets out of the plans, the outputs and the words of `record`.
///
/// Every field of every record is named here, so that a new one has to be thought of.
pub(super) fn hide(record: &mut Record, redactor: &Redactor) {
    let hide_text = |text: &mut String| hide_text(text, redactor);
    match record {
        Record::Decided { from_seq: _, to_seq: _, event: _, generation: _, late_since: _, decisions } => {
            decisions.iter_mut().for_each(|decided| hide_decided(decided, redactor));
        }
        Record::RunIntended { run: _, rule: _, event: _, generation: _, target: _, plan } => {
            *plan = redactor.redact_json(plan.take());
        }
        Record::Rerun { run: _, of: _, by, reason, observed: _, generation: _, decided } => {
            hide_text(by);
            reason.iter_mut().for_each(hide_text);
            hide_decided(decided, redactor);
        }
        // What a step is called for is as it was rendered; the item of an `each` was hidden where it was.
        Record::StepStarted { run: _, phase: _, step: _, each: _, name, attempt: _ } => hide_text(name),
        Record::StepEnded { run: _, phase: _, step: _, each: _, name, attempt: _, result } => {
            let texts = [name, &mut result.stdout, &mut result.stderr].into_iter().chain(&mut result.error);
            texts.for_each(hide_text);
        }
        Record::RunEnded { run: _, rule: _, target: _, end: _, acted: _, keeps_slot: _, error, duration_ms: _ } => {
            error.iter_mut().for_each(hide_text);
        }
        Record::WriteBackQueued { write_back } => hide_call(&mut write_back.call, redactor),
        Record::WrittenBack { id: _, run: _, event: _, attempt: _, outcome: _, request_id, error } => {
            request_id.iter_mut().chain(error).for_each(hide_text);
        }
        Record::Approved { run: _, by, reason } => {
            hide_text(by);
            reason.iter_mut().for_each(hide_text);
        }
        Record::SetAside { event: _, seq: _, error } => hide_text(error),
        Record::Paused { reason, until: _, scope: _, by } => reason.iter_mut().chain(by).for_each(hide_text),
        Record::Resumed { scope: _, by } => by.iter_mut().for_each(hide_text),
        // These say nothing in words.
        Record::Started { version: _, rules_hash: _, dry_run: _ }
        | Record::RunResumed { run: _, from_step: _, generation: _ }
        | Record::WriteBackStarted { id: _, run: _, event: _, attempt: _ }
        | Record::Reloaded { generation: _, rules_hash: _, rules: _ }
        | Record::Stopped => {}
        // It is what the fold begins with, and its body is evidence, kept byte for byte.
        Record::Received { .. } => {}
    }
}

fn hide_decided(decided: &mut Decided, redactor: &Redactor) {
    let Decided { rule: _, outcome, reservation: _, tally: _, plan } = decided;
    if let Some(plan) = plan {
        *plan = redactor.redact_json(plan.take());
    }
    let texts = match outcome {
        Outcome::NotMatched { clause: _, expected, seen } => vec![expected, seen],
        Outcome::ConditionError { message } | Outcome::PlanError { message } => vec![message],
        Outcome::Suppressed { guard: _, reason, until: _ } => vec![reason],
        Outcome::Run { queued } => queued.iter_mut().collect(),
        Outcome::Late { newest: _ }
        | Outcome::Held { until: _ }
        | Outcome::AwaitingApproval { until: _ }
        | Outcome::Duplicate
        | Outcome::DryRun => vec![],
    };
    texts.into_iter().for_each(|text| hide_text(text, redactor));
}

fn hide_call(call: &mut WriteBackCall, redactor: &Redactor) {
    let texts = match call {
        WriteBackCall::Comment { comment } => vec![comment],
        WriteBackCall::Resolve { root_cause, resolution } => root_cause.iter_mut().chain(resolution).collect(),
        WriteBackCall::Field { name, value } => {
            *value = redactor.redact_json(value.take());
            vec![name]
        }
        WriteBackCall::Ack | WriteBackCall::Snooze { minutes: _ } | WriteBackCall::Reopen => vec![],
    };
    texts.into_iter().for_each(|text| hide_text(text, redactor));
}

fn hide_text(text: &mut String, redactor: &Redactor) {
    let clean = match redactor.redact(text) {
        Cow::Borrowed(_) => return,
        Cow::Owned(clean) => clean,
    };
    *text = clean;
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cret-of-sixteen-bytes";

    /// Records in which `text` stands wherever one of the engine's own may have words.
    fn records(text: &str) -> Vec<Record> {
        let decided = |outcome: serde_json::Value| {
            serde_json::json!({ "kind": "decided", "from_seq": 1, "to_seq": 1, "event": "e", "generation": 1, "late_since": null,
                "decisions": [{ "rule": "a", "outcome": outcome, "plan": { "steps": [text], text: 1 } }] })
        };
        let observed = serde_json::json!({ "seq": 1, "event": "e", "event_type": "i_new", "time": 1, "time_mark": "sound",
            "received_at": 1, "entity": { "incident": "i" }, "incident": "i", "channel": 5, "closed": false });
        let write_back = |call: serde_json::Value| {
            serde_json::json!({ "kind": "write-back-queued", "write_back":
                { "id": "w-1", "incident": "i", "event": "e", "rule": "a", "call": call } })
        };
        let all = [
            decided(serde_json::json!({ "is": "not-matched", "clause": "when", "expected": text, "seen": text })),
            decided(serde_json::json!({ "is": "condition-error", "message": text })),
            decided(serde_json::json!({ "is": "plan-error", "message": text })),
            decided(serde_json::json!({ "is": "suppressed", "guard": "rate", "reason": text, "until": null })),
            decided(serde_json::json!({ "is": "run", "queued": text })),
            serde_json::json!({ "kind": "run-intended", "run": "r-1", "rule": "a", "event": "e", "generation": 1, "target": "t", "plan": [text] }),
            serde_json::json!({ "kind": "rerun", "run": "r-2", "of": "r-1", "by": text, "reason": text, "observed": observed, "generation": 1,
                "decided": { "rule": "a", "outcome": { "is": "run", "queued": text } } }),
            serde_json::json!({ "kind": "step-started", "run": "r-1", "phase": "steps", "step": 0, "name": text, "attempt": 1 }),
            serde_json::json!({ "kind": "step-ended", "run": "r-1", "phase": "steps", "step": 0, "name": text, "attempt": 1,
                "result": { "end": "failed", "stdout": text, "stderr": text, "error": text, "duration_ms": 1 } }),
            serde_json::json!({ "kind": "run-ended", "run": "r-1", "rule": "a", "target": "t", "end": "failed", "acted": true,
                "keeps_slot": true, "error": text, "duration_ms": 1 }),
            write_back(serde_json::json!({ "is": "comment", "comment": text })),
            write_back(serde_json::json!({ "is": "resolve", "root_cause": text, "resolution": text })),
            write_back(serde_json::json!({ "is": "field", "name": text, "value": [text] })),
            serde_json::json!({ "kind": "written-back", "id": "w-1", "event": "e", "attempt": 1, "outcome": "failed",
                "request_id": text, "error": text }),
            serde_json::json!({ "kind": "approved", "run": "r-1", "by": text, "reason": text }),
            serde_json::json!({ "kind": "set-aside", "event": "e", "seq": 1, "error": text }),
            serde_json::json!({ "kind": "paused", "reason": text, "until": null, "by": text }),
            serde_json::json!({ "kind": "resumed", "by": text }),
        ];
        all.map(|record| serde_json::from_value(record).unwrap()).into()
    }

    #[test]
    fn no_record_of_the_engine_says_a_secret_in_words() {
        let redactor = Redactor::new([SECRET]).unwrap();
        let said = format!("expects x and sees {SECRET}");
        for (mut record, masked) in records(&said).into_iter().zip(records("expects x and sees ***")) {
            assert_ne!(record, masked);
            hide(&mut record, &redactor);
            assert_eq!(record, masked);
        }
    }
}
