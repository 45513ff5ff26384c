//! What a run says of itself on its incident when it is over.

use super::walk::{At, Walk};
use super::{Intent, Shared};
use crate::journal::RecordSink;
use crate::journal::record::{Record, RunEnd, StepEnd, WriteBack, WriteBackCall, WriteBackId};
use crate::report::comment::{Did, Ended, of_run};
use crate::rule::Reporting;

/// Steps of a run of which it is noted how they ended; a rule has no more in all its parts.
const DID_MAX: usize = 256;

impl<S: RecordSink> Walk<S> {
    /// Notes how a step ended; of a step that is repeated, how it ended last.
    pub(super) fn note_done(&mut self, at: At<'_>, end: StepEnd) {
        if let Some(did) = self.did.iter_mut().find(|did| (did.phase, did.step) == (at.phase, at.index)) {
            did.end = end;
        } else if self.did.len() < DID_MAX {
            let name = self.name(at);
            self.did.push(Did { phase: at.phase, step: at.index, name, end });
        }
    }
}

impl<S: RecordSink> Shared<S> {
    /// The comment about a run, as the record that queues it. None where the rule wants none, the event belongs to no
    /// incident, or the outbox is full, which is said.
    pub(super) fn report(
        &self,
        intent: &Intent,
        end: RunEnd,
        error: Option<&str>,
        did: &[Did],
        duration_ms: u64,
    ) -> Option<Record> {
        let incident = intent.event.incident_id.clone().filter(|_| intent.rule.report != Reporting::Off)?;
        let settings = self.settings.load();
        let comment = of_run(&Ended {
            run: &intent.run,
            rule: intent.rule.id.as_str(),
            target: &intent.plan.target,
            event: Some(&intent.event),
            end,
            error,
            did,
            duration_ms,
            run_link: settings.run_link.as_deref(),
        });
        let call = WriteBackCall::Comment { comment: settings.redactor.redact(&comment).into_owned() };
        if let Err(full) = self.room.take(1) {
            self.observer.not_queued(&intent.rule.id, call.name(), &full);
            return None;
        }
        Some(Record::WriteBackQueued {
            write_back: WriteBack {
                id: WriteBackId::derive(&["report", intent.run.as_str()]),
                incident,
                event: intent.event.id.clone(),
                run: Some(intent.run.clone()),
                rule: intent.rule.id.clone(),
                call,
            },
        })
    }
}
