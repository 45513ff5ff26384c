//! Counts of runs and matches, each in a window that ends.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::super::record::{Reservation, RunId, Tally};
use crate::clock::Timestamp;
use crate::rule::RuleId;

/// How long the failures of a rule are remembered after the last. The times of a breaker may not be longer.
pub const REMEMBERED_MAX: Duration = Duration::from_secs(31 * 86_400);

/// How many matches are remembered under one key of a threshold; no threshold may ask for more.
pub const TALLIED_MAX: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    at: Timestamp,
    until: Timestamp,
    run: RunId,
    targets: Arc<[String]>,
}

/// Whose count it is: a rule's, its dry-run's, or one across all rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    Rule(RuleId),
    DryRun(RuleId),
    Everyone,
}

/// All counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    windows: HashMap<(Owner, String), VecDeque<Entry>>,
    tallies: HashMap<(RuleId, String), VecDeque<(Timestamp, Timestamp)>>,
    /// When the last run of a rule on a target ended, and until when that has to be remembered.
    ends: HashMap<(RuleId, String), (Timestamp, Timestamp)>,
}

/// The runs under one key that began in a window.
#[derive(Debug, Clone, Default)]
pub struct Window<'h> {
    entries: Option<&'h VecDeque<Entry>>,
    from: usize,
}

impl Window<'_> {
    /// How many runs.
    pub fn len(&self) -> usize {
        self.entries.map_or(0, |entries| entries.len() - self.from)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many runs but for `run`, which does not count against itself.
    pub fn len_without(&self, run: &RunId) -> usize {
        self.iter().filter(|entry| entry.run != *run).count()
    }

    /// When the `nth` run from the end began: the run that has to leave the window before there is room again.
    pub fn began_nth_last(&self, nth: usize) -> Option<Timestamp> {
        self.iter().rev().nth(nth.checked_sub(1)?).map(|entry| entry.at)
    }

    /// The distinct targets, but for those of `run` alone.
    pub fn targets(&self, without: &RunId) -> HashSet<&str> {
        self.iter()
            .filter(|entry| entry.run != *without)
            .flat_map(|entry| entry.targets.iter().map(String::as_str))
            .collect()
    }

    /// When the oldest run in the window began.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.iter().next().map(|entry| entry.at)
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.into_iter().flat_map(|entries| entries.range(self.from..))
    }
}

impl Counts {
    /// The runs of `rule` under `key` that began after `since`.
    pub fn of_rule(&self, rule: &RuleId, key: &str, dry: bool, since: Timestamp) -> Window<'_> {
        self.window(if dry { Owner::DryRun(rule.clone()) } else { Owner::Rule(rule.clone()) }, key, since)
    }

    /// The runs of any rule under `key` that began after `since`.
    pub fn of_everyone(&self, key: &str, since: Timestamp) -> Window<'_> {
        self.window(Owner::Everyone, key, since)
    }

    fn window(&self, owner: Owner, key: &str, since: Timestamp) -> Window<'_> {
        let entries = self.windows.get(&(owner, key.to_owned()));
        let from = entries.map_or(0, |entries| entries.partition_point(|entry| entry.at <= since));
        Window { entries, from }
    }

    /// How many matches of `rule` counted under `key` after `since`.
    pub fn tallied(&self, rule: &RuleId, key: &str, since: Timestamp) -> usize {
        self.tallies
            .get(&(rule.clone(), key.to_owned()))
            .map_or(0, |times| times.len() - times.partition_point(|(at, _)| *at <= since))
    }

    /// When the last run of `rule` on `target` ended.
    pub fn last_end(&self, rule: &RuleId, target: &str) -> Option<Timestamp> {
        self.ends.get(&(rule.clone(), target.to_owned())).map(|(at, _)| *at)
    }

    pub(super) fn take(&mut self, rule: &RuleId, reservation: &Reservation, at: Timestamp, dry: bool) {
        let entry = Entry {
            at,
            until: reservation.counted_until,
            run: reservation.run.clone(),
            targets: reservation.acted_on().into(),
        };
        let owner = if dry { Owner::DryRun(rule.clone()) } else { Owner::Rule(rule.clone()) };
        for key in &reservation.keys {
            self.windows.entry((owner.clone(), key.clone())).or_default().push_back(entry.clone());
        }
        if !dry {
            for key in &reservation.budget_keys {
                self.windows.entry((Owner::Everyone, key.clone())).or_default().push_back(entry.clone());
            }
        }
    }

    pub(super) fn tally(&mut self, rule: &RuleId, tally: &Tally, at: Timestamp) {
        let times = self.tallies.entry((rule.clone(), tally.key.clone())).or_default();
        while times.front().is_some_and(|(_, until)| *until <= at) {
            times.pop_front();
        }
        times.push_back((at, tally.until));
        if times.len() > TALLIED_MAX {
            times.pop_front();
        }
    }

    /// Notes the end of a run that acted; `remember` is how long its rule may ask for it.
    pub(super) fn ended(&mut self, rule: &RuleId, target: &str, at: Timestamp, remember: Duration) {
        if !remember.is_zero() {
            self.ends.insert((rule.clone(), target.to_owned()), (at, at.plus(remember)));
        }
    }

    /// Counts a run that waited from when it began to act: a cap is on what acts in its window, not on when that was
    /// decided upon.
    pub(super) fn began(&mut self, rule: &RuleId, reserved: &super::runs::Reserved, run: &RunId, at: Timestamp) {
        let own = reserved.keys.iter().map(|key| (Owner::Rule(rule.clone()), key));
        let shared = reserved.budget_keys.iter().map(|key| (Owner::Everyone, key));
        for (owner, key) in own.chain(shared) {
            if let Some(entries) = self.windows.get_mut(&(owner, key.clone()))
                && let Some(place) = entries.iter().rposition(|entry| entry.run == *run && entry.at < at)
                && let Some(entry) = entries.remove(place)
            {
                // Nothing in the journal is later than what is folded last, so the order in time is kept.
                entries.push_back(Entry { at, until: at.plus(reserved.remember), ..entry });
            }
        }
    }

    /// Uncounts a run that started nothing.
    pub(super) fn give_back(&mut self, rule: &RuleId, reserved: &super::runs::Reserved, run: &RunId) {
        let own = reserved.keys.iter().map(|key| (Owner::Rule(rule.clone()), key));
        let shared = reserved.budget_keys.iter().map(|key| (Owner::Everyone, key));
        for (owner, key) in own.chain(shared) {
            if let Some(entries) = self.windows.get_mut(&(owner, key.clone()))
                && let Some(place) = entries.iter().rposition(|entry| entry.run == *run)
            {
                entries.remove(place);
            }
        }
    }

    pub(super) fn prune(&mut self, now: Timestamp) {
        self.windows.retain(|_, entries| {
            while entries.front().is_some_and(|entry| entry.until <= now) {
                entries.pop_front();
            }
            !entries.is_empty()
        });
        self.tallies.retain(|_, times| times.back().is_some_and(|(_, until)| now < *until));
        self.ends.retain(|_, (_, until)| now < *until);
    }
}
