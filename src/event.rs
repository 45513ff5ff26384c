//! What Flashduty pushed: reading a body into an [`Event`], and the entity that orders and dedupes it.
//!
//! This module does no I/O. A body is parsed once, here; everything later works on the parsed value. Unknown
//! event types and fields are kept, since the vendor may add some at any time.

mod document;
mod json;
pub mod path;
mod read;
pub mod shape;
mod subject;
mod view;

pub use document::{Document, Elements, Entries, Item};
pub use read::{BodyError, IMPLAUSIBLE_BEFORE_MS, MAX_DEPTH, MAX_ID_CHARS, payload, read};
pub use view::view;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use subject::Subject;

/// The event types that the vendor documents, with what each says. New ones may come; an unknown one is valid.
pub const EVENT_TYPES: &[(&str, &str)] = &[
    ("i_new", "incident created"),
    ("i_assign", "incident assigned"),
    ("i_a_rspd", "responders added"),
    ("i_snooze", "incident snoozed"),
    ("i_wake", "snooze cancelled"),
    ("i_ack", "incident acknowledged"),
    ("i_unack", "acknowledgement cancelled"),
    ("i_storm", "alert storm warning"),
    ("i_custom", "custom action pressed"),
    ("i_rslv", "incident closed"),
    ("i_reopen", "incident reopened"),
    ("i_merge", "incident merged"),
    ("i_comm", "comment added"),
    ("i_r_title", "title changed"),
    ("i_r_desc", "description changed"),
    ("i_r_impact", "impact changed"),
    ("i_r_rc", "root cause changed"),
    ("i_r_rsltn", "resolution changed"),
    ("i_r_severity", "severity changed"),
    ("i_r_field", "custom field changed"),
    ("a_new", "alert created"),
    ("a_update", "alert updated"),
    ("a_merge", "alert merged into an incident"),
    ("a_close", "alert closed by hand"),
];

/// The identity of a push: unique for ever, chosen by the vendor or derived from the body's hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Arc<str>);

impl EventId {
    /// Wraps an id that was already validated, as one read back from the journal is.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an event is about, and so what orders and dedupes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entity {
    /// An incident, by its id.
    Incident(Arc<str>),
    /// An alert, by its id.
    Alert(Arc<str>),
}

impl Entity {
    /// The id alone, without its kind.
    pub fn id(&self) -> &str {
        match self {
            Self::Incident(id) | Self::Alert(id) => id,
        }
    }
}

impl fmt::Display for Entity {
    /// `incident:ID` or `alert:ID`: also the default target of a rule that names none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incident(id) => write!(f, "incident:{id}"),
            Self::Alert(id) => write!(f, "alert:{id}"),
        }
    }
}

/// How far the push's own `event_time` can be trusted for ordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimeMark {
    /// Milliseconds of this era, not ahead of the clock by more than the tolerance.
    Sound,
    /// More than five minutes ahead of the clock when received: never becomes the newest seen.
    Ahead,
    /// Too small to be milliseconds of this century (seconds, most likely), or no whole number, for which the time of
    /// receipt stands in: never becomes the newest seen.
    Implausible,
    /// The body had none; the time of receipt stands in for it.
    Absent,
}

impl TimeMark {
    /// Whether an event with this mark may order others.
    pub fn orders(self) -> bool {
        matches!(self, Self::Sound | Self::Absent)
    }
}

/// One push, parsed and validated.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique id of the push.
    pub id: EventId,
    /// `i_new`, `a_update`, …; empty where a custom body left it out.
    pub event_type: Arc<str>,
    /// The vendor's `event_time`, else the time of receipt.
    pub time: Timestamp,
    /// Whether `time` may order events.
    pub time_mark: TimeMark,
    /// When it was received.
    pub received_at: Timestamp,
    /// The name of the configured source that took it in.
    pub source: Arc<str>,
    /// What it is about.
    pub entity: Entity,
    /// The incident it concerns: its own, or the one its alert belongs to.
    pub incident_id: Option<Arc<str>>,
    /// The alert it is about, for alert events.
    pub alert_id: Option<Arc<str>>,
    /// The whole payload. Always an object; an integer beyond 64 bits stands in it as the text of its digits.
    pub payload: Document,
    /// Where the well-known fields stand in it.
    subject: Subject,
    /// The body as received, byte for byte.
    pub body: Bytes,
    /// BLAKE3 of `body`.
    pub body_hash: [u8; 32],
    /// Whether it was not pushed but asked for, because it was missed. Nothing in a body can claim it.
    pub caught_up: bool,
}

