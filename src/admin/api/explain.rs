//! Why each rule did or did not act on an event.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::{ApiError, answer};
use crate::admin::routes::Desk;
use crate::admin::table::Call;
use crate::admin::views::DecisionView;
use crate::decide::explain::Explanation;
use crate::engine::Handle;
use crate::event;
use crate::replay::explain::{Case, On};
use crate::rule::RuleId;

/// What was decided, and what the rules in force say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// What was decided when the event came, where it is a recorded one.
    pub recorded: Option<DecisionView>,
    /// What the rules in force say.
    pub current: Explanation,
}

/// A push, as Flashduty sends it.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("anyOf" = [
    { "required": ["incident"], "properties": { "incident": {
        "type": "object",
        "required": ["incident_id"],
        "properties": { "incident_id": { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$" } },
    } } },
    { "required": ["alert"], "properties": { "alert": {
        "type": "object",
        "required": ["alert_id"],
        "properties": { "alert_id": { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$" } },
    } } },
]))]
pub struct Push {
    /// The event's id; one is derived from the body where there is none.
    #[serde(rename = "event_id")]
    #[schemars(regex(pattern = "^[A-Za-z0-9_.:-]{1,128}$"))]
    pub id: Option<String>,
    /// The event's type.
    #[serde(rename = "event_type")]
    #[schemars(regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]{0,64}$"))]
    pub kind: Option<String>,
}

pub(in crate::admin) async fn recorded(call: Call) -> Response {
    let explained = async {
        let (rule, now) = asked(&call, &["rule", "now"])?;
        of_recorded(&call.desk, call.id(), rule, now).await
    };
    answer(explained.await)
}

pub(in crate::admin) async fn push(call: Call) -> Response {
    let explained = async {
        let (rule, _) = asked(&call, &["rule"])?;
        let handle = &call.desk.handle;
        let config = handle.config();
        let source: Arc<str> = config.sources.first().map_or("api", |source| source.name.as_str()).into();
        let event = event::read(call.body.clone(), source, handle.now())
            .map_err(|error| ApiError::BadRequest(format!("the body is no push: {error}")))?;
        let (history, at) = handle.inspect(|history, _, now| (Box::new(history.clone()), now)).await?;
        let case = handle.read(move |reader| Ok(Case::of_push(event, *history, at, Some(reader))));
        ask(handle, case.await??, rule).await
    };
    answer(explained.await)
}

fn asked(call: &Call, known: &[&str]) -> Result<(Option<String>, bool), ApiError> {
    let read = || {
        let query = call.head.query()?;
        query.only(known)?;
        Ok::<_, String>((query.text("rule").map(str::to_owned), query.is_set("now")?))
    };
    read().map_err(ApiError::BadRequest)
}

/// Explains a recorded event: on the history just before it was decided, or on today's. The former is a fold of the
/// journal, for which there are few places and little time.
pub(in crate::admin) async fn of_recorded(
    desk: &Desk,
    id: String,
    rule: Option<String>,
    now: bool,
) -> Result<Answer, ApiError> {
    let handle = &desk.handle;
    let case = if now {
        let (history, at) = handle.inspect(|history, _, now| (Box::new(history.clone()), now)).await?;
        let read = handle.read({
            let id = id.clone();
            move |reader| Ok(Case::recorded(reader, &id, at, On::Now(history)))
        });
        read.await??
    } else {
        let (id, at) = (id.clone(), handle.now());
        let fold = desk.work.fold(handle, move |reader, folding| {
            Case::recorded(reader, &id, at, On::Then(&mut |before| folding.before(reader, before)))
        });
        fold.await?
    };
    ask(handle, case.ok_or(ApiError::NotFound { what: "event with a body", id })?, rule).await
}

/// Asks the rules in force. On a thread of its own: every rule is asked, and each may run a script.
async fn ask(handle: &Handle, case: Case, only: Option<String>) -> Result<Answer, ApiError> {
    let in_force = handle.in_force();
    if let Some(id) = &only
        && in_force.rules.get(&RuleId::new(id.as_str())).is_none()
    {
        return Err(ApiError::NotFound { what: "rule", id: id.clone() });
    }
    let asked = tokio::task::spawn_blocking(move || {
        let recorded = case.decision.as_ref().and_then(DecisionView::of);
        Answer { recorded, current: case.ask(&in_force.rules, &in_force.settings, only.as_deref()) }
    });
    asked.await.map_err(|error| ApiError::Failed(format!("explaining ended early: {error}")))
}
