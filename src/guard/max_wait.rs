//! `max_wait`: a run that waited too long expires.

use crate::clock::Timestamp;
use crate::event::Event;
use crate::rule::Rule;

/// When a run expires if it still waits: counted from the receipt of its event, or from the end of its hold.
pub fn expires(rule: &Rule, event: &Event, held_until: Option<Timestamp>) -> Timestamp {
    held_until.unwrap_or(event.received_at).plus(rule.guards.max_wait)
}
