//! A `flashduty` step: it succeeds when its calls are durably queued. Sending them is the outbox's, so that a run never
//! waits for Flashduty.

use super::walk::{At, Walk};
use crate::action::ended;
use crate::journal::record::{Record, StepEnd, StepResult, WriteBack, WriteBackCall, WriteBackId};
use crate::journal::{RecordSink, Refused};
use crate::plan::FlashdutyCall;

impl<S: RecordSink> Walk<S> {
    /// Queues the calls of a step, all or none.
    pub(super) async fn write_back(
        &self,
        at: At<'_>,
        attempt: u32,
        step: &FlashdutyCall,
    ) -> Result<StepResult, Refused> {
        let intent = &self.intent;
        if let Err(full) = self.shared.room.take(step.calls.len()) {
            for call in &step.calls {
                self.shared.observer.not_queued(&intent.rule.id, call.name(), &full);
            }
            return Ok(ended(StepEnd::Failed, Some(full.to_string())));
        }
        // Inside an `each` the same step is done for several items: each of them asks for calls of its own.
        let (step_at, inside) = self.place(at);
        let item = inside.map_or_else(String::new, |place| format!("{}/{}", place.step, place.item));
        let (phase, index, attempt) = ((at.phase as u8).to_string(), step_at.to_string(), attempt.to_string());
        let records = step.calls.iter().enumerate().map(|(nth, call)| {
            let nth = nth.to_string();
            let id = WriteBackId::derive(&["step", intent.run.as_str(), &phase, &index, &item, &attempt, &nth]);
            Record::WriteBackQueued {
                write_back: WriteBack {
                    id,
                    incident: step.incident.clone(),
                    event: intent.event.id.clone(),
                    run: Some(intent.run.clone()),
                    rule: intent.rule.id.clone(),
                    call: self.without_secrets(call),
                },
            }
        });
        self.shared.sink.append(records.collect()).await?;
        let names: Vec<&str> = step.calls.iter().map(WriteBackCall::name).collect();
        let queued = format!("queued: {}", names.join(", "));
        Ok(StepResult { stdout: queued, ..ended(StepEnd::Succeeded, None) })
    }

    /// The call as it may leave the house: a step's output can stand in it.
    fn without_secrets(&self, call: &WriteBackCall) -> WriteBackCall {
        let settings = self.shared.settings.load();
        let clean = |text: &str| settings.redactor.redact(text).into_owned();
        match call {
            WriteBackCall::Comment { comment } => WriteBackCall::Comment { comment: clean(comment) },
            WriteBackCall::Resolve { root_cause, resolution } => WriteBackCall::Resolve {
                root_cause: root_cause.as_deref().map(clean),
                resolution: resolution.as_deref().map(clean),
            },
            WriteBackCall::Field { name, value } => {
                let text = clean(&value.to_string());
                let value = serde_json::from_str(&text).unwrap_or_else(|_| text.into());
                WriteBackCall::Field { name: name.clone(), value }
            }
            WriteBackCall::Ack | WriteBackCall::Snooze { .. } | WriteBackCall::Reopen => call.clone(),
        }
    }
}
