//! Traces: one for each event, from its receipt to the last write-back that it led to, sent to a collector by OTLP.
//!
//! # Theory of operation
//!
//! A task follows the journal behind a cursor of its own, as the streams of the admin interface do: the engine does not
//! wait for it and does not know of it. What a record tells becomes a finished span, and what an earlier record has told
//! is looked up in the journal where memory does not have it. The ids of traces and spans are derived from those of events,
//! runs and write-backs, so that what is told of one event before a restart and after it is one trace, with nothing put on
//! record for it.
//!
//! The journal is also the queue. While the collector does not answer nothing is read on; once the cursor is too far
//! behind, what lies between is passed over and counted. Nothing here ever slows or fails what is traced.

mod ids;
#[cfg(feature = "otlp")]
mod send;
#[cfg(feature = "otlp")]
mod span;
#[cfg(feature = "otlp")]
mod story;
#[cfg(feature = "otlp")]
mod task;

pub use ids::{Place, TraceIds};
#[cfg(feature = "otlp")]
pub(crate) use send::{SharedTarget, Target, TargetError};
#[cfg(feature = "otlp")]
pub(crate) use task::{Exporter, Wiring};

use std::path::Path;

/// The name of this installation in traces: the same as long as host and data folder are.
pub fn installation(data: &Path) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [host_name().as_bytes(), data.as_os_str().as_encoded_bytes()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let hex = hasher.finalize().to_hex();
    hex.get(..32).unwrap_or_default().to_owned()
}

/// What the host is called; empty where the kernel does not say.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}
