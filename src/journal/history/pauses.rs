//! The kill switches that are on: of the whole engine, of rules, of channels.

use std::collections::BTreeMap;

use super::super::record::PauseScope;
use crate::clock::Timestamp;
use crate::rule::RuleId;

/// How many pauses may be on at a time. Whoever needs more wants the whole engine paused.
pub const PAUSES_MAX: usize = 256;

/// A kill switch that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What is held back.
    pub scope: PauseScope,
    /// Why.
    pub reason: Option<String>,
    /// Who turned it on.
    pub by: Option<String>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

impl Pause {
    fn is_on(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// What is paused and why, in words.
    pub fn in_words(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{} is paused: {reason}", self.scope),
            None => format!("{} is paused", self.scope),
        }
    }
}

/// All of them; at most one for each scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses {
    by_scope: BTreeMap<PauseScope, Pause>,
}

impl Pauses {
    /// The pause that holds back a run of `rule` on an event of this channel. The widest is named first.
    pub fn over(
        &self,
        rule: &RuleId,
        channel: Option<i64>,
        channel_name: Option<&str>,
        now: Timestamp,
    ) -> Option<&Pause> {
        self.iter(now).find(|pause| pause.scope.covers(rule, channel, channel_name))
    }

    /// The pause of the whole engine.
    pub fn of_everything(&self, now: Timestamp) -> Option<&Pause> {
        self.of(&PauseScope::Everything, now)
    }

    /// The pause of exactly this scope.
    pub fn of(&self, scope: &PauseScope, now: Timestamp) -> Option<&Pause> {
        self.by_scope.get(scope).filter(|pause| pause.is_on(now))
    }

    /// Every pause that is on, the widest first.
    pub fn iter(&self, now: Timestamp) -> impl Iterator<Item = &Pause> {
        self.by_scope.values().filter(move |pause| pause.is_on(now))
    }

    pub(super) fn set(&mut self, pause: Pause) {
        self.by_scope.insert(pause.scope.clone(), pause);
    }

    pub(super) fn lift(&mut self, scope: &PauseScope) {
        self.by_scope.remove(scope);
    }

    pub(super) fn prune(&mut self, now: Timestamp) {
        self.by_scope.retain(|_, pause| pause.is_on(now));
    }
}
