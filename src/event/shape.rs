//! The documented fields of a push, so that a slip in a path can be told before an event comes.
//!
//! A custom body may lack any of them and have others, so what is not listed is a warning and never an error. Nothing
//! here looks at an event.

/// What may stand at a place of the payload.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Text, a number or a bool.
    Value,
    /// A mapping with names of the sender's choosing, or anything else that is not described.
    Free,
    /// A list of things that are not looked into.
    List,
    /// A mapping with these names.
    Map(&'static [(&'static str, Shape)]),
}

use Shape::{Free, List, Map, Value};

const PERSON: &[(&str, Shape)] = &[("person_id", Value), ("person_name", Value), ("email", Value)];

const INCIDENT: &[(&str, Shape)] = &[
    ("incident_id", Value),
    ("title", Value),
    ("description", Value),
    ("impact", Value),
    ("root_cause", Value),
    ("resolution", Value),
    ("incident_severity", Value),
    ("incident_status", Value),
    ("progress", Value),
    ("created_at", Value),
    ("updated_at", Value),
    ("start_time", Value),
    ("last_time", Value),
    ("end_time", Value),
    ("ack_time", Value),
    ("close_time", Value),
    ("snoozed_before", Value),
    ("labels", Free),
    ("fields", Free),
    ("creator", Map(PERSON)),
    ("closer", Map(PERSON)),
    ("responders", List),
    ("responder_ids", List),
    ("alert_cnt", Value),
    ("alerts", List),
    ("channel_id", Value),
    ("channel_name", Value),
    ("detail_url", Value),
    ("group_method", Value),
    ("assigned_to", Map(ASSIGNED_TO)),
    ("account_id", Value),
    ("account_name", Value),
    ("data_source_id", Value),
    ("dedup_key", Value),
    ("num", Value),
    ("equals_md5", Value),
    // A documented example has it here.
    ("event_id", Value),
];

const ASSIGNED_TO: &[(&str, Shape)] = &[
    ("assigned_at", Value),
    ("escalate_rule_id", Value),
    ("escalate_rule_name", Value),
    ("id", Value),
    ("layer_idx", Value),
    ("type", Value),
];

const ALERT: &[(&str, Shape)] = &[
    ("alert_id", Value),
    ("alert_key", Value),
    ("data_source_id", Value),
    ("data_source_name", Value),
    ("data_source_type", Value),
    ("channel_id", Value),
    ("channel_name", Value),
    ("title", Value),
    ("title_rule", Value),
    ("description", Value),
    ("alert_severity", Value),
    ("alert_status", Value),
    ("progress", Value),
    ("created_at", Value),
    ("updated_at", Value),
    ("start_time", Value),
    ("last_time", Value),
    ("end_time", Value),
    ("close_time", Value),
    ("labels", Free),
    ("event_cnt", Value),
    ("incident", Map(&[("incident_id", Value), ("title", Value)])),
    ("account_id", Value),
    ("account_name", Value),
];

const EVENT: &[(&str, Shape)] = &[
    ("event_id", Value),
    ("event_time", Value),
    ("event_type", Value),
    ("person", Map(PERSON)),
    ("incident", Map(INCIDENT)),
    ("alert", Map(ALERT)),
];

/// The names that rules see, as far as their shape is known.
const ROOTS: &[(&str, Shape)] = &[
    ("event", Map(EVENT)),
    ("incident", Map(INCIDENT)),
    ("alert", Map(ALERT)),
    ("person", Map(PERSON)),
    ("channel", Map(&[("id", Value), ("name", Value)])),
];

/// A name of a path that is not documented where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// The name.
    pub name: String,
    /// The path up to it: `event.incident`.
    pub parent: String,
    /// What is documented there.
    pub known: Vec<&'static str>,
}

/// The first name of a path, as scripts and templates write it, that is not documented. Names in `labels` and
/// `fields`, and what is behind a list, are anybody's.
pub fn unknown_name(path: &str) -> Option<UnknownName> {
    let mut names = path.split('.');
    let root = names.next()?;
    let mut shape = ROOTS.iter().find(|(name, _)| *name == root).map(|(_, shape)| *shape)?;
    let mut parent = root.to_owned();
    for name in names {
        let known = match shape {
            Free | List => return None,
            // Scripts ask for the length of a text like a property.
            Value if name == "len" => return None,
            Value => &[],
            Map(known) => known,
        };
        match known.iter().find(|(known, _)| *known == name) {
            Some((_, inner)) => shape = *inner,
            // A map has a length too.
            None if name == "len" => return None,
            None => {
                let known = known.iter().map(|(name, _)| *name).collect();
                return Some(UnknownName { name: name.to_owned(), parent, known });
            }
        }
        parent.push('.');
        parent.push_str(name);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_paths_are_known() {
        for path in [
            "event.incident.labels.a.b/c",
            "incident.alert_cnt",
            "incident.title.len",
            "incident.responders.0.email",
            "alert.incident.title",
            "channel.id",
            "labels.anything",
            "steps.probe.exit_code",
            "event",
        ] {
            assert_eq!(unknown_name(path), None, "{path}");
        }
    }

    #[test]
    fn a_slip_is_named_with_what_could_be_meant() {
        let unknown = unknown_name("event.incident.sevrity").unwrap();
        assert_eq!((unknown.name.as_str(), unknown.parent.as_str()), ("sevrity", "event.incident"));
        assert!(unknown.known.contains(&"incident_severity"));
        for path in ["channel.nam", "incident.title.x", "event.incidnet.title", "alert.incident.labels"] {
            assert!(unknown_name(path).is_some(), "{path}");
        }
    }
}
