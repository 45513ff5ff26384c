//! The journal: one append-only, hash-chained record of everything that happens, and its fold.
//!
//! # Theory of operation
//!
//! One writer thread owns the SQLite connection and commits what has gathered in its queue, up to
//! [`BATCH_MAX`] submissions at a time: a commit costs one fsync, however much it holds. A submission is answered
//! only after the commit that holds it. What was committed is handed on, in the order of its sequence numbers, to
//! the one consumer that folds it: so the live state and the state after a restart are folds of the same stream.
//!
//! A commit that fails is never retried, because after a failed fsync the page cache no longer tells what is on
//! disk: the journal closes, and everything that needs it stops.
//!
//! This module never decides anything.

pub mod history;
pub mod record;

use std::future::Future;

use crate::event::Event;
use record::Record;

/// How many submissions one commit may hold.
pub const BATCH_MAX: usize = 512;

/// What became of a push that was offered to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It is durable.
    Accepted,
    /// An event with this id and this body is already durable.
    Duplicate,
    /// An event with this id and another body is already durable; this one was not taken.
    Conflict,
}

/// Why the journal did not take something. It may have committed all the same; the unique id keeps it single.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too much is waiting to be decided or written.
    #[error("the journal has {waiting} submissions waiting, which is its limit: try again later")]
    Overloaded {
        /// How many wait.
        waiting: usize,
    },
    /// A commit failed, or the daemon stops; nothing will be taken any more.
    #[error("the journal is closed: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
}

/// Takes pushes in. What the receiver sees of the journal.
pub trait Intake: Clone + Send + Sync + 'static {
    /// Offers a push; resolves when its fate is durable. Sets no time limit of its own.
    fn admit(&self, event: Event) -> impl Future<Output = Result<Admitted, Refused>> + Send;
}

/// Takes records. What the runner and the engine see of the journal.
pub trait RecordSink: Clone + Send + Sync + 'static {
    /// Appends records as one transaction; resolves when they are durable.
    fn append(&self, records: Vec<Record>) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Appends a record in order, without waiting for it to be durable.
    fn append_later(&self, record: Record) -> Result<(), Refused>;
}
