//! The engine as a whole: its state, the kill switch, reload.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::{ApiError, answer};
use crate::admin::answer::Done;
use crate::admin::request::{from_json, whole};
use crate::admin::table::Call;
use crate::admin::views::{PauseView, RefusedReloadView, StatusView};
use crate::engine::Handle;
use crate::journal::history::Pause;
use crate::journal::record::PauseScope;
use crate::rule::RuleId;

/// The longest reason that a person gives, in characters.
pub(in crate::admin) const REASON_CHARS_MAX: usize = 500;

/// What a pause asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{ "properties": { "rule": { "type": "null" } } }, { "properties": { "channel": { "type": "null" } } }]))]
pub struct PauseRequest {
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// How long, in milliseconds; until it is resumed unless given.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(max = 9_007_199_254_740_992_u64))]
    pub for_ms: Option<u64>,
    /// Also end what runs.
    #[serde(default)]
    pub now: bool,
    /// Only this rule.
    #[serde(default)]
    #[schemars(regex(pattern = r"\S"))]
    pub rule: Option<String>,
    /// Only this channel, by its id or its name.
    #[serde(default)]
    #[schemars(regex(pattern = r"\S"))]
    pub channel: Option<String>,
    /// Who asks, where the connection does not tell.
    #[serde(default)]
    pub person: Option<String>,
}

/// What a resume asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{ "properties": { "rule": { "type": "null" } } }, { "properties": { "channel": { "type": "null" } } }]))]
pub struct ResumeRequest {
    /// Only this rule.
    #[serde(default)]
    #[schemars(regex(pattern = r"\S"))]
    pub rule: Option<String>,
    /// Only this channel, as it was paused.
    #[serde(default)]
    #[schemars(regex(pattern = r"\S"))]
    pub channel: Option<String>,
    /// Who asks, where the connection does not tell.
    #[serde(default)]
    pub person: Option<String>,
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
            paused: history.paused(now).map(PauseView::of),
            pauses: history.pauses.iter(now).map(PauseView::of).collect(),
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
    let pause = Pause {
        scope: scope(request.rule, request.channel)?,
        reason: reason(request.reason)?,
        by: Some(by(who, request.person)?),
        until: request.for_ms.map(|lasts| handle.now().plus(Duration::from_millis(lasts))),
    };
    Ok(handle.pause(pause, request.now).await?)
}

pub(in crate::admin) async fn resume(call: Call) -> Response {
    let resumed = async {
        let request: ResumeRequest = from_json(&call.body).map_err(ApiError::BadRequest)?;
        resume_by(&call.desk.handle, request, &call.caller.who).await?;
        Ok(Done { status: "resumed" })
    };
    answer(resumed.await)
}

/// Ends a pause for whoever asks.
pub(in crate::admin) async fn resume_by(handle: &Handle, request: ResumeRequest, who: &str) -> Result<(), ApiError> {
    let scope = scope(request.rule, request.channel)?;
    Ok(handle.resume(scope, by(who, request.person)?).await?)
}

/// What a pause is of.
fn scope(rule: Option<String>, channel: Option<String>) -> Result<PauseScope, ApiError> {
    // An empty name must not stand for everything.
    let is_empty = |name: &Option<String>| name.as_ref().is_some_and(|name| name.trim().is_empty());
    if is_empty(&rule) || is_empty(&channel) {
        return Err(ApiError::BadRequest(
            "the rule or channel has no name: leave it out if everything is meant".into(),
        ));
    }
    match (reason(rule)?, reason(channel)?) {
        (None, None) => Ok(PauseScope::Everything),
        (Some(rule), None) => Ok(PauseScope::Rule(RuleId::new(rule))),
        (None, Some(channel)) => Ok(PauseScope::Channel(channel)),
        (Some(_), Some(_)) => {
            Err(ApiError::BadRequest("a pause is of a rule or of a channel, not of both: ask twice".into()))
        }
    }
}

/// Who asks: what the connection tells, and who they say that they are.
pub(super) fn by(who: &str, person: Option<String>) -> Result<String, ApiError> {
    Ok(reason(person)?.map_or_else(|| who.to_owned(), |person| format!("{person} ({who})")))
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
