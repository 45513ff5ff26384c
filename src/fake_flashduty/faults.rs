//! The ways in which a call fails.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use super::calls::Answered;

/// One way in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429: the account asks too often.
    TooFrequent,
    /// 500: the vendor failed before anything was done.
    Internal,
    /// It is done, and answered so much later.
    Slow(Duration),
    /// The connection breaks, and nothing was done.
    DropBefore,
    /// It is done, and the connection breaks before the answer.
    DropAfter,
}

impl Fault {
    /// What is answered in place of doing it, if nothing is done.
    pub(super) fn answer(self) -> Option<Answered> {
        let (status, code) = match self {
            Self::TooFrequent => (429, "RequestTooFrequently"),
            Self::Internal => (500, "InternalError"),
            Self::Slow(_) | Self::DropBefore | Self::DropAfter => return None,
        };
        let body = json!({ "request_id": "fake-fault", "error": { "code": code, "message": "this is a fault" } });
        Some(Answered { status, body, event: None })
    }
}

/// Which of the next calls fail.
#[derive(Debug, Default)]
pub(super) struct Faults {
    next: VecDeque<Option<Fault>>,
    repeats: bool,
}

impl Faults {
    pub(super) fn next(&mut self, faults: impl IntoIterator<Item = Option<Fault>>) {
        *self = Self { next: faults.into_iter().collect(), repeats: false };
    }

    pub(super) fn always(&mut self, faults: impl IntoIterator<Item = Option<Fault>>) {
        *self = Self { next: faults.into_iter().collect(), repeats: true };
    }

    pub(super) fn take(&mut self) -> Option<Fault> {
        let fault = self.next.pop_front()?;
        if self.repeats {
            self.next.push_back(fault);
        }
        fault
    }
}
