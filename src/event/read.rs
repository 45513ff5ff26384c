//! From the bytes of a push to an [`Event`].

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::subject::Subject;
use super::{Document, Entity, Event, EventId, Item, TimeMark, json};
use crate::clock::Timestamp;

/// How many levels of arrays and objects a body may have. The deepest documented payload has five.
pub const MAX_DEPTH: usize = 32;
/// The longest id that is accepted, in characters. The vendor's have 24 to 40.
pub const MAX_ID_CHARS: usize = 128;
/// An `event_time` below this (September 2001 in milliseconds) is not milliseconds of this century; in practice
/// it is seconds.
pub const IMPLAUSIBLE_BEFORE_MS: i64 = 1_000_000_000_000;
/// How far ahead of the clock an `event_time` may be and still order events.
const AHEAD_TOLERANCE: std::time::Duration = std::time::Duration::from_secs(300);

/// Why a body is not a usable push. `code` is stable; the sentence is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not JSON at all, or JSON cut short.
    #[error("the body is not valid JSON: {0}")]
    NotJson(String),
    /// Not UTF-8.
    #[error("the body is not valid UTF-8: the first bad byte is at offset {0}")]
    NotUtf8(usize),
    /// A key occurs twice in one object.
    #[error("the body has a key twice in one object: {0}")]
    DuplicateKey(String),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("the body is nested too deeply: {0}")]
    TooDeep(String),
    /// JSON, but not an object.
    #[error("the body must be a JSON object, not {0}")]
    NotAnObject(&'static str),
    /// Neither `incident` nor `alert` is there.
    #[error("the body has neither an `incident` nor an `alert` object")]
    NoSubject,
    /// An id is missing or cannot be used.
    #[error("`{field}` {problem}")]
    BadId {
        /// Where it stands in the body.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A field that must have one type has another.
    #[error("`{field}` must be {expected}")]
    WrongType {
        /// Where it stands in the body.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

impl BodyError {
    /// The stable code that the answer carries.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJson(_) => "not-json",
            Self::NotUtf8(_) => "not-utf8",
            Self::DuplicateKey(_) => "duplicate-key",
            Self::TooDeep(_) => "too-deep",
            Self::NotAnObject(_) => "not-an-object",
            Self::NoSubject => "no-subject",
            Self::BadId { .. } => "bad-id",
            Self::WrongType { .. } => "wrong-type",
        }
    }
}

/// Reads the body of a push that `source` took in at `received_at`.
pub fn read(body: Bytes, source: Arc<str>, received_at: Timestamp) -> Result<Event, BodyError> {
    let payload = document(&body)?;
    let top = payload.root();
    if !top.is_object() {
        return Err(BodyError::NotAnObject(kind(top)));
    }

    let event_type = optional_text(top.get("event_type"), "event_type")?.unwrap_or_default();
    let incident = optional_object(top.get("incident"), "incident")?;
    let alert = optional_object(top.get("alert"), "alert")?;

    // An alert push may carry `incident` beside `alert`; the prefix tells which of the two it is about.
    let (entity, incident_id, alert_id) = match (incident, alert) {
        (_, Some(alert)) if incident.is_none() || event_type.starts_with("a_") => {
            let alert_id = required_id(alert.get("alert_id"), "alert.alert_id")?;
            let nested = optional_object(alert.get("incident"), "alert.incident")?;
            // Beside the alert stands the same incident where it does not stand within it.
            let incident_id = match nested.or(incident).and_then(|incident| incident.get("incident_id")) {
                id if is_blank(id) => None,
                id => Some(required_id(id, "alert.incident.incident_id")?),
            };
            (Entity::Alert(alert_id.clone()), incident_id, Some(alert_id))
        }
        (Some(incident), _) => {
            let id = required_id(incident.get("incident_id"), "incident.incident_id")?;
            (Entity::Incident(id.clone()), Some(id), None)
        }
        (None, _) => return Err(BodyError::NoSubject),
    };

    let body_hash = *blake3::hash(&body).as_bytes();
    let inner_id = incident.and_then(|incident| incident.get("event_id"));
    let id = match (present(top.get("event_id")), present(inner_id)) {
        (Some(id), _) => required_id(Some(id), "event_id")?,
        (None, Some(id)) => required_id(Some(id), "incident.event_id")?,
        (None, None) => format!("body-{}", blake3::Hash::from(body_hash).to_hex().get(..32).unwrap_or_default()).into(),
    };

    let (time, time_mark) = match present(top.get("event_time")) {
        None => (received_at, TimeMark::Absent),
        Some(value) => time(value, received_at),
    };

    let subject = Subject::find(&payload, &entity);
    Ok(Event {
        id: EventId::new(id),
        event_type: event_type.into(),
        time,
        time_mark,
        received_at,
        source,
        entity,
        incident_id,
        alert_id,
        payload,
        subject,
        body,
        body_hash,
        caught_up: false,
    })
}

/// What an `event_time` says, and what that is worth. An event is not lost over it: a custom body may have written it as
/// text, and what is no time at all orders nothing.
fn time(value: Item<'_>, received_at: Timestamp) -> (Timestamp, TimeMark) {
    let Some(ms) = value.as_i64().or_else(|| value.as_str()?.parse().ok()) else {
        return (received_at, TimeMark::Implausible);
    };
    let time = Timestamp::from_millis(ms);
    let mark = if ms < IMPLAUSIBLE_BEFORE_MS {
        TimeMark::Implausible
    } else if time > received_at.plus(AHEAD_TOLERANCE) {
        TimeMark::Ahead
    } else {
        TimeMark::Sound
    };
    (time, mark)
}

/// Reads the JSON of a body as strictly as [`read`] does, without asking whether it is a push.
///
/// # Errors
/// What is not UTF-8, not JSON, has a key twice in one object, or is nested deeper than [`MAX_DEPTH`].
pub fn payload(body: &[u8]) -> Result<Value, BodyError> {
    document(body).map(|document| document.root().to_value())
}

/// The same, as a document.
pub(super) fn document(body: &[u8]) -> Result<Document, BodyError> {
    // Checked first, in one pass: serde_json would report bad UTF-8 only inside strings.
    let text = std::str::from_utf8(body).map_err(|error| BodyError::NotUtf8(error.valid_up_to()))?;
    json::parse(text, MAX_DEPTH).map_err(classify)
}

fn classify(error: serde_json::Error) -> BodyError {
    let message = error.to_string();
    if message.starts_with(json::DUPLICATE_KEY) {
        BodyError::DuplicateKey(message)
    } else if message.starts_with(json::TOO_DEEP) || message.starts_with("recursion limit") {
        BodyError::TooDeep(message)
    } else {
        BodyError::NotJson(message)
    }
}

fn kind(value: Item<'_>) -> &'static str {
    if value.is_null() {
        "null"
    } else if value.as_bool().is_some() {
        "a bool"
    } else if value.as_f64().is_some() {
        "a number"
    } else if value.as_str().is_some() {
        "a string"
    } else if value.is_array() {
        "an array"
    } else {
        "an object"
    }
}

/// The value, unless it is `null`, which a custom body sends for what it does not have.
fn present(value: Option<Item<'_>>) -> Option<Item<'_>> {
    value.filter(|value| !value.is_null())
}

/// Whether there is nothing: no value, `null`, or empty text.
fn is_blank(value: Option<Item<'_>>) -> bool {
    present(value).is_none_or(|value| value.as_str() == Some(""))
}

fn optional_text<'v>(value: Option<Item<'v>>, field: &'static str) -> Result<Option<&'v str>, BodyError> {
    let Some(value) = present(value) else { return Ok(None) };
    let text = value.as_str().ok_or(BodyError::WrongType { field, expected: "a string" })?;
    check_id(text, field)?;
    Ok(Some(text))
}

fn optional_object<'v>(value: Option<Item<'v>>, field: &'static str) -> Result<Option<Item<'v>>, BodyError> {
    match present(value) {
        None => Ok(None),
        Some(object) if object.is_object() => Ok(Some(object)),
        Some(_) => Err(BodyError::WrongType { field, expected: "an object" }),
    }
}

/// An id that can be stored, printed and compared without surprises.
fn required_id(value: Option<Item<'_>>, field: &'static str) -> Result<Arc<str>, BodyError> {
    let bad = |problem: &str| BodyError::BadId { field, problem: problem.into() };
    let value = present(value).ok_or_else(|| bad("is missing"))?;
    let text = value.as_str().ok_or_else(|| bad("is not a string"))?;
    if text.is_empty() {
        return Err(bad("is empty"));
    }
    check_id(text, field)?;
    Ok(text.into())
}

fn check_id(text: &str, field: &'static str) -> Result<(), BodyError> {
    let problem = if text.len() > MAX_ID_CHARS && text.chars().count() > MAX_ID_CHARS {
        format!("is longer than {MAX_ID_CHARS} characters")
    } else if text.chars().any(char::is_control) {
        "contains control characters".into()
    } else if text.contains("{{") || text.contains("}}") {
        "still contains a `{{…}}` placeholder: the custom request body in Flashduty was not filled in".into()
    } else {
        return Ok(());
    };
    Err(BodyError::BadId { field, problem })
}

#[cfg(test)]
mod tests;
