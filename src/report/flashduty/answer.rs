//! What the Open API answers: an envelope around data or an error.

use serde::Deserialize;
use serde_json::Value;

use super::CallError;

/// Characters of the vendor's words that are kept.
const WORDS_CHARS_MAX: usize = 300;

/// A call that was done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The vendor's id of the request, for its support.
    pub request_id: Option<String>,
    /// What it asked for.
    pub data: Value,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListPage {
    /// What is on it.
    pub items: Vec<Value>,
    /// Whether there is another one.
    pub has_next_page: bool,
}

impl ListPage {
    pub(super) fn of(data: &Value) -> Self {
        Self {
            items: data.get("items").and_then(Value::as_array).cloned().unwrap_or_default(),
            has_next_page: data.get("has_next_page").and_then(Value::as_bool).unwrap_or(false),
        }
    }
}

#[derive(Deserialize, Default)]
struct Envelope {
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    error: Option<Words>,
}

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads an answer. What a gateway says instead of Flashduty tells nothing about whether the call was done.
pub(super) fn read(status: u16, body: &[u8]) -> Result<Answer, CallError> {
    let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
    let is_success = (200..300).contains(&status);
    match envelope {
        Some(Envelope { request_id, data, error: None }) if is_success => Ok(Answer { request_id, data }),
        Some(Envelope { request_id, error: Some(Words { code, message }), .. }) => {
            Err(CallError::Refused { status, code: cut(&code), message: cut(&message), request_id })
        }
        None if is_success => Err(CallError::NoAnswer { why: format!("it answered {status} without JSON") }),
        _ if matches!(status, 502 | 504) => Err(CallError::NoAnswer { why: format!("a gateway answered {status}") }),
        envelope => {
            let request_id = envelope.and_then(|envelope| envelope.request_id);
            Err(CallError::Refused { status, code: String::new(), message: String::new(), request_id })
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(WORDS_CHARS_MAX).collect()
}
