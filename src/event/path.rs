//! Values in a payload by dotted path, as `with` of a rule test and `--set` of the command line name them.

use serde_json::{Map, Value};

/// Why a value cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// There is no name, or an empty one between two dots.
    #[error("`{0}` is not a path; one looks like incident.labels.resource")]
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

/// Puts `value` at a dotted path. Behind `labels.` and `fields.` of an object the rest is one name, dots included,
/// as in `match`.
///
/// # Errors
/// A path with an empty name in it, and one that leads through something that is no object.
pub fn set(payload: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), SetError> {
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

/// The names of a path. Behind `labels.` and `fields.` the rest is one name.
pub fn split(path: &str) -> Vec<&str> {
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
}
