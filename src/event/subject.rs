//! Where the well-known fields of an incident or alert stand in its payload, found in one pass when it is read.
//!
//! Matching asks for the same few fields of an event again and again, once for each rule that may concern it.

use super::Entity;
use super::document::{Document, Item};

/// The place of a value in a document; the root's place stands for none.
type Place = u32;

/// Places of fields; [`Place`] 0 where the payload does not have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Subject {
    pub(super) itself: Place,
    pub(super) title: Place,
    pub(super) description: Place,
    pub(super) severity: Place,
    pub(super) status: Place,
    pub(super) progress: Place,
    pub(super) labels: Place,
    pub(super) fields: Place,
    pub(super) channel_id: Place,
    pub(super) channel_name: Place,
    pub(super) detail_url: Place,
}

impl Subject {
    /// Finds them in the payload of an event about `entity`.
    pub(super) fn find(payload: &Document, entity: &Entity) -> Self {
        let (name, severity, status) = match entity {
            Entity::Incident(_) => ("incident", "incident_severity", "incident_status"),
            Entity::Alert(_) => ("alert", "alert_severity", "alert_status"),
        };
        let Some(subject) = payload.root().get(name).filter(|subject| subject.is_object()) else {
            return Self::default();
        };
        let mut found = Self { itself: subject.place(), ..Self::default() };
        for (key, value) in subject.entries() {
            let field = match key {
                "title" => &mut found.title,
                "description" => &mut found.description,
                "progress" => &mut found.progress,
                "labels" => &mut found.labels,
                "fields" => &mut found.fields,
                "channel_id" => &mut found.channel_id,
                "channel_name" => &mut found.channel_name,
                "detail_url" => &mut found.detail_url,
                key if key == severity => &mut found.severity,
                key if key == status => &mut found.status,
                _ => continue,
            };
            *field = value.place();
        }
        found
    }
}

/// The value at a place that was found in this very document.
pub(super) fn at(payload: &Document, place: Place) -> Option<Item<'_>> {
    (place != 0).then(|| payload.item(place))
}

/// The object at a place, without anything in it where there is none.
pub(super) fn object_at(payload: &Document, place: Place) -> Item<'_> {
    at(payload, place).filter(|value| value.is_object()).unwrap_or_else(Item::empty)
}
