//! `max_wait`: a run that waited too long expires.

use crate::clock::Timestamp;
use crate::rule::Rule;

/// When a run expires if it still waits: counted `from` the receipt of its event, or from the end of its hold.
pub fn expires(rule: &Rule, from: Timestamp, held_until: Option<Timestamp>) -> Timestamp {
    held_until.unwrap_or(from).plus(rule.guards.max_wait)
}
