//! Payloads of our own making: one that was recorded once is made fresh, and values in it are replaced.

use serde_json::{Map, Value};

use crate::clock::Timestamp;
pub(super) use crate::event::path::set;
use crate::event::path::split;

/// How many random bytes make an id: enough that no two of a lifetime meet.
const ID_BYTES: usize = 16;

/// Gives a payload an id and a time of its own, as a push that was never sent before.
pub(super) fn freshen(payload: &mut Map<String, Value>, at: Timestamp) -> Result<(), getrandom::Error> {
    payload.insert("event_id".into(), Value::from(random_id()?));
    payload.insert("event_time".into(), Value::from(at.as_millis()));
    Ok(())
}

/// An id that nobody used before.
pub(super) fn random_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0; ID_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The value that a person wrote: a label is a string whatever it looks like, anything else is JSON where it can be.
pub(super) fn written(path: &str, text: &str) -> Value {
    let is_label = split(path).iter().rev().nth(1) == Some(&"labels");
    if is_label {
        return Value::from(text);
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn labels_stay_text_and_the_rest_is_json() {
        assert_eq!(written("incident.labels.port", "8080"), json!("8080"));
        assert_eq!(written("incident.alert_cnt", "8080"), json!(8080));
        assert_eq!(written("incident.fields.on", "true"), json!(true));
        assert_eq!(written("incident.title", "disk full"), json!("disk full"));
    }

    #[test]
    fn a_fresh_payload_has_an_id_and_a_time_of_its_own() {
        let mut first = object(json!({"event_id": "old", "event_time": 1}));
        let mut second = first.clone();
        freshen(&mut first, Timestamp::from_millis(5_000)).unwrap();
        freshen(&mut second, Timestamp::from_millis(5_000)).unwrap();
        assert_eq!(first["event_time"], json!(5_000));
        assert_ne!(first["event_id"], second["event_id"]);
        assert_ne!(first["event_id"], json!("old"));
    }
}
