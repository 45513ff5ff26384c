//! `on_success` and `on_failure`: telling others. Nothing that goes wrong here changes how the run ended.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::walk::{At, Walk};
use crate::journal::record::{Phase, RunEnd};
use crate::journal::{RecordSink, Refused};

impl<S: RecordSink> Walk<S> {
    /// Does what follows that end. All of it is tried, since a notice that cannot be sent must not hold up the next
    /// one. A run that was called off or cut short does nothing more.
    pub(super) async fn follow_up(&mut self, end: RunEnd, error: Option<&str>) -> Result<(), Refused> {
        let rule = Arc::clone(&self.intent.rule);
        let (phase, steps) = match end {
            RunEnd::Succeeded => (Phase::OnSuccess, &rule.on_success),
            RunEnd::Failed | RunEnd::TimedOut | RunEnd::Unverified => (Phase::OnFailure, &rule.on_failure),
            RunEnd::Cancelled | RunEnd::Denied | RunEnd::Expired | RunEnd::Interrupted => return Ok(()),
        };
        if self.intent.is_escalation() {
            return Ok(());
        }
        let mut run = Map::new();
        run.insert("id".into(), self.intent.run.as_str().into());
        run.insert("state".into(), end.name().into());
        if let Some(error) = error {
            run.insert("error".into(), error.into());
        }
        self.outcome = Some(Value::Object(run));
        for (index, step) in steps.iter().enumerate() {
            if self.stop.reason().is_some() {
                break;
            }
            self.step(At { phase, index, step, window: None }, None).await?;
        }
        Ok(())
    }
}
