//! Why each rule did or did not act on an event.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::{ApiError, answer};
use crate::admin::table::Call;
use crate::admin::views::DecisionView;
use crate::clock::Timestamp;
use crate::decide::explain::{Explanation, explain};
use crate::decide::{Question, Scope};
use crate::engine::{Handle, event_of, load_event};
use crate::event::{self, Event};
use crate::journal::history::History;
use crate::journal::read::Reader;
use crate::journal::store::StoreError;
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
pub struct Push {
    /// The event's id; one is derived from the body where there is none.
    #[serde(rename = "event_id")]
    pub id: Option<String>,
    /// The event's type.
    #[serde(rename = "event_type")]
    pub kind: Option<String>,
}

/// An event with the history that it is asked on.
struct Case {
    event: Event,
    seq: u64,
    newest: Option<Event>,
    history: History,
    at: Timestamp,
    recorded: Option<DecisionView>,
}

pub(in crate::admin) async fn recorded(call: Call) -> Response {
    let explained = async {
        let (rule, now) = asked(&call, &["rule", "now"])?;
        of_recorded(&call.desk.handle, call.id(), rule, now).await
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
        let (history, at) = handle.inspect(|history, _, now| (history.clone(), now)).await?;
        let seq = history.last_seq() + 1;
        ask(handle, Case { event, seq, newest: None, history, at, recorded: None }, rule).await
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

/// Explains a recorded event: on the history just before it was decided, or on today's.
pub(in crate::admin) async fn of_recorded(
    handle: &Handle,
    id: String,
    rule: Option<String>,
    now: bool,
) -> Result<Answer, ApiError> {
    let today = match now {
        true => Some(handle.inspect(|history, _, now| (history.clone(), now)).await?),
        false => None,
    };
    let strict = handle.config().strict_ordering;
    let asked_at = handle.now();
    let case = handle.read({
        let id = id.clone();
        move |reader| case(reader, &id, today, asked_at, strict)
    });
    let case = case.await?.ok_or(ApiError::NotFound { what: "event with a body", id })?;
    ask(handle, case, rule).await
}

fn case(
    reader: &Reader,
    id: &str,
    today: Option<(History, Timestamp)>,
    asked_at: Timestamp,
    strict: bool,
) -> Result<Option<Case>, StoreError> {
    let Some(push) = reader.push(id)? else { return Ok(None) };
    let Some(event) = event_of(&push) else { return Ok(None) };
    let decision = reader.decision_on(push.seq)?;
    let recorded = decision.as_ref().and_then(DecisionView::of);
    let (history, at) = match today {
        Some(today) => today,
        None => {
            let decided_seq = decision.as_ref().map_or(u64::MAX, |decision| decision.seq);
            let mut history = History::default();
            history.newest.set_strict(strict);
            reader.scan(0, |stored| {
                if stored.seq < decided_seq {
                    history.apply(stored.seq, stored.at, &stored.record);
                }
                stored.seq < decided_seq
            })?;
            history.settle_before(push.seq);
            (history, decision.map_or(asked_at, |decision| decision.at))
        }
    };
    let newest = match history.newest.get(&event.entity) {
        Some(newest) if newest.is_after(event.time) && !newest.closed => load_event(reader, newest.seq)?,
        _ => None,
    };
    Ok(Some(Case { event, seq: push.seq, newest, history, at, recorded }))
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
        let Case { event, seq, newest, history, at, recorded } = case;
        let question = Question {
            event: &event,
            seq,
            newest: newest.as_ref(),
            rules: &in_force.rules,
            settings: &in_force.settings,
            scope: Scope::Every,
        };
        Answer { recorded, current: explain(&question, history, at, only.as_deref()) }
    });
    asked.await.map_err(|error| ApiError::Failed(format!("explaining ended early: {error}")))
}
