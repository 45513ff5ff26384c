//! What has to be written back to Flashduty, in the order in which it was asked for.

use std::collections::VecDeque;

use super::super::record::{WriteBack, WriteBackId, WriteBackOutcome};
use crate::clock::Timestamp;

/// How many write-backs may wait. At 2 kB each these are 8 MB; a healthy engine has a few. Whoever queues asks for a
/// place first, and is refused when there is none.
pub const WRITE_BACKS_MAX: usize = 4096;

/// How many write-backs that are over are remembered, so that a step that is repeated after a crash does not ask for its
/// calls a second time.
const OVER_MAX: usize = 4096;

/// A write-back that waits, or is on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// What is to be done.
    pub write_back: WriteBack,
    /// Since when.
    pub queued_at: Timestamp,
    /// How often Flashduty was asked and did not do it.
    pub tries: u32,
    /// Whether a try was started of which no end is known.
    pub in_doubt: bool,
}

impl Waiting {
    /// When it is too old to be sent.
    pub fn expires(&self) -> Timestamp {
        self.queued_at.plus(self.write_back.call.lasts())
    }
}

/// Every write-back of which something is still to come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outbox {
    waiting: VecDeque<Waiting>,
    over: VecDeque<WriteBackId>,
}

impl Outbox {
    /// What waits, the oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether this was queued before: it waits, or is over. To queue it again changes nothing.
    pub fn knows(&self, id: &WriteBackId) -> bool {
        self.waiting.iter().any(|waiting| waiting.write_back.id == *id) || self.over.contains(id)
    }

    pub(super) fn queue(&mut self, at: Timestamp, write_back: &WriteBack) {
        if !self.knows(&write_back.id) {
            self.waiting.push_back(Waiting {
                write_back: write_back.clone(),
                queued_at: at,
                tries: 0,
                in_doubt: false,
            });
        }
    }

    pub(super) fn started(&mut self, id: &WriteBackId) {
        if let Some(waiting) = self.find(id) {
            waiting.in_doubt = true;
        }
    }

    pub(super) fn answered(&mut self, id: &WriteBackId, outcome: WriteBackOutcome) {
        if outcome.is_final() {
            self.waiting.retain(|waiting| waiting.write_back.id != *id);
            self.over.push_back(id.clone());
            if self.over.len() > OVER_MAX {
                self.over.pop_front();
            }
        } else if let Some(waiting) = self.find(id) {
            waiting.in_doubt = false;
            waiting.tries += u32::from(outcome == WriteBackOutcome::Again);
        }
    }

    fn find(&mut self, id: &WriteBackId) -> Option<&mut Waiting> {
        self.waiting.iter_mut().find(|waiting| waiting.write_back.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::record::WriteBackCall;
    use super::*;
    use crate::event::EventId;
    use crate::rule::RuleId;

    fn comment(name: &str) -> WriteBack {
        WriteBack {
            id: WriteBackId::derive(&[name]),
            incident: "i1".into(),
            event: EventId::new("e1"),
            run: None,
            rule: RuleId::new("a"),
            call: WriteBackCall::Comment { comment: name.into() },
        }
    }

    #[test]
    fn what_waits_keeps_its_order_and_leaves_with_its_last_outcome() {
        let (mut outbox, at) = (Outbox::default(), Timestamp::from_millis(5));
        let (one, two) = (comment("one"), comment("two"));
        outbox.queue(at, &one);
        outbox.queue(at, &two);
        outbox.queue(at, &one);
        assert_eq!(outbox.len(), 2, "the same request is queued once");

        outbox.started(&one.id);
        assert!(outbox.waiting().next().unwrap().in_doubt);
        outbox.answered(&one.id, WriteBackOutcome::Again);
        outbox.answered(&one.id, WriteBackOutcome::Unreached);
        let first = outbox.waiting().next().unwrap();
        assert_eq!((first.tries, first.in_doubt), (1, false), "only what reached Flashduty counts");

        outbox.answered(&one.id, WriteBackOutcome::Unknown);
        outbox.queue(at, &one);
        assert!(outbox.knows(&one.id), "what is over is not asked for again");
        assert_eq!(outbox.waiting().map(|waiting| waiting.write_back.id.clone()).collect::<Vec<_>>(), [two.id]);
    }
}
