//! Runs, and what a person says to them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::events::live;
use super::state::{by, reason};
use super::{ApiError, Page, answer};
use crate::admin::request::from_json;
use crate::admin::table::Call;
use crate::admin::views::{DecisionView, EventView, RunStory, RunView};
use crate::engine::Handle;
use crate::journal::read::Reader;
use crate::journal::record::{Record, RunId};
use crate::journal::store::{StoreError, Stored};

/// What a person can do to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) enum RunAct {
    /// Call it off.
    Cancel,
    /// Allow it.
    Approve,
    /// Refuse it.
    Deny,
    /// Do it again.
    Rerun,
}

impl RunAct {
    /// The act of this name.
    pub(in crate::admin) fn named(name: &str) -> Option<Self> {
        match name {
            "cancel" => Some(Self::Cancel),
            "approve" => Some(Self::Approve),
            "deny" => Some(Self::Deny),
            "rerun" => Some(Self::Rerun),
            _ => None,
        }
    }
}

/// What a person says beside the act.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActRequest {
    /// Why, for the record.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who asks, where the connection does not tell.
    #[serde(default)]
    pub person: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunDone {
    /// `done`.
    pub status: String,
    /// The run that it was done to; for a rerun, the new one.
    pub run: String,
}

/// A run that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalView {
    /// The run.
    pub run: RunView,
    /// The event that led to it, where it is still there.
    pub event: Option<EventView>,
    /// What it would do.
    pub plan: Option<serde_json::Value>,
}

pub(in crate::admin) async fn list(call: Call) -> Response {
    let listed = async {
        let page = Page::of(&call.head.query().map_err(ApiError::BadRequest)?)?;
        list_of(&call.desk.handle, page).await
    };
    answer(listed.await)
}

/// A page of runs: first those that wait or act, then those that ended, newest first.
pub(in crate::admin) async fn list_of(handle: &Handle, page: Page) -> Result<Vec<RunView>, ApiError> {
    let mut views: Vec<RunView> = Vec::new();
    if page.before.is_none() {
        views.extend(handle.inspect(|history, _, _| RunView::live(history)).await?);
        views.reverse();
        views.truncate(page.limit);
    }
    let room = page.limit - views.len();
    let ended = handle.read(move |reader| ended(reader, page.before(), room));
    views.extend(ended.await?);
    Ok(views)
}

fn ended(reader: &Reader, before: u64, room: usize) -> Result<Vec<RunView>, StoreError> {
    let mut views = Vec::with_capacity(room);
    let mut before = before;
    while views.len() < room {
        let marks = reader.run_marks_before(before, 2 * (room - views.len()))?;
        let Some(last) = marks.last() else { break };
        before = last.seq;
        for mark in &marks {
            if let Some(view) = RunView::of_ended(mark).filter(|_| views.len() < room) {
                let event = reader.intent_of(&view.run)?.and_then(|intent| event_of_intent(&intent));
                views.push(RunView { event, ..view });
            }
        }
    }
    Ok(views)
}

fn event_of_intent(stored: &Stored) -> Option<String> {
    match &stored.record {
        Record::RunIntended { event, .. } => Some(event.to_string()),
        _ => None,
    }
}

pub(in crate::admin) async fn show(call: Call) -> Response {
    answer(story(&call.desk.handle, call.id()).await)
}

/// One run with its plan and its steps.
pub(in crate::admin) async fn story(handle: &Handle, id: String) -> Result<RunStory, ApiError> {
    let mut live = live(handle).await?;
    let running = handle.clone();
    let story = handle.read({
        let id = id.clone();
        move |reader| {
            let records = reader.about_run(&id)?;
            let Some(mut story) = RunStory::of(&records, live.remove(&id)) else { return Ok(None) };
            if story.plan.is_none() {
                // It waits, or it never acted: what it is about stands in the decision alone.
                let up_to = records.last().map_or_else(|| reader.last_seq(), |last| Ok(last.seq))?;
                let decision = match &story.run.event {
                    Some(event) => decision_on(reader, event)?,
                    None => reader.decision_behind(&id, up_to)?,
                };
                if let Some(decision) = decision {
                    complete(&mut story, &decision);
                }
            }
            story.add_now(running.now_in(&RunId::new(id)));
            Ok(Some(story))
        }
    });
    story.await?.ok_or(ApiError::NotFound { what: "run", id })
}

fn decision_on(reader: &Reader, event: &str) -> Result<Option<Stored>, StoreError> {
    reader.push(event)?.map_or(Ok(None), |push| reader.decision_on(push.seq))
}

/// Takes from a decision what the records of a run that did not act do not hold.
fn complete(story: &mut RunStory, decision: &Stored) {
    let Record::Decided { event, .. } = &decision.record else { return };
    let Some(view) = DecisionView::of(decision) else { return };
    if let Some(rule) = view.rules.into_iter().find(|rule| rule.run.as_deref() == Some(&*story.run.run)) {
        story.plan = rule.plan;
        story.generation = Some(view.generation);
        story.run.event = event.as_ref().map(ToString::to_string);
    }
}

pub(in crate::admin) async fn approvals(call: Call) -> Response {
    answer(waiting_for_a_person(&call.desk.handle).await)
}

/// Every run that waits for a person, the one that expires first before the others.
pub(in crate::admin) async fn waiting_for_a_person(handle: &Handle) -> Result<Vec<ApprovalView>, ApiError> {
    let mut runs: Vec<RunView> = live(handle).await?.into_values().collect();
    runs.retain(|run| run.state == "awaiting-approval");
    runs.sort_by(|a, b| (a.until, &a.run).cmp(&(b.until, &b.run)));
    runs.truncate(super::LIST_MAX);
    let views = handle.read(move |reader| {
        let views = runs.into_iter().map(|run| {
            let push = run.event.as_deref().map_or(Ok(None), |event| reader.push(event))?;
            let decision = push.as_ref().map_or(Ok(None), |push| reader.decision_on(push.seq))?;
            let event = push.as_ref().and_then(|push| EventView::of(push, None));
            let rules = decision.as_ref().and_then(DecisionView::of).map(|decision| decision.rules);
            let own = rules.into_iter().flatten().find(|rule| rule.run.as_deref() == Some(&*run.run));
            Ok(ApprovalView { run, event, plan: own.and_then(|rule| rule.plan) })
        });
        views.collect::<Result<Vec<_>, StoreError>>()
    });
    Ok(views.await?)
}

pub(in crate::admin) async fn act(call: Call, act: RunAct) -> Response {
    let done = async {
        let request: ActRequest = from_json(&call.body).map_err(ApiError::BadRequest)?;
        let who = by(&call.caller.who, request.person)?;
        let run = act_by(&call.desk.handle, call.id(), act, request.reason, &who).await?;
        Ok(RunDone { status: "done".into(), run: run.to_string() })
    };
    answer(done.await)
}

/// Does for a person what they said to a run. Who and why become part of the record. Gives the run: for a rerun, the new
/// one.
pub(in crate::admin) async fn act_by(
    handle: &Handle,
    id: String,
    act: RunAct,
    why: Option<String>,
    who: &str,
) -> Result<RunId, ApiError> {
    let why = reason(why)?;
    let run = RunId::new(id);
    match act {
        RunAct::Cancel => handle.cancel(run.clone(), who, why.as_deref()).await?,
        RunAct::Approve => handle.approve(run.clone(), who.to_owned(), why).await?,
        RunAct::Deny => handle.deny(run.clone(), who, why.as_deref()).await?,
        RunAct::Rerun => return Ok(handle.rerun(run, who.to_owned(), why).await?),
    }
    Ok(run)
}
