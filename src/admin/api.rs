//! What the API does, apart from HTTP.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::views::{DecisionView, EventView, PauseView, RunStory, RunView, StatusView};
use crate::engine::{Handle, Refusal, ReloadError};
use crate::journal::history::Pause;
use crate::journal::record::{PauseScope, Record, RunId};
use crate::journal::store::{StoreError, Stored};
use crate::rule::RuleId;

/// How many rows a list has unless it is asked for fewer.
pub(super) const LIST_DEFAULT: usize = 50;
/// How many rows a list has at most.
pub(super) const LIST_MAX: usize = 1000;

/// Why a request was not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
    #[error("{what} is longer than {WORDS_BYTES_MAX} bytes")]
    TooLong { what: &'static str },
    #[error("a pause is of a rule or of a channel, not of both: ask twice")]
    TwoScopes,
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
            Self::TooLong { .. } | Self::TwoScopes => (400, "bad-request"),
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
    /// Only this rule.
    #[serde(default)]
    pub rule: Option<String>,
    /// Only this channel, by its id or its name.
    #[serde(default)]
    pub channel: Option<String>,
    /// Who asks, where the connection does not tell.
    #[serde(default)]
    pub person: Option<String>,
}

/// What a resume asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Only this rule.
    #[serde(default)]
    pub rule: Option<String>,
    /// Only this channel, as it was paused.
    #[serde(default)]
    pub channel: Option<String>,
    /// Who asks, where the connection does not tell.
    #[serde(default)]
    pub person: Option<String>,
}

/// What a person says to a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who asks, where the connection does not tell.
    #[serde(default)]
    pub person: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDone {
    /// That it was done.
    pub status: String,
    /// The run that it was done to; for a rerun, the new one.
    pub run: String,
}

/// How long a reason or a name may be, in bytes: they go into the journal and into every line about them.
const WORDS_BYTES_MAX: usize = 1024;

/// What a person wrote, where it is short enough to be kept.
fn words(what: &'static str, text: Option<String>) -> Result<Option<String>, ApiError> {
    match text {
        Some(text) if text.len() > WORDS_BYTES_MAX => Err(ApiError::TooLong { what }),
        Some(text) if text.trim().is_empty() => Ok(None),
        text => Ok(text),
    }
}

/// Who asks: what the connection tells, and who they say that they are.
fn by(who: &str, person: Option<String>) -> Result<String, ApiError> {
    Ok(words("the name", person)?.map_or_else(|| who.to_owned(), |person| format!("{person} ({who})")))
}

fn scope(rule: Option<String>, channel: Option<String>) -> Result<PauseScope, ApiError> {
    match (words("the rule", rule)?, words("the channel", channel)?) {
        (None, None) => Ok(PauseScope::Everything),
        (Some(rule), None) => Ok(PauseScope::Rule(RuleId::new(rule))),
        (None, Some(channel)) => Ok(PauseScope::Channel(channel)),
        (Some(_), Some(_)) => Err(ApiError::TwoScopes),
    }
}

pub(super) async fn status(handle: &Handle) -> Result<StatusView, ApiError> {
    let view = handle
        .inspect(|history, in_force, now| StatusView {
            version: env!("CARGO_PKG_VERSION").into(),
            generation: in_force.rules.generation,
            rules: in_force.rules.rules.len(),
            mode: in_force.settings.ceiling.to_string(),
            paused: history.paused(now).map(PauseView::of),
            pauses: history.pauses.iter(now).map(PauseView::of).collect(),
            runs_active: history.runs.active_len(),
            runs_waiting: history.runs.waiting_len(),
        })
        .await?;
    Ok(view)
}

/// That the daemon is ready, with what is paused; else why it is not. What is paused is still taken and decided.
pub(super) async fn ready(handle: &Handle) -> Result<Vec<PauseView>, String> {
    if let Some(reason) = handle.journal_closed() {
        return Err(format!("the journal is closed: {reason}"));
    }
    let pauses = handle.inspect(|history, _, now| history.pauses.iter(now).map(PauseView::of).collect());
    pauses.await.map_err(|error| error.to_string())
}

pub(super) async fn events(handle: &Handle, page: Page) -> Result<Vec<EventView>, ApiError> {
    let views = handle.read(move |reader| {
        let pushes = reader.pushes_before(page.before(), page.limit())?;
        let decisions = reader.decisions_on(&pushes)?;
        let views = pushes.iter().zip(&decisions).filter_map(|(push, decision)| EventView::of(push, decision.as_ref()));
        Ok(views.collect())
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
            let decision = reader.decisions_on(std::slice::from_ref(&push))?.into_iter().next().flatten();
            let mut runs = Vec::new();
            let rules = decision.as_ref().and_then(DecisionView::of).map(|decision| decision.rules).unwrap_or_default();
            let decided = rules.into_iter().filter_map(|rule| rule.run);
            let again = reader.about_event(&id)?.into_iter().filter_map(|stored| match stored.record {
                Record::Rerun { run, .. } => Some(run.to_string()),
                _ => None,
            });
            for run in decided.chain(again) {
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
    Rerun,
}

pub(super) async fn act(
    handle: &Handle,
    id: String,
    act: RunAct,
    who: &str,
    request: RunRequest,
) -> Result<RunDone, ApiError> {
    let by = by(who, request.person)?;
    let reason = words("the reason", request.reason)?;
    let run = RunId::new(id);
    let done = match act {
        RunAct::Cancel => handle.cancel(run.clone(), &by, reason.as_deref()).await.map(|()| run),
        RunAct::Approve => handle.approve(run.clone(), by, reason).await.map(|()| run),
        RunAct::Deny => handle.deny(run.clone(), &by, reason.as_deref()).await.map(|()| run),
        RunAct::Rerun => handle.rerun(run, by, reason).await,
    };
    Ok(RunDone { status: "done".into(), run: done?.to_string() })
}

pub(super) async fn pause(handle: &Handle, who: &str, request: PauseRequest) -> Result<(), ApiError> {
    let until = request.for_ms.map(|lasts| handle.now().plus(Duration::from_millis(lasts)));
    let pause = Pause {
        scope: scope(request.rule, request.channel)?,
        reason: words("the reason", request.reason)?,
        by: Some(by(who, request.person)?),
        until,
    };
    Ok(handle.pause(pause, request.now).await?)
}

pub(super) async fn resume(handle: &Handle, who: &str, request: ResumeRequest) -> Result<(), ApiError> {
    let scope = scope(request.rule, request.channel)?;
    Ok(handle.resume(scope, by(who, request.person)?).await?)
}
