//! The fold of the journal: what decisions are made from.
//!
//! Nothing here is stored anywhere else. At start the journal's records are folded in their order; while the
//! engine runs, the same function folds each record as it is made. Every map has an end: a window, the closing of
//! an incident, the end of a run, or a named limit.
//!
//! An event takes effect when it is *decided*, not when it is received, so that a fold of the stored records goes
//! through the same states as the live one did.

mod counts;
mod newest;
mod runs;
mod slots;
mod standings;

pub use counts::{Counts, REMEMBERED_MAX, Window};
pub use newest::{NEWEST_MAX, Newest, Order, Ordering};
pub use runs::{Reserved, Run, RunState, Runs, Waits};
pub use slots::{OPEN_ENDED_MAX, Slot, Slots};
pub use standings::{STANDINGS_MAX, Standing, Standings};

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::record::{Decided, Observed, Outcome, Record};
use crate::clock::Timestamp;
use crate::rule::RuleId;

/// How many failures of one rule are remembered for its breaker; more than any breaker may ask for.
pub const FAILURES_MAX: usize = 128;

/// How long a storm warning is remembered; `storm_hold` may not be longer.
pub const STORM_HOLD_MAX: Duration = Duration::from_secs(86_400);

/// The kill switch, while it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Why.
    pub reason: Option<String>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// The state of everything, as far as decisions need it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The newest state seen of each entity.
    pub newest: Order,
    /// Which occasions are taken.
    pub slots: Slots,
    /// Runs counted by rate, radius, attempts, cooldown and budgets.
    pub counts: Counts,
    /// Runs that wait or act, and the locks that they hold.
    pub runs: Runs,
    /// How each rule has fared, for people.
    pub standings: Standings,
    failures: HashMap<RuleId, VecDeque<Timestamp>>,
    storms: HashMap<i64, Timestamp>,
    pause: Option<Pause>,
    /// Received, not yet decided.
    undecided: VecDeque<Observed>,
    last_seq: u64,
    last_at: Timestamp,
}

impl History {
    /// Folds one record of the journal, which stands at `seq` and was made at `at`.
    pub fn apply(&mut self, seq: u64, at: Timestamp, record: &Record) {
        self.last_seq = self.last_seq.max(seq);
        self.last_at = self.last_at.max(at);
        match record {
            Record::Received { event, event_type, time, time_mark, entity, incident, channel, closed, .. } => {
                self.undecided.push_back(Observed {
                    seq,
                    event: event.clone(),
                    event_type: event_type.clone(),
                    time: *time,
                    time_mark: *time_mark,
                    received_at: at,
                    entity: entity.clone(),
                    incident: incident.clone(),
                    channel: *channel,
                    closed: *closed,
                });
            }
            Record::Decided { to_seq, decisions, .. } => {
                let last = self.settle_up_to(*to_seq);
                if let Some(observed) = last {
                    for decided in decisions {
                        self.take(&observed, at, decided);
                    }
                }
            }
            Record::RunIntended { run, .. } => {
                if let Some(began) = self.runs.activate(run, at) {
                    self.counts.began(&began.rule, &began.reserved, run, at);
                }
            }
            Record::Approved { run, .. } => self.runs.approve(run, at),
            Record::RunEnded { run, rule, target, end, acted, keeps_slot, .. } => {
                self.standings.ended(rule, run, *end, at);
                if let Some(ended) = self.runs.end(run) {
                    if *acted {
                        self.counts.ended(rule, target, at, ended.reserved.remember);
                    } else {
                        self.counts.give_back(rule, &ended.reserved, run);
                    }
                    if !keeps_slot {
                        self.slots.give_back(rule, &ended.reserved.slot, run);
                    }
                }
                if end.is_failure() {
                    let failures = self.failures.entry(rule.clone()).or_default();
                    failures.push_back(at);
                    if failures.len() > FAILURES_MAX {
                        failures.pop_front();
                    }
                }
            }
            Record::Paused { reason, until } => {
                self.pause = Some(Pause { reason: reason.clone(), until: *until });
            }
            Record::Resumed => self.pause = None,
            Record::SetAside { seq, .. } => {
                self.settle_up_to(*seq);
            }
            Record::Started { .. }
            | Record::StepStarted { .. }
            | Record::StepEnded { .. }
            | Record::Reloaded { .. }
            | Record::Stopped => {}
        }
    }

