//! What is kept at hand of an event, beside its body.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::event::{Entity, Event, EventId, TimeMark};

/// What the fold and the ordering need to know of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The journal's sequence number of it.
    pub seq: u64,
    /// Its id.
    pub event: EventId,
    /// Its type.
    pub event_type: Arc<str>,
    /// Its time.
    pub time: Timestamp,
    /// What that is worth.
    pub time_mark: TimeMark,
    /// When it was received.
    pub received_at: Timestamp,
    /// What it is about.
    pub entity: Entity,
    /// Its incident, where it has one.
    pub incident: Option<Arc<str>>,
    /// The channel's id, where it has one.
    pub channel: Option<i64>,
    /// Whether it says that its entity is closed.
    pub closed: bool,
}

impl Observed {
    /// What is to be known of `event`, which stands at `seq` in the journal.
    pub fn of(event: &Event, seq: u64) -> Self {
        Self {
            seq,
            event: event.id.clone(),
            event_type: event.event_type.clone(),
            time: event.time,
            time_mark: event.time_mark,
            received_at: event.received_at,
            entity: event.entity.clone(),
            incident: event.incident_id.clone(),
            channel: event.channel_id(),
            closed: event.is_closed(),
        }
    }
}
