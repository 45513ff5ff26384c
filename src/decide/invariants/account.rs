//! The second, simpler account of what began and what was promised. It shares no code with the guards.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::promise::{BUDGET, BUDGET_TARGETS, MAX_WAIT_S, Promise, channel};
use crate::clock::Timestamp;
use crate::journal::record::{RunEnd, RunId};

/// How long an occasion is remembered whose incident never closes.
const OCCASION: Duration = Duration::from_secs(62 * 86_400);

/// What is known of a run that was decided upon.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) incident: u8,
    pub(super) decided: Timestamp,
    /// The occasion: how often the incident had closed or reopened.
    pub(super) occasion: u64,
    pub(super) approved: bool,
    pub(super) called_off: bool,
    /// Whether the time of its event may order others. One that may not stands for itself, whatever is known.
    pub(super) orders: bool,
}

#[derive(Debug, Clone)]
struct Began {
    rule: String,
    target: String,
    channel: i64,
    at: Timestamp,
}

/// The second account.
#[derive(Default)]
pub(super) struct Account {
    pub(super) known: HashMap<RunId, Known>,
    began: Vec<Began>,
    ran: HashSet<RunId>,
    /// When a run was decided upon for an occasion.
    occasions: HashMap<(String, u8, u64), Timestamp>,
    last_slot: HashMap<(String, String), Timestamp>,
    last_end: HashMap<(String, String), Timestamp>,
    failures: HashMap<String, Vec<Timestamp>>,
    matched: Vec<Timestamp>,
    newest: HashMap<u8, Timestamp>,
    closed: HashMap<u8, bool>,
    pub(super) occasion: HashMap<u8, u64>,
    pub(super) paused: Option<Option<Timestamp>>,
}

/// Whether `at` is in the window of `seconds` that ends at `now`.
fn within(at: Timestamp, now: Timestamp, seconds: u64) -> bool {
    at > now.minus(Duration::from_secs(seconds)) && at <= now
}

impl Account {
    /// Notes an event as it was sent, before it is decided on.
    /// Says whether its time may order others.
    pub(super) fn sent(&mut self, kind: &str, incident: u8, skew_s: i64, time: Timestamp, now: Timestamp) -> bool {
        // Far ahead, or of another century: it is evaluated, and orders nothing.
        let orders = skew_s <= 300 && time.as_secs() > 946_684_800;
        let newest = self.newest.get(&incident).copied();
        if orders && newest.is_some_and(|newest| time < newest) {
            return orders;
        }
        let only_annotates = kind == "i_assign";
        if orders && !only_annotates {
            self.newest.insert(incident, time);
            self.closed.insert(incident, kind == "i_rslv");
            if kind == "i_rslv" || kind == "i_reopen" {
                *self.occasion.entry(incident).or_default() += 1;
            }
        }
        if kind == "i_new" || kind == "i_reopen" {
            self.matched.push(now);
        }
        orders
    }

    pub(super) fn called_off(&mut self, incident: u8) {
        let ran = &self.ran;
        self.known
            .iter_mut()
            .filter(|(run, known)| known.incident == incident && !ran.contains(*run))
            .for_each(|(_, known)| known.called_off = true);
    }

    pub(super) fn ended(&mut self, rule: &str, target: &str, end: RunEnd, now: Timestamp) {
        self.last_end.insert((rule.to_owned(), target.to_owned()), now);
        // An interruption without a crash says nothing of the rule.
        if !matches!(end, RunEnd::Succeeded | RunEnd::Interrupted) {
            self.failures.entry(rule.to_owned()).or_default().push(now);
        }
    }

    /// A crash cut these runs off: it counts once for each rule, however many runs it had.
    pub(super) fn crashed(&mut self, acting: &[(String, String)], now: Timestamp) {
        for (rule, target) in acting {
            self.ended(rule, target, RunEnd::Interrupted, now);
        }
        for rule in acting.iter().map(|(rule, _)| rule).collect::<HashSet<_>>() {
            self.failures.entry(rule.clone()).or_default().push(now);
        }
    }

