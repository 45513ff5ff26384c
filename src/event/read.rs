//! From the bytes of a push to an [`Event`].

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::json;
use super::{Entity, Event, EventId, TimeMark};
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
    let payload = payload(&body)?;
    let top = payload.as_object().ok_or_else(|| BodyError::NotAnObject(kind(&payload)))?;

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
                Some(Value::String(text)) if text.is_empty() => None,
                None | Some(Value::Null) => None,
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

    let (time, time_mark) = match top.get("event_time") {
        None | Some(Value::Null) => (received_at, TimeMark::Absent),
        Some(value) => {
            let ms = value.as_i64().ok_or(BodyError::WrongType {
                field: "event_time",
                expected: "a whole number of milliseconds since 1970 that fits 64 bits",
            })?;
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
    };

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
        body,
        body_hash,
        caught_up: false,
    })
}

/// Reads the JSON of a body as strictly as [`read`] does, without asking whether it is a push.
///
/// # Errors
/// What is not UTF-8, not JSON, has a key twice in one object, or is nested deeper than [`MAX_DEPTH`].
pub fn payload(body: &[u8]) -> Result<Value, BodyError> {
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

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The value, unless it is `null`, which a custom body sends for what it does not have.
fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

fn optional_text<'v>(value: Option<&'v Value>, field: &'static str) -> Result<Option<&'v str>, BodyError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            check_id(text, field)?;
            Ok(Some(text))
        }
        Some(_) => Err(BodyError::WrongType { field, expected: "a string" }),
    }
}

fn optional_object<'v>(
    value: Option<&'v Value>,
    field: &'static str,
) -> Result<Option<&'v serde_json::Map<String, Value>>, BodyError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(BodyError::WrongType { field, expected: "an object" }),
    }
}

/// An id that can be stored, printed and compared without surprises.
fn required_id(value: Option<&Value>, field: &'static str) -> Result<Arc<str>, BodyError> {
    match value {
        Some(Value::String(text)) => {
            if text.is_empty() {
                return Err(BodyError::BadId { field, problem: "is empty".into() });
            }
            check_id(text, field)?;
            Ok(text.as_str().into())
        }
        None | Some(Value::Null) => Err(BodyError::BadId { field, problem: "is missing".into() }),
        Some(_) => Err(BodyError::BadId { field, problem: "is not a string".into() }),
    }
}

fn check_id(text: &str, field: &'static str) -> Result<(), BodyError> {
    let problem = if text.chars().count() > MAX_ID_CHARS {
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
