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
mod outbox;
mod pauses;
mod runs;
mod slots;
mod standings;
mod transition;

pub use counts::{Counts, REMEMBERED_MAX, TALLIED_MAX, Window};
pub use newest::{NEWEST_MAX, Newest, Order, Ordering};
pub use outbox::{Outbox, WRITE_BACKS_MAX, Waiting};
pub use pauses::{PAUSES_MAX, Pause, Pauses};
pub use runs::{Reserved, Run, RunState, Runs, Waits};
pub use slots::{OPEN_ENDED_MAX, Slot, Slots};
pub use standings::{STANDINGS_MAX, Standing, Standings};
pub use transition::{Impossible, Transition};

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::record::{Decided, Observed, Outcome, Record, RunEnd, RunId};
use crate::clock::Timestamp;
use crate::rule::RuleId;

/// How many failures of one rule are remembered for its breaker; more than any breaker may ask for.
pub const FAILURES_MAX: usize = 128;

/// How long a storm warning is remembered; `storm_hold` may not be longer.
pub const STORM_HOLD_MAX: Duration = Duration::from_secs(86_400);

/// How many impossible records are kept to be told of. One is a defect already; more tell nothing new.
pub const IMPOSSIBLE_MAX: usize = 64;

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
    /// The kill switches that are on.
    pub pauses: Pauses,
    /// What has to be written back.
    pub outbox: Outbox,
    /// How each rule has fared, for people.
    pub standings: Standings,
    failures: HashMap<RuleId, VecDeque<Timestamp>>,
    storms: HashMap<i64, Timestamp>,
    /// Received, not yet decided.
    undecided: VecDeque<Observed>,
    /// The event that the daemon had to decide on next when it died, and how many deaths in a row found it there.
    deaths_at: Option<(u64, u32)>,
    /// The daemon stopped in order.
    stopped: bool,
    /// Runs that acted when the daemon died, until it is said what became of them.
    in_doubt: HashSet<RunId>,
    /// Rules for which the last crash was counted as a failure.
    crash_counted: HashSet<RuleId>,
    has_begun: bool,
    /// Retention took away the first records, so a run may be known by its later ones alone.
    truncated: bool,
    impossible: Vec<(u64, Impossible)>,
    last_seq: u64,
    last_at: Timestamp,
}

impl History {
    /// Folds one record of the journal, which stands at `seq` and was made at `at`. A record that its run's state rules
    /// out changes nothing; it is kept to be told of, see [`History::take_impossible`].
    pub fn apply(&mut self, seq: u64, at: Timestamp, record: &Record) {
        if let Err(impossible) = self.try_apply(seq, at, record) {
            self.note_impossible(seq, impossible);
        }
    }

    fn note_impossible(&mut self, seq: u64, impossible: Impossible) {
        if self.impossible.len() < IMPOSSIBLE_MAX {
            self.impossible.push((seq, impossible));
        }
    }

