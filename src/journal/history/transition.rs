//! The states of a run, and which may follow which.
//!
//! ```text
//! (decided) → waiting ──approve──► waiting ──act──► active ──step──► active ──end──► (gone)
//!                 └───────────────end─────────────────┘   └─resume─► active (after a crash alone)
//! ```
//!
//! A record that tells of any other transition is impossible. It is not folded, and it is not passed over in silence
//! either: it means a defect of ours, or that somebody else wrote into the journal.

use std::fmt;

use super::runs::{RunState, Waits};
use crate::journal::record::RunId;

/// What a record says that a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// It comes to be.
    Decide,
    /// A person allows it.
    Approve,
    /// It begins to act.
    Act,
    /// It goes on after a crash.
    Resume,
    /// It tries a step.
    Step,
    /// It ends.
    End,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decide => "be decided upon",
            Self::Approve => "be approved",
            Self::Act => "begin to act",
            Self::Resume => "go on after a crash",
            Self::Step => "try a step",
            Self::End => "end",
        })
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(Waits::Queue) => f.write_str("waits for its turn"),
            Self::Waiting(Waits::Hold { until }) => write!(f, "is held until {until}"),
            Self::Waiting(Waits::Approval) => f.write_str("waits for approval"),
            Self::Active { since } => write!(f, "acts since {since}"),
        }
    }
}

/// A record that the state of its run rules out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// No such run waits or acts: it was never decided upon, or has ended.
    #[error("run {run} cannot {transition}: no such run waits or acts")]
    Unknown {
        /// The run.
        run: RunId,
        /// What it was said to do.
        transition: Transition,
    },
    /// The run is in another state.
    #[error("run {run} cannot {transition}: it {state}")]
    Illegal {
        /// The run.
        run: RunId,
        /// What it was said to do.
        transition: Transition,
        /// Where it stands.
        state: RunState,
    },
}