    /// Holds a run that begins against every promise.
    pub(super) fn begins(
        &mut self,
        run: &RunId,
        rule: &str,
        target: &str,
        now: Timestamp,
        promise: &Promise,
    ) -> Result<(), String> {
        let known = self.known.get(run).cloned().ok_or("it was never decided upon")?;
        let wrong = |what: &str| Err(format!("{rule} on {target} at {now}: {what}"));
        if !self.ran.insert(run.clone()) {
            return wrong("it began twice");
        }
        if self.paused.is_some_and(|until| until.is_none_or(|until| now < until)) {
            return wrong("the engine is paused");
        }
        let began =
            Began { rule: rule.to_owned(), target: target.to_owned(), channel: channel(known.incident), at: now };
        self.began.push(began);
        let own = || self.began.iter().filter(|began| began.rule == rule);

        let (max, per, by_target) = promise.rate;
        let counted =
            own().filter(|began| within(began.at, now, per) && (!by_target || began.target == target)).count();
        if max > 0 && counted > max {
            return wrong("over its rate");
        }
        let (max, per) = promise.radius;
        let same_channel = |began: &&Began| within(began.at, now, per) && began.channel == channel(known.incident);
        let targets: HashSet<&str> = own().filter(same_channel).map(|began| began.target.as_str()).collect();
        if max > 0 && targets.len() > max {
            return wrong("over its blast radius");
        }
        let (max, per) = promise.attempts;
        let tries = own().filter(|began| within(began.at, now, per) && began.target == target).count();
        if max > 0 && tries > max + 1 {
            return wrong("over its attempts and the escalation");
        }
        let counted = self.began.iter().filter(|began| within(began.at, now, BUDGET.1)).count();
        if counted > BUDGET.0 {
            return wrong("over the budget of runs");
        }
        let in_reach = self.began.iter().filter(|began| within(began.at, now, BUDGET_TARGETS.1));
        if in_reach.map(|began| began.target.as_str()).collect::<HashSet<_>>().len() > BUDGET_TARGETS.0 {
            return wrong("over the budget of targets");
        }

        let last_end = self.last_end.get(&(rule.to_owned(), target.to_owned()));
        if promise.cooldown_s > 0 && last_end.is_some_and(|end| now < end.plus(Duration::from_secs(promise.cooldown_s)))
        {
            return wrong("in its cooldown");
        }
        if now < known.decided.plus(Duration::from_secs(promise.hold_s)) {
            return wrong("before its hold was over");
        }
        if now > known.decided.plus(Duration::from_secs(promise.hold_s + MAX_WAIT_S)) {
            return wrong("after it had waited too long");
        }
        if promise.asks && !known.approved {
            return wrong("nobody approved it");
        }
        if rule == "held" && known.called_off {
            return wrong("it was called off");
        }
        if known.orders && self.closed.get(&known.incident) == Some(&true) {
            return wrong("its incident is closed");
        }
        let (count, per) = promise.threshold;
        let seen = self.matched.iter().filter(|at| within(**at, known.decided, per)).count();
        if count > 0 && seen < count {
            return wrong("below its threshold");
        }
        let (max, per, open) = promise.breaker;
        let failures = self.failures.get(rule).map_or(&[][..], Vec::as_slice);
        let opened = |last: &&Timestamp| failures.iter().filter(|at| within(**at, **last, per)).count() >= max;
        let last_opened = failures.iter().filter(opened).max();
        if max > 0 && last_opened.is_some_and(|last| now < last.plus(Duration::from_secs(open))) {
            return wrong("its breaker is open");
        }
        if promise.slot_s.is_none() {
            let occasion = (rule.to_owned(), known.incident, known.occasion);
            let last = self.occasions.insert(occasion, known.decided);
            if last.is_some_and(|last| known.decided.since(last) < OCCASION) {
                return wrong("a second time on one occasion");
            }
        }
        if let Some(lasts) = promise.slot_s {
            let slot = (rule.to_owned(), target.to_owned());
            let last = self.last_slot.insert(slot, known.decided);
            // One that waited longer may begin after one that was decided upon later.
            let apart = last.map(|last| known.decided.since(last).max(last.since(known.decided)));
            if apart.is_some_and(|apart| apart < Duration::from_secs(lasts)) {
                return wrong("a second time within its slot");
            }
        }
        Ok(())
    }
}
