//! Whether the engine is alive and able to work, and its metrics.

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::admin::answer::{Done, error, json, with};
use crate::admin::table::Call;
use crate::admin::views::PauseView;
use crate::engine::Handle;

/// What the engine is ready with.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin) struct Ready {
    /// `ready`.
    status: &'static str,
    /// How many rules are in force. With none, nothing that comes in leads to anything.
    rules: usize,
    /// What is paused: nothing of it starts, though pushes are taken and decided.
    paused: Vec<PauseView>,
}

/// The type of the metrics.
pub(in crate::admin) const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(in crate::admin) async fn alive() -> Response {
    json(StatusCode::OK, &Done { status: "alive" })
}

pub(in crate::admin) async fn ready(call: Call) -> Response {
    match readiness(&call.desk.handle).await {
        Ok(ready) => json(StatusCode::OK, &ready),
        Err(reason) => error(StatusCode::SERVICE_UNAVAILABLE, "not-ready", &reason),
    }
}

/// What the engine is ready with; else why it is not.
async fn readiness(handle: &Handle) -> Result<Ready, String> {
    if let Some(reason) = handle.journal_closed() {
        return Err(format!("the journal is closed: {reason}"));
    }
    let ready = handle.inspect(|history, in_force, now| Ready {
        status: "ready",
        rules: in_force.rules.rules.len(),
        paused: history.pauses.iter(now).map(PauseView::of).collect(),
    });
    match ready.await {
        Ok(ready) => Ok(ready),
        Err(error) => Err(format!("the deciding task does not answer: {error}")),
    }
}

pub(in crate::admin) async fn metrics(call: Call) -> Response {
    let handle = &call.desk.handle;
    let paused = handle.inspect(|history, _, now| (history.paused(now).is_some(), history.pauses.iter(now).count()));
    let (paused, pauses) = paused.await.unwrap_or_default();
    with(StatusCode::OK, METRICS_TYPE, handle.metrics_text(paused, pauses))
}
