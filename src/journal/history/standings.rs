//! How each rule has fared: what people look at when they ask whether a rule does any good. Decides nothing.

use std::collections::{BTreeMap, HashMap};

use super::super::record::{Decided, Outcome, RunEnd, RunId};
use crate::clock::Timestamp;
use crate::event::EventId;
use crate::rule::RuleId;

/// How many rules are remembered, those that are gone included. The one that was not heard of longest goes first.
pub const STANDINGS_MAX: usize = 4096;

/// How a rule has fared since the oldest record that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// How often each outcome came about, by its word. Events whose `match` did not hold are not counted.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// The last of them: when, which, and for which event.
    pub last: Option<(Timestamp, &'static str, EventId)>,
    /// The last run that ended: when, how, and which.
    pub last_end: Option<(Timestamp, RunEnd, RunId)>,
}

impl Standing {
    /// How often its `match` and its `when` held.
    pub fn hits(&self) -> u64 {
        let missed = |name: &&str| matches!(*name, "not-matched" | "condition-error" | "late");
        self.outcomes.iter().filter(|(name, _)| !missed(name)).map(|(_, count)| count).sum()
    }

    /// How often a guard objected.
    pub fn suppressed(&self) -> u64 {
        self.outcomes.get("suppressed").copied().unwrap_or(0)
    }

    fn heard_of(&self) -> Option<Timestamp> {
        self.last.as_ref().map(|(at, ..)| *at).max(self.last_end.as_ref().map(|(at, ..)| *at))
    }
}

/// The standing of every rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standings(HashMap<RuleId, Standing>);

impl Standings {
    /// How `rule` has fared; `None` where nothing is known.
    pub fn get(&self, rule: &RuleId) -> Option<&Standing> {
        self.0.get(rule)
    }

    pub(super) fn decided(&mut self, decided: &Decided, event: &EventId, at: Timestamp) {
        // What did not concern a rule is recorded nowhere, so a fold of the records could not count it either.
        if matches!(&decided.outcome, Outcome::NotMatched { clause, .. } if clause != "when") {
            return;
        }
        let name = decided.outcome.name();
        let standing = self.of(&decided.rule);
        *standing.outcomes.entry(name).or_default() += 1;
        standing.last = Some((at, name, event.clone()));
    }

    pub(super) fn ended(&mut self, rule: &RuleId, run: &RunId, end: RunEnd, at: Timestamp) {
        self.of(rule).last_end = Some((at, end, run.clone()));
    }

    fn of(&mut self, rule: &RuleId) -> &mut Standing {
        if self.0.len() >= STANDINGS_MAX && !self.0.contains_key(rule) {
            let oldest = self.0.iter().min_by_key(|(_, standing)| standing.heard_of()).map(|(id, _)| id.clone());
            oldest.map(|id| self.0.remove(&id));
        }
        self.0.entry(rule.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(rule: &str, outcome: Outcome) -> Decided {
        Decided { rule: RuleId::new(rule), outcome, reservation: None, tally: None, plan: None }
    }

    #[test]
    fn hits_are_what_matched_whatever_a_guard_said() {
        let mut standings = Standings::default();
        let event = EventId::new("e");
        let not = |clause: &str| Outcome::NotMatched { clause: clause.into(), expected: "a".into(), seen: "b".into() };
        let suppressed = Outcome::Suppressed { guard: "rate".into(), reason: "often".into(), until: None };
        for (at, outcome) in [Outcome::DryRun, suppressed, not("when"), not("match.title")].into_iter().enumerate() {
            standings.decided(&decided("a", outcome), &event, Timestamp::from_millis(i64::try_from(at).unwrap()));
        }
        let standing = standings.get(&RuleId::new("a")).unwrap();
        assert_eq!((standing.hits(), standing.suppressed()), (2, 1));
        assert_eq!(standing.last, Some((Timestamp::from_millis(2), "not-matched", event)));
        assert_eq!(standings.get(&RuleId::new("b")), None);
    }

    #[test]
    fn the_rule_not_heard_of_longest_makes_room() {
        let mut standings = Standings::default();
        for nth in 0..=STANDINGS_MAX {
            let rule = decided(&format!("r{nth}"), Outcome::DryRun);
            standings.decided(&rule, &EventId::new("e"), Timestamp::from_millis(i64::try_from(nth).unwrap()));
        }
        assert_eq!(standings.0.len(), STANDINGS_MAX);
        assert_eq!(standings.get(&RuleId::new("r0")), None);
        assert!(standings.get(&RuleId::new("r1")).is_some());
    }
}
