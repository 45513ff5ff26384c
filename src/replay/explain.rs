//! An event, and the history that rules are asked about it on.

use crate::clock::Timestamp;
use crate::decide::explain::{Explanation, explain};
use crate::decide::{Question, Scope, Settings};
use crate::engine::{event_of, load_event, recall};
use crate::event::Event;
use crate::journal::history::History;
use crate::journal::read::Reader;
use crate::journal::store::Stored;
use crate::rule::RuleSet;

use super::ReplayError;

/// On which history a recorded event is asked about.
pub enum On<'f> {
    /// Today's.
    Now(Box<History>),
    /// The one just before it was decided: the function folds all records before a number.
    Then(&'f mut dyn FnMut(u64) -> Result<History, ReplayError>),
}

/// An event with the history that rules are asked on.
#[derive(Debug)]
pub struct Case {
    event: Event,
    seq: u64,
    newest: Option<Event>,
    history: History,
    at: Timestamp,
    /// What was decided when the event came, where it is a recorded one.
    pub decision: Option<Stored>,
}

impl Case {
    /// A push that never came, as if it came `now`, behind all that `history` knows.
    /// `reader` is the journal, where there is one.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn of_push(
        event: Event,
        mut history: History,
        now: Timestamp,
        reader: Option<&Reader>,
    ) -> Result<Self, ReplayError> {
        let seq = history.last_seq() + 1;
        if let Some(reader) = reader {
            recall(&mut history, reader, &event, seq)?;
        }
        Ok(Self { event, seq, newest: None, history, at: now, decision: None })
    }

    /// A recorded event; `None` where there is none with this id whose body is still kept.
    ///
    /// # Errors
    /// When the journal cannot be read, or the fold fails.
    pub fn recorded(reader: &Reader, id: &str, now: Timestamp, on: On<'_>) -> Result<Option<Self>, ReplayError> {
        let Some(push) = reader.push(id)? else { return Ok(None) };
        let Some(event) = event_of(&push) else { return Ok(None) };
        let decision = reader.decision_on(push.seq)?;
        let (mut history, at) = match on {
            On::Now(history) => (*history, now),
            On::Then(fold) => {
                let mut history = fold(decision.as_ref().map_or(u64::MAX, |decision| decision.seq))?;
                history.settle_before(push.seq);
                (history, decision.as_ref().map_or(now, |decision| decision.at))
            }
        };
        recall(&mut history, reader, &event, push.seq)?;
        let newest = match history.newest.get(&event.entity) {
            Some(newest) if newest.is_after(event.time) && !newest.closed => load_event(reader, newest.seq)?,
            _ => None,
        };
        Ok(Some(Self { event, seq: push.seq, newest, history, at, decision }))
    }

    /// Asks every rule; `only` names a single one. Each may run a script.
    pub fn ask(self, rules: &RuleSet, settings: &Settings, only: Option<&str>) -> Explanation {
        let newest = self.newest.as_ref();
        let question = Question { event: &self.event, seq: self.seq, newest, rules, settings, scope: Scope::Every };
        explain(&question, self.history, self.at, only)
    }
}
