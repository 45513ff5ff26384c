//! Takes secrets out of what a decision puts on record.
//!
//! A rule should not have a secret in its text, and `stanch check` says so where it does. Where it has one all the same, the
//! step is done with it, and the record shows that there was one. What the fold is computed from is left as it is, so that
//! a replay gives the same history.

use crate::journal::record::{Decided, Outcome, Record};
use crate::report::redact::Redactor;

/// Takes the secrets out of the plans and messages of `record`.
pub(super) fn hide(record: &mut Record, redactor: &Redactor) {
    match record {
        Record::Decided { decisions, .. } => decisions.iter_mut().for_each(|decided| hide_decided(decided, redactor)),
        Record::Rerun { decided, .. } => hide_decided(decided, redactor),
        Record::RunIntended { plan, .. } => *plan = redactor.redact_json(plan.take()),
        _ => {}
    }
}

fn hide_decided(decided: &mut Decided, redactor: &Redactor) {
    if let Some(plan) = &mut decided.plan {
        *plan = redactor.redact_json(plan.take());
    }
    let texts = match &mut decided.outcome {
        Outcome::NotMatched { expected, seen, .. } => vec![expected, seen],
        Outcome::ConditionError { message } | Outcome::PlanError { message } => vec![message],
        _ => vec![],
    };
    for text in texts {
        *text = redactor.redact(text).into_owned();
    }
}
