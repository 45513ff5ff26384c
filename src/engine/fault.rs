//! Fault points, by which tests make the daemon die where real defects would. They are not in release builds.

use crate::event::EventId;

/// Names the event whose evaluation ends the process, as an overflowing stack or the kernel's killer would.
#[cfg(debug_assertions)]
const DIE_AT: &str = "STANCH_FAULT_DIE_AT_EVENT";
/// Names the event over which the deciding task panics, where that cannot be laid on one rule.
#[cfg(debug_assertions)]
const PANIC_AT: &str = "STANCH_FAULT_PANIC_AT_EVENT";

/// Dies if that is what this event is for.
#[cfg(debug_assertions)]
pub(super) fn at_evaluation(event: &EventId) {
    use std::sync::OnceLock;
    static NAMED: OnceLock<[Option<String>; 2]> = OnceLock::new();
    let [die, panic] = NAMED.get_or_init(|| [DIE_AT, PANIC_AT].map(|name| std::env::var(name).ok()));
    if die.as_deref() == Some(event.as_str()) {
        std::process::abort();
    }
    if panic.as_deref() == Some(event.as_str()) {
        std::panic::panic_any(format!("a fault point was reached by event {event}"));
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(super) fn at_evaluation(_: &EventId) {}