    /// Lets the events that were received up to `seq` take effect, and hands out the last of them.
    fn settle_up_to(&mut self, seq: u64) -> Option<Observed> {
        let mut last = None;
        while let Some(observed) = self.undecided.pop_front_if(|observed| observed.seq <= seq) {
            self.observe(&observed);
            last = Some(observed);
        }
        last
    }

    /// Lets an event take effect: says whether it is late, and if not, notes it as the newest of its entity and
    /// frees what its closing or reopening frees. Called once for each event, in the order of the journal.
    pub fn observe(&mut self, observed: &Observed) -> Ordering {
        let ordering = self.newest.observe(observed);
        if ordering == Ordering::Current {
            if (observed.closed || &*observed.event_type == "i_reopen") && observed.time_mark.orders() {
                self.slots.free(&observed.entity);
            }
            if let Some(channel) = observed.channel.filter(|_| &*observed.event_type == "i_storm") {
                self.storms.insert(channel, observed.received_at);
            }
        }
        ordering
    }

    /// Takes what a decision reserves.
    pub fn take(&mut self, observed: &Observed, at: Timestamp, decided: &Decided) {
        self.standings.decided(decided, &observed.event, at);
        if let Some(tally) = &decided.tally {
            self.counts.tally(&decided.rule, tally, at);
        }
        let Some(reservation) = &decided.reservation else { return };
        let dry = decided.outcome == Outcome::DryRun;
        self.slots.take(observed, at, &decided.rule, reservation, dry);
        self.counts.take(&decided.rule, reservation, at, dry);
        if let Some(waits) = Waits::of(&decided.outcome) {
            self.runs.add(observed, at, &decided.rule, reservation, waits);
        }
    }

    /// When runs of `rule` failed, oldest first.
    pub fn failures(&self, rule: &RuleId) -> impl DoubleEndedIterator<Item = Timestamp> + '_ {
        self.failures.get(rule).into_iter().flatten().copied()
    }

    /// When the last storm warning came on `channel`.
    pub fn storm(&self, channel: i64) -> Option<Timestamp> {
        self.storms.get(&channel).copied()
    }

    /// The pause that is on at `now`.
    pub fn paused(&self, now: Timestamp) -> Option<&Pause> {
        self.pause.as_ref().filter(|pause| pause.until.is_none_or(|until| now < until))
    }

    /// The events that were received but not decided, in the order of the journal.
    pub fn undecided(&self) -> impl Iterator<Item = &Observed> {
        self.undecided.iter()
    }

    /// Lets the events before `seq` that are not decided yet take effect, and forgets those from `seq` on: the state
    /// in which the event at `seq` was decided.
    pub fn settle_before(&mut self, seq: u64) {
        for observed in self.drain_undecided() {
            if observed.seq < seq {
                self.observe(&observed);
            }
        }
    }

    /// Hands out the events that were received but not decided, so that they can be decided now.
    pub fn drain_undecided(&mut self) -> Vec<Observed> {
        self.undecided.drain(..).collect()
    }

    /// The sequence number of the last record folded.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The time of the last record folded.
    pub fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// Drops what no decision after `now` can ask for.
    pub fn prune(&mut self, now: Timestamp) {
        self.counts.prune(now);
        self.slots.prune(now);
        self.storms.retain(|_, at| now.since(*at) < STORM_HOLD_MAX);
        self.failures.retain(|_, times| times.back().is_some_and(|last| now.since(*last) < counts::REMEMBERED_MAX));
    }
}

#[cfg(test)]
mod tests;
