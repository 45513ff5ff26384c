//! The calls of the Open API, on what the fake keeps. Whatever the vendor refuses is refused.

use serde_json::{Map, Value, json};

use super::state::State;
use crate::clock::wall_now;

/// Incidents that one call may name.
const IDS_MAX: usize = 100;
/// Characters of a comment, a root cause or a resolution.
const TEXT_CHARS_MAX: usize = 1_024;
/// Minutes of a snooze.
const SNOOZE_MINUTES: std::ops::RangeInclusive<u64> = 1..=1_440;
/// Items of a page.
const PAGE_MAX: u64 = 100;
/// Seconds between the ends of a list.
const LIST_SECONDS_MAX: i64 = 31 * 86_400;

/// A call.
pub(super) struct Call<'a> {
    pub(super) path: &'a str,
    pub(super) is_post: bool,
    /// Whether it has the app key.
    pub(super) is_known: bool,
    /// The body, where it is JSON.
    pub(super) body: Option<Value>,
}

/// What it is answered, and what is pushed because of it.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) event: Option<(&'static str, String)>,
}

/// What was done: the data of the answer, and what is pushed.
type Done = (Value, Option<(&'static str, String)>);

/// Why it was not done.
struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal { status: 400, code: "InvalidParameter", message: message.into() }
}

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Answered {
    let request_id = state.request_id();
    match carry_out(state, call) {
        Ok((data, event)) => Answered { status: 200, body: json!({ "request_id": request_id, "data": data }), event },
        Err(Refusal { status, code, message }) => {
            let error = json!({ "code": code, "message": message });
            Answered { status, body: json!({ "request_id": request_id, "error": error }), event: None }
        }
    }
}

fn carry_out(state: &mut State, call: &Call<'_>) -> Result<Done, Refusal> {
    let refuse = |status, code, message: &str| Err(Refusal { status, code, message: message.to_owned() });
    if !call.is_known {
        return refuse(401, "Unauthorized", "the app key is not known");
    }
    if !state.may_answer() {
        return refuse(429, "RequestTooFrequently", "more than 50 requests a second or 1,000 a minute");
    }
    let Some(Value::Object(body)) = &call.body else { return Err(invalid("the body is not a JSON object")) };
    match call.path {
        _ if !call.is_post => refuse(404, "ResourceNotFound", "calls are posted"),
        "/incident/info" => {
            let id = one(state, body)?;
            Ok((json!(state.incident(&id)), None))
        }
        "/incident/comment" => comment(state, body),
        "/incident/ack" => {
            let now = wall_now().as_secs();
            change(state, body, "i_ack", &[("progress", json!("Processing")), ("ack_time", json!(now))])
        }
        "/incident/resolve" => resolve(state, body),
        "/incident/snooze" => {
            let minutes =
                body.get("minutes").and_then(Value::as_u64).filter(|minutes| SNOOZE_MINUTES.contains(minutes));
            let minutes = minutes.ok_or_else(|| invalid("minutes must be 1 to 1440"))?;
            let until = wall_now().as_secs().saturating_add_unsigned(minutes * 60);
            change(state, body, "i_snooze", &[("snoozed_before", json!(until))])
        }
        "/incident/field/reset" => {
            let id = one(state, body)?;
            let name =
                body.get("field_name").and_then(Value::as_str).ok_or_else(|| invalid("field_name is missing"))?;
            state.set_field(&id, name, body.get("field_value").unwrap_or(&Value::Null));
            Ok((json!({}), Some(("i_r_field", id))))
        }
        "/incident/reopen" => {
            change(state, body, "i_reopen", &[("progress", json!("Triggered")), ("close_time", json!(0))])
        }
        "/incident/list" => list(state, body),
        "/incident/alert/list" => {
            let id = one(state, body)?;
            let alerts = state.incident(&id).and_then(|incident| incident.get("alerts")).cloned();
            Ok((json!({ "items": alerts.unwrap_or_else(|| json!([])) }), None))
        }
        _ => refuse(404, "ResourceNotFound", "there is no such call"),
    }
}

/// The incident that a call is about.
fn one(state: &State, body: &Map<String, Value>) -> Result<String, Refusal> {
    let id = body.get("incident_id").and_then(Value::as_str).ok_or_else(|| invalid("incident_id is missing"))?;
    state.incident(id).ok_or_else(|| invalid(format!("there is no incident {id}")))?;
    Ok(id.to_owned())
}

/// The incidents that a call is about.
fn several(state: &State, body: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let ids = body.get("incident_ids").and_then(Value::as_array).filter(|ids| (1..=IDS_MAX).contains(&ids.len()));
    let ids = ids.ok_or_else(|| invalid("incident_ids must have 1 to 100 ids"))?;
    let ids = ids.iter().map(|id| {
        let id = id.as_str().ok_or_else(|| invalid("an incident id is no text"))?;
        state.incident(id).ok_or_else(|| invalid(format!("there is no incident {id}")))?;
        Ok(id.to_owned())
    });
    ids.collect()
}

/// An optional text of the body.
fn text(body: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match body.get(name).and_then(Value::as_str) {
        Some(text) if text.chars().count() > TEXT_CHARS_MAX => {
            Err(invalid(format!("{name} has more than {TEXT_CHARS_MAX} characters")))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn change(
    state: &mut State,
    body: &Map<String, Value>,
    event_type: &'static str,
    fields: &[(&str, Value)],
) -> Result<Done, Refusal> {
    let ids = several(state, body)?;
    ids.iter().for_each(|id| state.set(id, fields));
    Ok((json!({}), ids.into_iter().next().map(|id| (event_type, id))))
}

fn comment(state: &mut State, body: &Map<String, Value>) -> Result<Done, Refusal> {
    let comment = text(body, "comment")?.filter(|text| !text.is_empty());
    let comment = comment.ok_or_else(|| invalid("comment is missing"))?;
    let ids = several(state, body)?;
    ids.iter().for_each(|id| state.comment(id, &comment));
    let is_muted = body.get("mute_reply").and_then(Value::as_bool).unwrap_or(false);
    Ok((json!({}), ids.into_iter().next().filter(|_| !is_muted).map(|id| ("i_comm", id))))
}

fn resolve(state: &mut State, body: &Map<String, Value>) -> Result<Done, Refusal> {
    let now = wall_now().as_secs();
    let mut fields = vec![("progress", json!("Closed")), ("incident_status", json!("Ok")), ("close_time", json!(now))];
    for name in ["root_cause", "resolution"] {
        fields.extend(text(body, name)?.map(|text| (name, json!(text))));
    }
    change(state, body, "i_rslv", &fields)
}

fn list(state: &State, body: &Map<String, Value>) -> Result<Done, Refusal> {
    let number = |name: &str| body.get(name).and_then(Value::as_i64);
    let (Some(from), Some(to)) = (number("start_time"), number("end_time")) else {
        return Err(invalid("start_time and end_time are needed"));
    };
    if to <= from || to - from > LIST_SECONDS_MAX {
        return Err(invalid("end_time must be after start_time, by at most 31 days"));
    }
    let limit = body.get("limit").and_then(Value::as_u64).unwrap_or(20);
    let page = body.get("p").and_then(Value::as_u64).unwrap_or(1);
    if !(1..=PAGE_MAX).contains(&limit) || page == 0 {
        return Err(invalid("limit must be 1 to 100, and p at least 1"));
    }
    let wanted = body.get("progress").and_then(Value::as_str).unwrap_or_default();
    let found: Vec<&Map<String, Value>> = state
        .incidents()
        .filter(|incident| {
            let began = incident.get("start_time").and_then(Value::as_i64).unwrap_or(0);
            let progress = incident.get("progress").and_then(Value::as_str).unwrap_or_default();
            (from..to).contains(&began) && (wanted.is_empty() || wanted.split(',').any(|one| one == progress))
        })
        .collect();
    let (skip, limit) = (usize::try_from((page - 1) * limit), usize::try_from(limit).unwrap_or(1));
    let skip = skip.unwrap_or(usize::MAX);
    let items: Vec<_> = found.iter().skip(skip).take(limit).collect();
    let has_next_page = found.len() > skip.saturating_add(limit);
    Ok((json!({ "items": items, "has_next_page": has_next_page, "total": found.len() }), None))
}
