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
