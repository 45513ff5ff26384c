//! `max_wait`: a run that waited too long expires, and an event that was caught up too late leads to none.

use super::{Objection, Proposal, Verdict, duration};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::journal::history::History;
use crate::rule::Rule;

/// When a run expires if it still waits: counted `from` the receipt of its event (see [`waits_since`]), or from the end
/// of its hold.
pub fn expires(rule: &Rule, from: Timestamp, held_until: Option<Timestamp>) -> Timestamp {
    held_until.unwrap_or(from).plus(rule.guards.max_wait)
}

/// Since when what an event led to waits. An event that was pushed did not wait before it came; one that was caught up
/// waited all the while.
pub fn waits_since(event: &Event) -> Timestamp {
    if event.caught_up { event.time.min(event.received_at) } else { event.received_at }
}

pub(super) fn ask(proposal: &Proposal<'_>, _: &History, now: Timestamp) -> Verdict {
    let (max_wait, event) = (proposal.rule.guards.max_wait, proposal.event);
    if proposal.is_first() && event.caught_up && now >= waits_since(event).plus(max_wait) {
        let since = duration(now.since(event.time));
        let reason =
            format!("the event was missed and caught up {since} later, and max_wait is {}", duration(max_wait));
        return Verdict::Object(Objection::new("max_wait", reason, None));
    }
    Verdict::Pass
}
