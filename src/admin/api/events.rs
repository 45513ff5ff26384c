//! Events, and what each led to.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::{ApiError, Page, answer};
use crate::admin::table::Call;
use crate::admin::views::{DecisionView, EventView, RunStory, RunView};
use crate::engine::Handle;
use crate::journal::read::Reader;
use crate::journal::record::Record;
use crate::journal::store::{StoreError, Stored};

/// An event with its body and the runs that it led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventStory {
    /// The event.
    pub event: EventView,
    /// The body as it was received, where it is still kept.
    pub body: Option<serde_json::Value>,
    /// The runs that it led to.
    pub runs: Vec<RunStory>,
}

pub(in crate::admin) async fn list(call: Call) -> Response {
    let listed = async {
        let page = Page::of(&call.head.query().map_err(ApiError::BadRequest)?)?;
        list_of(&call.desk.handle, page).await
    };
    answer(listed.await)
}

/// A page of events, newest first.
pub(in crate::admin) async fn list_of(handle: &Handle, page: Page) -> Result<Vec<EventView>, ApiError> {
    let views = handle.read(move |reader| {
        let mut views = Vec::with_capacity(page.limit);
        reader.each_push_before(page.before(), page.limit, |push| views.extend(EventView::of(&push, None)))?;
        add_decisions(reader, &mut views)?;
        Ok(views)
    });
    Ok(views.await?)
}

/// Adds what was decided to events that stand newest first.
fn add_decisions(reader: &Reader, views: &mut [EventView]) -> Result<(), StoreError> {
    let (Some(newest), Some(oldest)) = (views.first(), views.last()) else { return Ok(()) };
    let decisions = reader.decisions_between(oldest.seq, newest.seq)?;
    let reach = |stored: &Stored| match &stored.record {
        Record::Decided { to_seq, .. } => *to_seq,
        _ => 0,
    };
    for view in views {
        // Decisions stand in the order of their events: the first that reaches as far as an event is its own.
        let at = decisions.partition_point(|decision| reach(decision) < view.seq || decision.seq <= view.seq);
        view.decision = decisions.get(at).and_then(DecisionView::of);
    }
    Ok(())
}

pub(in crate::admin) async fn show(call: Call) -> Response {
    answer(story(&call.desk.handle, call.id()).await)
}

/// One event with all that came of it.
pub(in crate::admin) async fn story(handle: &Handle, id: String) -> Result<EventStory, ApiError> {
    let live = live(handle).await?;
    let story = handle.read({
        let id = id.clone();
        move |reader| {
            let Some(push) = reader.push(&id)? else { return Ok(None) };
            let decision = reader.decision_on(push.seq)?;
            let mut runs = Vec::new();
            for run in runs_of(decision.as_ref().and_then(DecisionView::of).as_ref()) {
                runs.extend(RunStory::of(&reader.about_run(&run)?, live.get(&run).cloned()));
            }
            let body = push.payload.as_deref().and_then(|body| serde_json::from_str(body).ok());
            Ok(EventView::of(&push, decision.as_ref()).map(|event| EventStory { event, body, runs }))
        }
    });
    story.await?.ok_or(ApiError::NotFound { what: "event", id })
}

/// The runs that a decision led to.
pub(super) fn runs_of(decision: Option<&DecisionView>) -> Vec<String> {
    decision.iter().flat_map(|decision| &decision.rules).filter_map(|rule| rule.run.clone()).collect()
}

/// Every run that waits or acts, by its id.
pub(super) async fn live(handle: &Handle) -> Result<HashMap<String, RunView>, ApiError> {
    let live = handle.inspect(|history, _, _| RunView::live(history)).await?;
    Ok(live.into_iter().map(|view| (view.run.clone(), view)).collect())
}
