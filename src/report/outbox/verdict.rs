//! What follows from a call that was not done.

use crate::journal::record::{WriteBackCall, WriteBackOutcome};
use crate::report::flashduty::{CallError, TRIES_MAX};

/// What becomes of `call` after its try number `attempt` ended with `error`.
pub fn verdict(call: &WriteBackCall, error: &CallError, attempt: u32) -> WriteBackOutcome {
    let has_tries = attempt < TRIES_MAX;
    match error {
        // Nothing was asked, so asking later is no repetition.
        CallError::NotReached { .. } => WriteBackOutcome::Unreached,
        CallError::Refused { .. } if error.is_for_now() && has_tries => WriteBackOutcome::Again,
        CallError::Refused { .. } => WriteBackOutcome::Failed,
        CallError::NoAnswer { .. } if call.is_repeatable() && has_tries => WriteBackOutcome::Again,
        CallError::NoAnswer { .. } => WriteBackOutcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> CallError {
        CallError::Refused { status, code: code.into(), message: String::new(), request_id: None }
    }

    #[test]
    fn a_comment_is_repeated_only_where_it_was_certainly_not_made() {
        let comment = WriteBackCall::Comment { comment: "x".into() };
        let (lost, away) = (CallError::NoAnswer { why: String::new() }, CallError::NotReached { why: String::new() });
        for (call, error, attempt, outcome) in [
            (&comment, refused(429, "RequestTooFrequently"), 1, WriteBackOutcome::Again),
            (&comment, refused(500, "InternalError"), 3, WriteBackOutcome::Again),
            (&comment, refused(500, "InternalError"), 4, WriteBackOutcome::Failed),
            (&comment, refused(400, "InvalidParameter"), 1, WriteBackOutcome::Failed),
            (&comment, refused(401, "Unauthorized"), 1, WriteBackOutcome::Failed),
            (&comment, refused(200, "RequestTooFrequently"), 1, WriteBackOutcome::Again),
            (&comment, lost.clone(), 1, WriteBackOutcome::Unknown),
            (&comment, away.clone(), 9, WriteBackOutcome::Unreached),
            (&WriteBackCall::Ack, lost.clone(), 1, WriteBackOutcome::Again),
            (&WriteBackCall::Ack, lost, 4, WriteBackOutcome::Unknown),
        ] {
            assert_eq!(verdict(call, &error, attempt), outcome, "{} {error} {attempt}", call.name());
        }
    }
}
