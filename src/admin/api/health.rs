//! Whether the engine is alive and able to work, and its metrics.

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::admin::answer::{Done, error, json, with};
use crate::admin::table::Call;
use crate::admin::views::PauseView;
use crate::engine::Handle;
use crate::journal::Unwritten;

/// What the engine is ready with.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin) struct Ready {
    /// `ready`.
    status: &'static str,
    /// How many rules are in force. With none, nothing that comes in leads to anything.
    rules: usize,
    /// What is paused: nothing of it starts, though pushes are taken and decided.
    paused: Vec<PauseView>,
    /// What a person should look at although the engine works.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
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
    let unwritten = handle.journal_unwritten();
    if let Some(Unwritten { reason, has_room: false }) = unwritten {
        return Err(format!("the journal could not be written, and there is no room on its disk: {reason}"));
    }
    let ready = handle.inspect(|history, in_force, now| Ready {
        status: "ready",
        rules: in_force.rules.rules.len(),
        paused: history.pauses.iter(now).map(PauseView::of).collect(),
        note: None,
    });
    match ready.await {
        Ok(ready) => {
            let unwritten = unwritten.map(|why| format!("the last push could not be recorded: {}", why.reason));
            Ok(Ready { note: unwritten.or_else(|| reload_note(handle)), ..ready })
        }
        Err(error) => Err(format!("the deciding task does not answer: {error}")),
    }
}

/// That what lies on disk is not in force, if so. The engine goes on with what it has, so it is ready all the same.
fn reload_note(handle: &Handle) -> Option<String> {
    let refused = handle.refused_reload()?;
    Some(format!("the reload at {} was refused, and the rules before it stay in force: {}", refused.at, refused.reason))
}

pub(in crate::admin) async fn metrics(call: Call) -> Response {
    let handle = &call.desk.handle;
    let paused = handle.inspect(|history, _, now| (history.paused(now).is_some(), history.pauses.iter(now).count()));
    let (paused, pauses) = paused.await.unwrap_or_default();
    with(StatusCode::OK, METRICS_TYPE, handle.metrics_text(paused, pauses))
}
