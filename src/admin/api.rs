//! What the API does, apart from HTTP.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::views::{DecisionView, EventView, PauseView, RefusedReloadView, RunStory, RunView, StatusView};
use crate::engine::{Handle, Refusal, ReloadError};
use crate::journal::record::{Record, RunId};
use crate::journal::store::{StoreError, Stored};

/// How many rows a list has unless it is asked for fewer.
pub(super) const LIST_DEFAULT: usize = 50;
/// How many rows a list has at most.
pub(super) const LIST_MAX: usize = 1000;

/// Why a request was not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Reload(#[from] ReloadError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ApiError {
    /// The status and the stable code of the answer.
    pub(super) fn status(&self) -> (u16, &'static str) {
        match self {
            Self::NotFound { .. } => (404, "not-found"),
            Self::Refused(Refusal::Cannot(_)) => (409, "cannot"),
            Self::Refused(Refusal::Stopping) => (503, "stopping"),
            Self::Reload(_) => (422, "reload-refused"),
            Self::Store(_) => (500, "journal"),
        }
    }
}

/// Which rows of a list.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    pub(super) limit: Option<usize>,
    /// Only what is older than this number of the journal.
    pub(super) before: Option<u64>,
}

impl Page {
    fn limit(self) -> usize {
        self.limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MAX)
    }

    fn before(self) -> u64 {
        self.before.unwrap_or(i64::MAX.unsigned_abs())
    }
}

/// What a pause asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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

pub(super) async fn status(handle: &Handle) -> Result<StatusView, ApiError> {
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
            reload_refused,
        })
        .await?;
    Ok(view)
}

/// That what lies on disk is not in force, if so. The daemon goes on with what it has, so it is ready all the same.
pub(super) fn reload_note(handle: &Handle) -> Option<String> {
    let refused = handle.refused_reload()?;
    Some(format!("the reload at {} was refused, and the rules before it stay in force: {}", refused.at, refused.reason))
}

/// Why the daemon is not ready; `None` where it is.
pub(super) async fn not_ready(handle: &Handle) -> Option<String> {
    if let Some(reason) = handle.journal_closed() {
        return Some(format!("the journal is closed: {reason}"));
    }
    match handle.inspect(|_, in_force, _| in_force.rules.rules.len()).await {
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}

pub(super) async fn events(handle: &Handle, page: Page) -> Result<Vec<EventView>, ApiError> {
    let views = handle.read(move |reader| {
        let pushes = reader.pushes_before(page.before(), page.limit())?;
        let mut views = Vec::with_capacity(pushes.len());
        for push in pushes {
            let decision = reader.decision_on(push.seq)?;
            views.extend(EventView::of(&push, decision.as_ref()));
        }
        Ok(views)
    });
    Ok(views.await?)
}

/// An event with its body and the runs that it led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventStory {
    /// The event.
    pub event: EventView,
    /// The body as it was received, where it is still kept.
    pub body: Option<serde_json::Value>,
    /// The runs that it led to.
    pub runs: Vec<RunStory>,
}

pub(super) async fn event(handle: &Handle, id: String) -> Result<EventStory, ApiError> {
    let live = live(handle).await?;
    let story = handle.read({
        let id = id.clone();
        move |reader| {
            let Some(push) = reader.push(&id)? else { return Ok(None) };
            let decision = reader.decision_on(push.seq)?;
            let mut runs = Vec::new();
            let rules = decision.as_ref().and_then(DecisionView::of).map(|decision| decision.rules).unwrap_or_default();
            for run in rules.into_iter().filter_map(|rule| rule.run) {
                runs.extend(RunStory::of(&reader.about_run(&run)?, live.get(&run).cloned()));
            }
            let body = push.payload.as_deref().and_then(|body| serde_json::from_str(body).ok());
            Ok(EventView::of(&push, decision.as_ref()).map(|event| EventStory { event, body, runs }))
        }
    });
    story.await?.ok_or(ApiError::NotFound { what: "event", id })
}

pub(super) async fn runs(handle: &Handle, page: Page) -> Result<Vec<RunView>, ApiError> {
    let mut views: Vec<RunView> = Vec::new();
    if page.before.is_none() {
        views.extend(handle.inspect(|history, _, _| RunView::live(history)).await?);
        views.reverse();
    }
    let limit = page.limit();
    let ended = handle.read(move |reader| {
        let marks = reader.run_marks_before(page.before(), 2 * limit)?;
        let events = events_of(&marks);
        let ended = marks.iter().filter_map(RunView::of_ended);
        Ok(ended.map(|view| RunView { event: events.get(&view.run).cloned(), ..view }).collect::<Vec<_>>())
    });
    views.extend(ended.await?);
    views.truncate(limit);
    Ok(views)
}

fn events_of(marks: &[Stored]) -> HashMap<String, String> {
    let pairs = marks.iter().filter_map(|stored| match &stored.record {
        Record::RunIntended { run, event, .. } => Some((run.to_string(), event.to_string())),
        _ => None,
    });
    pairs.collect()
}

async fn live(handle: &Handle) -> Result<HashMap<String, RunView>, ApiError> {
    let live = handle.inspect(|history, _, _| RunView::live(history)).await?;
    Ok(live.into_iter().map(|view| (view.run.clone(), view)).collect())
}

pub(super) async fn run(handle: &Handle, id: String) -> Result<RunStory, ApiError> {
    let mut live = live(handle).await?;
    let records = handle.read({
        let id = id.clone();
        move |reader| reader.about_run(&id)
    });
    RunStory::of(&records.await?, live.remove(&id)).ok_or(ApiError::NotFound { what: "run", id })
}

/// What a person can do to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunAct {
    Cancel,
    Approve,
    Deny,
}

pub(super) async fn act(handle: &Handle, id: String, act: RunAct, by: &str) -> Result<(), ApiError> {
    let run = RunId::new(id);
    match act {
        RunAct::Cancel => handle.cancel(run, by).await?,
        RunAct::Approve => handle.approve(run, by.to_owned()).await?,
        RunAct::Deny => handle.deny(run, by).await?,
    }
    Ok(())
}

pub(super) async fn pause(handle: &Handle, request: PauseRequest) -> Result<(), ApiError> {
    let lasts = request.for_ms.map(Duration::from_millis);
    Ok(handle.pause(request.reason, lasts, request.now).await?)
}
