//! The story of an incident: everything that came in about it and everything that came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::events::{live, runs_of};
use super::{ApiError, answer};
use crate::admin::table::Call;
use crate::admin::views::{DecisionView, EventView, RunStory};
use crate::engine::Handle;

/// How many events of an incident are told, the newest. A flapping one has thousands.
pub(in crate::admin) const EVENTS_MAX: usize = 200;

/// All that happened to an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentStory {
    /// Its id.
    pub incident: String,
    /// Its title, where a body is still kept that has one.
    pub title: Option<String>,
    /// Where it is shown in Flashduty, where a body says so.
    pub detail_url: Option<String>,
    /// Its newest 200 events and those of its alerts, oldest first, with what was decided on each.
    pub events: Vec<EventView>,
    /// The runs that they led to, in the order in which they were decided upon.
    pub runs: Vec<RunStory>,
}

pub(in crate::admin) async fn show(call: Call) -> Response {
    answer(story(&call.desk.handle, call.id()).await)
}

/// Tells the story of an incident.
pub(in crate::admin) async fn story(handle: &Handle, id: String) -> Result<IncidentStory, ApiError> {
    let live = live(handle).await?;
    let story = handle.read({
        let id = id.clone();
        move |reader| {
            let mut events = Vec::new();
            let mut detail_url = None;
            reader.pushes_about(&id, EVENTS_MAX, |push| {
                if detail_url.is_none() {
                    detail_url = crate::engine::event_of(&push).and_then(|event| event.detail_url().map(str::to_owned));
                }
                events.extend(EventView::of(&push, None));
            })?;
            if events.is_empty() {
                return Ok(None);
            }
            // They may lie months apart, so each is looked up by itself.
            for event in &mut events {
                event.decision = reader.decision_on(event.seq)?.as_ref().and_then(DecisionView::of);
            }
            events.reverse();
            let mut runs = Vec::new();
            for run in events.iter().flat_map(|event| runs_of(event.decision.as_ref())) {
                runs.extend(RunStory::of(&reader.about_run(&run)?, live.get(&run).cloned()));
            }
            // That of the incident says more than that of an alert of it.
            let of_incident = events.iter().rev().filter(|event| event.entity.starts_with("incident:"));
            let title = of_incident.chain(events.iter().rev()).find_map(|event| event.title.clone());
            Ok(Some(IncidentStory { incident: id, title, detail_url, events, runs }))
        }
    });
    story.await?.ok_or(ApiError::NotFound { what: "incident", id })
}
