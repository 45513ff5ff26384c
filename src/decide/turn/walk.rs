//! The turns of all runs that wait: the same walk for the engine and for the simulation of rule tests.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Readiness, Start, Turn, Turning, readiness, turn};
use crate::clock::Timestamp;
use crate::decide::{Grounds, Settings};
use crate::event::{Entity, Event};
use crate::guard::ENGINE_LOCK;
use crate::journal::history::{History, Newest, Run};
use crate::journal::record::{RunEnd, RunId};
use crate::rule::RuleSet;

/// A walk over the runs that wait, in the order in which they were decided upon. A run that stays blocked keeps the
/// later ones that need the same lock waiting.
#[derive(Debug)]
pub struct Walk {
    place: u64,
    blocked: HashSet<String>,
    look_at_all: bool,
}

/// What has to happen with a run that waited, before the walk goes on.
#[derive(Debug)]
pub enum Next {
    /// It acts.
    Start {
        /// Which run.
        run: RunId,
        /// What it does.
        start: Box<Start>,
    },
    /// It never acts.
    End {
        /// Which run.
        run: RunId,
        /// How it ends.
        end: RunEnd,
        /// Why, in words.
        reason: String,
    },
}

/// What of the past is not in memory.
pub trait Past {
    /// Why it cannot be told.
    type Error;

    /// The event at a number of the journal; `None` where its body is not kept any more.
    fn event(&self, seq: u64) -> Result<Option<Arc<Event>>, Self::Error>;

    /// The newest state of an entity that memory may have let go of.
    fn newest(&self, entity: &Entity) -> Result<Option<Newest>, Self::Error>;

    /// The event that brought the newest state of `entity`, where that is another than the one at `seq`.
    ///
    /// # Errors
    /// Where it cannot be told.
    fn newer(&self, history: &History, entity: &Entity, seq: u64) -> Result<Option<Arc<Event>>, Self::Error> {
        match history.newest.get_or_recall(entity, || self.newest(entity))? {
            Some(newest) if newest.seq != seq => self.event(newest.seq),
            _ => Ok(None),
        }
    }
}

impl Walk {
    /// A walk from the first run on. Unless `look_at_all`, it stops as soon as the engine has no room; what has to
    /// expire is then found by a later walk.
    pub fn new(look_at_all: bool) -> Self {
        Self { place: 0, blocked: HashSet::new(), look_at_all }
    }

    /// The next run with which something has to happen; the caller folds that into `history` before it asks again.
    ///
    /// # Errors
    /// Where `past` cannot tell.
    pub fn next<P: Past>(
        &mut self,
        history: &History,
        rules: &RuleSet,
        settings: &Settings,
        now: Timestamp,
        past: &P,
    ) -> Result<Option<Next>, P::Error> {
        while let Some((place, id, run)) = history.runs.waiting_from(self.place) {
            let is_full = history.runs.holders(ENGINE_LOCK) >= settings.guards.runs_max;
            if is_full && !self.look_at_all {
                return Ok(None);
            }
            self.place = place + 1;
            match readiness(run, rules, settings, history, &self.blocked, now) {
                Readiness::NotYet => {}
                Readiness::Blocked => {
                    self.blocked.extend(run.gates().cloned());
                }
                Readiness::Expired => {
                    let reason = format!("it waited until {}, its limit", run.expires);
                    return Ok(Some(Next::End { run: id.clone(), end: RunEnd::Expired, reason }));
                }
                Readiness::Ready => match self.decide_again(id, run, history, rules, settings, now, past)? {
                    Turn::Wait => {
                        self.blocked.extend(run.gates().cloned());
                    }
                    Turn::Start(start) => return Ok(Some(Next::Start { run: id.clone(), start })),
                    Turn::End { end, reason } => return Ok(Some(Next::End { run: id.clone(), end, reason })),
                },
            }
        }
        Ok(None)
    }

    #[expect(clippy::too_many_arguments, reason = "these are the arguments of `next`, for the run that it found")]
    fn decide_again<P: Past>(
        &self,
        id: &RunId,
        run: &Run,
        history: &History,
        rules: &RuleSet,
        settings: &Settings,
        now: Timestamp,
        past: &P,
    ) -> Result<Turn, P::Error> {
        let Some(trigger) = past.event(run.seq)? else {
            let reason = "the body of its event is not kept any more".into();
            return Ok(Turn::End { end: RunEnd::Cancelled, reason });
        };
        let newest = past.newer(history, &run.entity, run.seq)?;
        let grounds = Grounds { trigger: &trigger, newest: newest.as_deref(), rules, settings };
        let turning = Turning { id, run, grounds, blocked: &self.blocked };
        Ok(turn(&turning, history, now))
    }
}
