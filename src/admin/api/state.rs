//! The engine as a whole: its state, the kill switch, reload.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::{ApiError, answer};
use crate::admin::answer::Done;
use crate::admin::request::from_json;
use crate::admin::table::Call;
use crate::admin::views::{PauseView, RefusedReloadView, StatusView};
use crate::engine::Handle;

/// The longest reason that a person gives, in characters.
pub(in crate::admin) const REASON_CHARS_MAX: usize = 500;

/// What a pause asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// How long, in milliseconds; until it is resumed unless given.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// Also end what runs.
    #[serde(default)]
    pub now: bool,
}

/// What a reload asks for.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Also take a set that lost over half of its rules.
    #[serde(default)]
    pub force: bool,
}

pub(in crate::admin) async fn status(call: Call) -> Response {
    answer(status_of(&call.desk.handle).await)
}

/// The state of the engine as a whole.
pub(in crate::admin) async fn status_of(handle: &Handle) -> Result<StatusView, ApiError> {
    let refused = handle.refused_reload();
    let reload_refused = refused.map(|refused| RefusedReloadView { at: refused.at, reason: refused.reason.clone() });
    let view = handle
        .inspect(move |history, in_force, now| StatusView {
            version: env!("CARGO_PKG_VERSION").into(),
            generation: in_force.rules.generation,
            rules: in_force.rules.rules.len(),
            mode: in_force.settings.ceiling.to_string(),
            paused: history.paused(now).map(|pause| PauseView { reason: pause.reason.clone(), until: pause.until }),
            runs_active: history.runs.active_len(),
            runs_waiting: history.runs.waiting_len(),
            approvals_waiting: history.runs.waiting().filter(|(_, run)| run.awaits_approval()).count(),
            reload_refused,
        })
        .await?;
    Ok(view)
}

pub(in crate::admin) async fn pause(call: Call) -> Response {
    let paused = async {
        let request: PauseRequest = from_json(&call.body).map_err(ApiError::BadRequest)?;
        pause_by(&call.desk.handle, request, &call.caller.who).await?;
        Ok(Done { status: "paused" })
    };
    answer(paused.await)
}

/// Pauses for whoever asks.
pub(in crate::admin) async fn pause_by(handle: &Handle, request: PauseRequest, who: &str) -> Result<(), ApiError> {
    let reason = reason(request.reason)?;
    let lasts = request.for_ms.map(Duration::from_millis);
    tracing::info!(by = %crate::report::printable(who), "pausing");
    Ok(handle.pause(reason, lasts, request.now).await?)
}

pub(in crate::admin) async fn resume(call: Call) -> Response {
    let resumed = call.desk.handle.resume().await;
    answer(resumed.map(|()| Done { status: "resumed" }).map_err(ApiError::from))
}

pub(in crate::admin) async fn reload(call: Call) -> Response {
    let reloaded = async {
        let request: ReloadRequest = from_json(&call.body).map_err(ApiError::BadRequest)?;
        Ok(call.desk.handle.reload(request.force).await?)
    };
    answer(reloaded.await)
}

/// A reason that a person gave, within bounds; `None` where it says nothing.
pub(in crate::admin) fn reason(given: Option<String>) -> Result<Option<String>, ApiError> {
    let given = given.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match given {
        Some(text) if text.chars().count() > REASON_CHARS_MAX => {
            Err(ApiError::BadRequest(format!("a reason has at most {REASON_CHARS_MAX} characters")))
        }
        given => Ok(given),
    }
}
