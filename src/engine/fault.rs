//! Fault points, by which tests make the daemon die where real defects would. They are not in release builds.

use crate::event::EventId;

/// Names the event whose evaluation ends the process, as an overflowing stack or the kernel's killer would.
#[cfg(debug_assertions)]
const DIE_AT: &str = "STANCH_FAULT_DIE_AT_EVENT";

/// Dies if that is what this event is for.
#[cfg(debug_assertions)]
pub(super) fn at_evaluation(event: &EventId) {
    use std::sync::OnceLock;
    static NAMED: OnceLock<Option<String>> = OnceLock::new();
    if NAMED.get_or_init(|| std::env::var(DIE_AT).ok()).as_deref() == Some(event.as_str()) {
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(super) fn at_evaluation(_: &EventId) {}
