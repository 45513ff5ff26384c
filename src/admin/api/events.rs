//! Events, and what each led to.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::{ApiError, Page, answer};
use crate::admin::table::Call;
use crate::admin::views::{DecisionView, EventView, RunStory, RunView, WriteBackView};
use crate::engine::Handle;
use crate::journal::read::Reader;
use crate::journal::record::Record;
use crate::journal::store::StoreError;

/// An event with its body and the runs that it led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventStory {
    /// The event.
    pub event: EventView,
    /// The body as it was received, where it is still kept.
    pub body: Option<serde_json::Value>,
    /// The runs that it led to.
    pub runs: Vec<RunStory>,
    /// What was written back to Flashduty about it without a run, as a dry-run does.
    #[serde(default)]
    pub write_backs: Vec<WriteBackView>,
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

/// Adds what was decided.
fn add_decisions(reader: &Reader, views: &mut [EventView]) -> Result<(), StoreError> {
    let seqs: Vec<u64> = views.iter().map(|view| view.seq).collect();
    for (view, decision) in views.iter_mut().zip(reader.decisions_on(&seqs)?) {
        view.decision = decision.as_ref().and_then(DecisionView::of);
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
            let decided = runs_of(decision.as_ref().and_then(DecisionView::of).as_ref());
            let again = reader.about_event(&id)?.into_iter().filter_map(|stored| match stored.record {
                Record::Rerun { run, .. } => Some(run.to_string()),
                _ => None,
            });
            for run in decided.into_iter().chain(again) {
                runs.extend(RunStory::of(&reader.about_run(&run)?, live.get(&run).cloned()));
            }
            let mut about = reader.about_event(&id)?;
            about.retain(|stored| stored.record.run().is_none());
            let write_backs = WriteBackView::of(&about);
            let body = push.payload.as_deref().and_then(|body| serde_json::from_str(body).ok());
            Ok(EventView::of(&push, decision.as_ref()).map(|event| EventStory { event, body, runs, write_backs }))
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
