//! The names under which rules see an event, in `when` and in templates alike.

use serde_json::{Map, Value, json};

use super::{Entity, Event};

/// `event` (the whole payload), `incident`, `alert`, `alerts`, `labels`, `fields`, `person` and `channel` of an
/// event, as rules name them.
///
/// What an event does not have is left out, so that naming it is an error rather than an empty value; only
/// `labels` and `fields` are always there, possibly empty.
pub fn view(event: &Event) -> Map<String, Value> {
    let mut names = Map::new();
    names.insert("event".into(), event.payload.root().to_value());
    names.insert("labels".into(), Value::Object(event.labels().to_map()));
    names.insert("fields".into(), Value::Object(event.fields().to_map()));
    let payload = event.payload.root();
    let incident = match event.entity {
        Entity::Incident(_) => payload.get("incident"),
        Entity::Alert(_) => event.subject().get("incident").or_else(|| payload.get("incident")),
    };
    for (name, value) in [
        ("incident", incident),
        ("alert", payload.get("alert")),
        ("alerts", incident.and_then(|incident| incident.get("alerts"))),
        ("person", payload.get("person")),
    ] {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            names.insert(name.into(), value.to_value());
        }
    }
    let mut channel = Map::new();
    if let Some(id) = event.channel_id() {
        channel.insert("id".into(), json!(id));
    }
    if let Some(name) = event.channel_name() {
        channel.insert("name".into(), json!(name));
    }
    names.insert("channel".into(), Value::Object(channel));
    names
}
