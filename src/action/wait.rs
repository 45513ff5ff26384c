//! `wait`: a pause that ends early when the run does. Its own duration is its time limit.

use std::time::Duration;

use super::{Stop, ended};
use crate::journal::record::{StepEnd, StepResult};

pub(super) async fn act(duration: Duration, stop: &Stop) -> StepResult {
    tokio::select! {
        biased;
        reason = stop.stopped() => ended(StepEnd::Cancelled, Some(reason.to_string())),
        () = tokio::time::sleep(duration) => ended(StepEnd::Succeeded, None),
    }
}
