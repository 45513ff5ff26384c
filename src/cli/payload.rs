//! Payloads of our own making: one that was recorded once is made fresh, and values in it are replaced.

use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// How many random bytes make an id: enough that no two of a lifetime meet.
const ID_BYTES: usize = 16;

/// Why a value cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SetError {
    /// There is no name, or an empty one between two dots.
    #[error("`{0}` is not a path; write it like incident.labels.resource=db-07")]
    NotAPath(String),
    /// Something on the way is no object.
    #[error("cannot set `{path}`: `{at}` is not an object in this payload")]
    NotAnObject {
        /// What was to be set.
        path: String,
        /// The part that is in the way.
        at: String,
    },
}

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

/// Puts `value` at a dotted path. Behind `labels.` and `fields.` of an object the rest is one name, dots included,
/// as in `match`.
pub(super) fn set(payload: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), SetError> {
    let names = split(path);
    if names.iter().any(|name| name.is_empty()) {
        return Err(SetError::NotAPath(path.to_owned()));
    }
    let Some((last, way)) = names.split_last() else { return Err(SetError::NotAPath(path.to_owned())) };
    let mut object = payload;
    for name in way {
        let next = object.entry((*name).to_owned()).or_insert_with(|| Value::Object(Map::new()));
        object = next
            .as_object_mut()
            .ok_or_else(|| SetError::NotAnObject { path: path.to_owned(), at: (*name).to_owned() })?;
    }
    object.insert((*last).to_owned(), value);
    Ok(())
}

/// The value that a person wrote: a label is a string whatever it looks like, anything else is JSON where it can be.
pub(super) fn written(path: &str, text: &str) -> Value {
    let is_label = split(path).iter().rev().nth(1) == Some(&"labels");
    if is_label {
        return Value::from(text);
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

fn split(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = path;
    while let Some((name, behind)) = rest.split_once('.') {
        names.push(name);
        rest = behind;
        if matches!(name, "labels" | "fields") {
            break;
        }
    }
    names.push(rest);
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_label_with_dots_is_one_name() {
        let mut payload = object(json!({"incident": {"labels": {"a": "1"}}}));
        set(&mut payload, "incident.labels.app.kubernetes.io/name", json!("api")).unwrap();
        assert_eq!(
            Value::Object(payload),
            json!({"incident": {"labels": {"a": "1", "app.kubernetes.io/name": "api"}}})
        );
    }

    #[test]
    fn what_is_not_there_is_made() {
        let mut payload = Map::new();
        set(&mut payload, "incident.assigned_to.layer_idx", json!(2)).unwrap();
        assert_eq!(Value::Object(payload), json!({"incident": {"assigned_to": {"layer_idx": 2}}}));
    }

    #[test]
    fn what_is_no_object_is_not_replaced() {
        let mut payload = object(json!({"incident": {"title": "x"}}));
        let error = set(&mut payload, "incident.title.first", json!(1)).unwrap_err();
        assert!(error.to_string().contains("`title` is not an object"), "{error}");
        for path in ["", "incident.", ".title", "incident..title"] {
            assert!(matches!(set(&mut payload, path, json!(1)), Err(SetError::NotAPath(_))), "{path}");
        }
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
