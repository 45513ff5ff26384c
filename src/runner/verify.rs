//! `verify`: making sure that what the steps did helped.

use std::sync::Arc;

use super::walk::{At, Ended, Walk, Window};
use crate::journal::record::{Phase, RunEnd};
use crate::journal::{RecordSink, Refused};
use crate::rule::Verify;

impl<S: RecordSink> Walk<S> {
    /// Tries until all steps of `verify` pass, or its time is over. How that ends the run; `None` means well.
    pub(super) async fn verify(&mut self) -> Result<Option<Ended>, Refused> {
        let rule = Arc::clone(&self.intent.rule);
        let Some(verify) = rule.verify.as_ref().filter(|_| !self.intent.is_escalation()) else {
            return Ok(None);
        };
        let window = Window::of(verify.within);
        loop {
            if let Some(reason) = self.stop.reason() {
                return Ok(Some(reason.into()));
            }
            let Some(ended) = self.verify_once(verify, window).await? else { return Ok(None) };
            if matches!(ended.end, RunEnd::Cancelled | RunEnd::Interrupted) {
                return Ok(Some(ended));
            }
            if window.left() <= verify.every {
                let error = format!("verify did not hold within {:?}: {}", verify.within, ended.error);
                return Ok(Some(Ended { end: RunEnd::Unverified, error }));
            }
            if let Some(reason) = self.paused(verify.every).await {
                return Ok(Some(reason.into()));
            }
        }
    }

    /// The first failure of one try.
    async fn verify_once(&mut self, verify: &Verify, window: Window) -> Result<Option<Ended>, Refused> {
        for (index, step) in verify.steps.iter().enumerate() {
            let at = At { phase: Phase::Verify, index, step, window: Some(window) };
            let result = self.step(at, None).await?;
            if let Some(ended) = self.ended_by(at, &result) {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }
}