impl Event {
    /// The `incident` or `alert` object; empty where it is missing.
    pub fn subject(&self) -> Item<'_> {
        subject::object_at(&self.payload, self.subject.itself)
    }

    /// A text field of the subject, `None` where it is absent or not text.
    fn text(&self, place: u32) -> Option<&str> {
        subject::at(&self.payload, place).and_then(Item::as_str)
    }

    /// The title of the incident or alert.
    pub fn title(&self) -> Option<&str> {
        self.text(self.subject.title)
    }

    /// The description of the incident or alert.
    pub fn description(&self) -> Option<&str> {
        self.text(self.subject.description)
    }

    /// `incident_severity` or `alert_severity`.
    pub fn severity(&self) -> Option<&str> {
        self.text(self.subject.severity)
    }

    /// `incident_status` or `alert_status`.
    pub fn status(&self) -> Option<&str> {
        self.text(self.subject.status)
    }

    /// `Triggered`, `Processing` or `Closed`.
    pub fn progress(&self) -> Option<&str> {
        self.text(self.subject.progress)
    }

    /// The link to the incident in Flashduty.
    pub fn detail_url(&self) -> Option<&str> {
        self.text(self.subject.detail_url)
    }

    /// The labels; empty where there are none, as for an incident made by hand.
    pub fn labels(&self) -> Item<'_> {
        subject::object_at(&self.payload, self.subject.labels)
    }

    /// The custom fields; empty where there are none.
    pub fn fields(&self) -> Item<'_> {
        subject::object_at(&self.payload, self.subject.fields)
    }

    /// The id of the channel; `None` where it is absent or 0, which the vendor uses for "none".
    pub fn channel_id(&self) -> Option<i64> {
        subject::at(&self.payload, self.subject.channel_id).and_then(Item::as_i64).filter(|id| *id != 0)
    }

    /// The name of the channel.
    pub fn channel_name(&self) -> Option<&str> {
        self.text(self.subject.channel_name).filter(|name| !name.is_empty())
    }

    /// Who acted, for events that a person caused.
    pub fn person(&self) -> Option<Item<'_>> {
        self.payload.root().get("person").filter(|person| person.is_object())
    }

    /// This event with the state that `newest`, a later event of the same entity, brought: what happened stays as
    /// it was, what is known is the latest.
    pub fn with_state_of(&self, newest: &Self) -> Self {
        let mut payload = newest.payload.root().to_map();
        for name in ["event_id", "event_type", "event_time", "person"] {
            match self.payload.root().get(name) {
                Some(value) => payload.insert(name.to_owned(), value.to_value()),
                None => payload.remove(name),
            };
        }
        let body = Bytes::from(serde_json::Value::Object(payload).to_string());
        // It was made of what was read before, so that it can be read again.
        let payload = read::document(&body).unwrap_or_default();
        let subject = Subject::find(&payload, &self.entity);
        Self { payload, subject, body_hash: *blake3::hash(&body).as_bytes(), body, ..self.clone() }
    }

    /// Whether this event says that its entity is closed.
    pub fn is_closed(&self) -> bool {
        self.progress() == Some("Closed") || matches!(&*self.event_type, "i_rslv" | "a_close")
    }

    /// Whether this event opens its incident again.
    pub fn is_reopening(&self) -> bool {
        &*self.event_type == "i_reopen"
    }

    /// Whether this event only annotates. Such an event never makes an earlier one late, or an assignment that
    /// overtook `i_new` would cancel its healing.
    pub fn only_annotates(&self) -> bool {
        only_annotates(&self.event_type)
    }
}

/// Whether events of this type only annotate, as unknown ones are taken to.
pub fn only_annotates(event_type: &str) -> bool {
    match event_type {
        "i_assign" | "i_a_rspd" | "i_comm" => true,
        field if field.starts_with("i_r_") => true,
        kind => !EVENT_TYPES.iter().any(|(known, _)| *known == kind),
    }
}