    /// The same, with the refusal as the answer.
    ///
    /// # Errors
    /// When the state of its run rules the record out; then nothing was changed.
    pub fn try_apply(&mut self, seq: u64, at: Timestamp, record: &Record) -> Result<(), Impossible> {
        // What is folded first stands at 1, or at 0 where it has no number yet, unless earlier records are gone.
        self.truncated |= !self.has_begun && seq > 1;
        self.has_begun = true;
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
            Record::Decided { to_seq, decisions, late_since, .. } => {
                let late = late_since.map(|_| *to_seq);
                let last = self.settle_up_to(*to_seq, late);
                if let Some(observed) = last {
                    for decided in decisions {
                        self.take(&observed, at, decided);
                    }
                }
            }
            Record::RunIntended { run, .. } => match self.runs.activate(run, at) {
                Ok(began) => self.counts.began(&began.rule, &began.reserved, run, at),
                Err(impossible) => return self.tolerate(impossible),
            },
            Record::RunResumed { run, .. } => {
                if !self.in_doubt.remove(run) {
                    return self.tolerate(self.runs.refuse(run, Transition::Resume));
                }
                self.runs.resume(run, at)?;
            }
            Record::Rerun { run, observed, decided, .. } => {
                self.take(observed, at, decided);
                self.runs.note_again(run);
            }
            Record::Approved { run, .. } => match self.runs.approve(run, at) {
                Ok(()) => {}
                Err(impossible) => return self.tolerate(impossible),
            },
            Record::RunEnded { run, rule, target, end, acted, keeps_slot, .. } => {
                match self.runs.end(run) {
                    Ok(ended) => {
                        if *acted {
                            let items = ended.items.iter().filter(|item| *item != target);
                            for target in std::iter::once(target).chain(items) {
                                self.counts.ended(rule, target, at, ended.reserved.remember);
                            }
                        } else {
                            self.counts.give_back(rule, &ended.reserved, run);
                        }
                        if !keeps_slot {
                            self.slots.give_back(rule, &ended.reserved.slot, run);
                        }
                    }
                    Err(impossible) => self.tolerate(impossible)?,
                }
                self.standings.ended(rule, run, *end, at);
                self.note_failure(run, rule, *end, at);
            }
            Record::StepStarted { run, .. } | Record::StepEnded { run, .. } => {
                if !self.runs.is_active(run) {
                    return self.tolerate(self.runs.refuse(run, Transition::Step));
                }
            }
            Record::WriteBackQueued { write_back } => self.outbox.queue(at, write_back),
            Record::WriteBackStarted { id, .. } => self.outbox.started(id),
            Record::WrittenBack { id, outcome, .. } => self.outbox.answered(id, *outcome),
            Record::Paused { reason, until, scope, by } => {
                self.pauses.set(Pause { scope: scope.clone(), reason: reason.clone(), by: by.clone(), until: *until });
            }
            Record::Resumed { scope, .. } => self.pauses.lift(scope),
            Record::SetAside { seq, .. } => {
                self.settle_up_to(*seq, None);
            }
            Record::Started { .. } => self.started(),
            Record::Stopped => self.stopped = true,
            Record::Reloaded { .. } => {}
        }
        Ok(())
    }

    /// Retention lets records go from the front, so that a run may be known by its later ones alone: these are not
    /// impossible then.
    fn tolerate(&self, impossible: Impossible) -> Result<(), Impossible> {
        if self.truncated && matches!(impossible, Impossible::Unknown { .. }) { Ok(()) } else { Err(impossible) }
    }

    /// The daemon started: what acts by the records was cut off by its death.
    fn started(&mut self) {
        self.in_doubt = self.runs.active().cloned().collect();
        self.crash_counted.clear();
        let front = self.undecided.front().map(|observed| observed.seq);
        self.deaths_at = match (front, self.deaths_at) {
            _ if self.stopped => None,
            (Some(seq), Some((before, deaths))) if seq == before => Some((seq, deaths.saturating_add(1))),
            (front, _) => front.map(|seq| (seq, 1)),
        };
        self.stopped = false;
    }

    /// Counts an end for the breaker of its rule. A run that an orderly stop interrupted says nothing of its rule. A
    /// crash counts once for each rule that it interrupted, however many runs it had: the crash may be of the rule's
    /// own making, but so many runs are still one crash.
    fn note_failure(&mut self, run: &RunId, rule: &RuleId, end: RunEnd, at: Timestamp) {
        let cut_off = self.in_doubt.remove(run) && end == RunEnd::Interrupted;
        if end.is_failure() || (cut_off && self.crash_counted.insert(rule.clone())) {
            let failures = self.failures.entry(rule.clone()).or_default();
            failures.push_back(at);
            if failures.len() > FAILURES_MAX {
                failures.pop_front();
            }
        }
    }

    /// The runs that acted when the daemon died last, and of which nothing has been said since.
    pub fn in_doubt(&self) -> impl Iterator<Item = &RunId> {
        self.in_doubt.iter()
    }

    /// How often the daemon died, one time after the other, with this event as the next to decide on.
    pub fn deaths_at(&self, seq: u64) -> u32 {
        self.deaths_at.filter(|(at, _)| *at == seq).map_or(0, |(_, deaths)| deaths)
    }

    /// The records that could not be, with their numbers, since this was asked last. Each is a defect of ours, or of
    /// whoever wrote into the journal.
    pub fn take_impossible(&mut self) -> Vec<(u64, Impossible)> {
        std::mem::take(&mut self.impossible)
    }

    /// Lets the events that were received up to `seq` take effect, and hands out the last of them. The one at `late` was
    /// found late by who knew more of its entity than is folded here, and has none.
    fn settle_up_to(&mut self, seq: u64, late: Option<u64>) -> Option<Observed> {
        let mut last = None;
        while let Some(observed) = self.undecided.pop_front_if(|observed| observed.seq <= seq) {
            if late != Some(observed.seq) {
                self.observe(&observed);
            }
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
        if self.runs.get(&reservation.run).is_some() {
            self.note_impossible(self.last_seq, self.runs.refuse(&reservation.run, Transition::Decide));
            return;
        }
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

    /// The pause of the whole engine that is on at `now`.
    pub fn paused(&self, now: Timestamp) -> Option<&Pause> {
        self.pauses.of_everything(now)
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
        self.pauses.prune(now);
        self.storms.retain(|_, at| now.since(*at) < STORM_HOLD_MAX);
        self.failures.retain(|_, times| times.back().is_some_and(|last| now.since(*last) < counts::REMEMBERED_MAX));
    }
}

#[cfg(test)]
mod tests;
