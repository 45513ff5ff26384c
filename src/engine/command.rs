//! What the admin interface asks of the deciding task. Commands go through it so that they are folded and recorded
//! in one order with the decisions.

use tokio::sync::oneshot;

use super::decider::InForce;
use crate::clock::Timestamp;
use crate::journal::history::{History, Pause};
use crate::journal::record::{PauseScope, RunEnd, RunId};
use crate::rule::RuleId;

/// Looks at the state between two rounds; must not take long.
pub type Look = Box<dyn FnOnce(&History, &InForce, Timestamp) + Send>;

/// Where the answer to a command goes. The error says why it cannot be done.
pub type Reply = oneshot::Sender<Result<(), String>>;

/// A command for the deciding task.
pub enum Command {
    /// Stop deciding.
    Stop,
    /// Look at the state.
    Inspect(Look),
    /// Put other rules and settings into force.
    PutInForce {
        /// What is put into force.
        in_force: InForce,
        /// Told once that is on record.
        reply: Reply,
    },
    /// Turn a kill switch on.
    Pause {
        /// Which, and why.
        pause: Pause,
        /// Told once it is on record.
        reply: Reply,
    },
    /// Turn a kill switch off.
    Resume {
        /// Which.
        scope: PauseScope,
        /// Who does.
        by: String,
        /// Told once it is on record.
        reply: Reply,
    },
    /// End a run that waits.
    EndWaiting {
        /// Which.
        run: RunId,
        /// How: cancelled or denied.
        end: RunEnd,
        /// Who and why, in words.
        reason: String,
        /// Told once it is on record.
        reply: Reply,
    },
    /// Allow a run that waits for approval.
    Approve {
        /// Which.
        run: RunId,
        /// Who allows it.
        by: String,
        /// Why.
        reason: Option<String>,
        /// Told once it is on record.
        reply: Reply,
    },
    /// Decide on a run anew, because a person has it done again.
    Rerun {
        /// What is asked for.
        again: Again,
        /// Told once it is on record.
        reply: Reply,
    },
}

/// A run that a person has done again.
pub struct Again {
    /// The id that the new run gets.
    pub run: RunId,
    /// The run that is repeated.
    pub of: RunId,
    /// Its rule.
    pub rule: RuleId,
    /// The number in the journal of the event that led to it.
    pub seq: u64,
    /// Who asks for it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// A command that was carried out, to be answered once that is durable.
pub(super) struct Handled {
    pub(super) reply: Reply,
    pub(super) answer: Result<(), String>,
}

impl Handled {
    pub(super) fn tell(self) {
        // Whoever asked may have gone; what they asked for is on record all the same.
        self.reply.send(self.answer).ok();
    }
}
