//! The course of a test: what the receiver and the engine would do, on a simulated journal and clock.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Finding, World};
use crate::clock::Timestamp;
use crate::decide::explain::reason;
use crate::decide::turn::{self, Next, Start, Walk};
use crate::decide::{self, Decision, Question, Scope};
use crate::event::{self, Event, EventId};
use crate::journal::history::{History, RunState, Waits};
use crate::journal::record::{Outcome, Record, RunEnd, RunId};
use crate::plan;
use crate::rule::view::EventView;

/// Where the clock starts if the first event has no time: some Monday at noon, the same in every run.
const NO_TIME_START: Timestamp = Timestamp::from_millis(1_767_614_400_000);

/// A test under way.
pub(super) struct Course<'w> {
    world: World<'w>,
    history: History,
    /// What the journal took in; the one at index `n` stands at number `n + 1`.
    journal: Vec<Arc<Event>>,
    /// The hash of the body under each id.
    bodies: HashMap<EventId, [u8; 32]>,
    now: Option<Timestamp>,
    moment: usize,
    during: usize,
    /// Which finding decided upon each run that waits.
    origins: HashMap<RunId, usize>,
    findings: Vec<Finding>,
}

impl<'w> Course<'w> {
    pub(super) fn new(world: World<'w>) -> Self {
        let mut history = History::default();
        history.newest.set_strict(world.strict_ordering);
        Self {
            world,
            history,
            journal: Vec::new(),
            bodies: HashMap::new(),
            now: None,
            moment: 0,
            during: 0,
            origins: HashMap::new(),
            findings: Vec::new(),
        }
    }

    /// Lets `after` pass, and then takes an event. The error says why the receiver would refuse it whatever came
    /// before.
    pub(super) fn take(&mut self, number: usize, after: Duration, payload: Map<String, Value>) -> Result<(), String> {
        let start = || {
            let time = payload.get("event_time").and_then(Value::as_i64);
            time.map_or(NO_TIME_START, Timestamp::from_millis)
        };
        let now = self.now.unwrap_or_else(start).plus(after);
        self.pass_time(Some(now));
        self.now = Some(now);
        self.during = number;
        self.moment += 1;

        let body = Value::Object(payload).to_string();
        if body.len() > self.world.body_bytes_max {
            let max = self.world.body_bytes_max;
            return Err(format!("it would be refused with 413: it has {} bytes, and {max} is the limit", body.len()));
        }
        let event = event::read(Bytes::from(body), self.world.source.into(), now)
            .map_err(|error| format!("it would be refused with 400: {error}"))?;
        match self.bodies.get(&event.id) {
            Some(hash) if *hash == event.body_hash => {
                let (reason, _) = reason(&Outcome::Duplicate);
                self.about_event(number, now, Outcome::Duplicate.name(), reason);
            }
            Some(_) => {
                let reason = format!("the event_id {} came before with another body", event.id);
                self.about_event(number, now, "refused", Some(reason));
            }
            None => {
                self.bodies.insert(event.id.clone(), event.body_hash);
                self.journal.push(Arc::new(event));
                self.decide(number, now);
                self.turns(now);
            }
        }
        Ok(())
    }

    /// Lets time pass until nothing waits any more, and says what happened in all.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.pass_time(None);
        self.findings
    }

    /// Moves the clock from one time at which something is due to the next, up to but not including `end`: what comes
    /// at the very time of an event comes after it, as in the engine.
    fn pass_time(&mut self, end: Option<Timestamp>) {
        // Every run is due at most twice, at the end of its hold and at that of its patience.
        while let Some(due) = self.next_due().filter(|due| end.is_none_or(|end| *due < end)) {
            self.now = Some(due);
            self.moment += 1;
            self.turns(due);
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        let now = self.now?;
        let due = |(_, run): (&RunId, &crate::journal::history::Run)| {
            let hold = match run.state {
                RunState::Waiting(Waits::Hold { until }) => Some(until),
                _ => None,
            };
            [hold, Some(run.expires)].into_iter().flatten().filter(|at| *at > now).min()
        };
        self.history.runs.waiting().filter_map(due).min()
    }

    fn decide(&mut self, number: usize, now: Timestamp) {
        let World { rules, settings, .. } = self.world;
        let seq = self.journal.len() as u64;
        let Some(event) = self.load(seq) else { return };
        for run in turn::called_off(&event, &self.history) {
            let reason = format!("called off by {} (event {})", event.event_type, number + 1);
            self.end(&run, RunEnd::Cancelled, reason, true, now);
        }
        let newest = decide::newest_if_late(&event, &self.history, rules).and_then(|seq| self.load(seq));
        let question = Question {
            event: &event,
            seq,
            newest: newest.as_deref(),
            rules,
            settings,
            // The rules that the index leaves out answer too, so that a test can expect their reasons.
            scope: Scope::Every,
        };
        let decisions = decide::decide(&question, &mut self.history, now);
        if let Some(newest) = decisions.late_since {
            let (reason, _) = reason(&Outcome::Late { newest });
            self.about_event(number, now, "late", reason);
        }
        let mut started = Vec::new();
        for decision in decisions.each {
            self.about_rule(number, now, &decision, &event);
            if decision.decided.outcome == (Outcome::Run { queued: None }) {
                started.push(decision);
            }
        }
        let starts: Vec<_> = started.into_iter().filter_map(|decision| start_of(decision, &event)).collect();
        // All of them act before the first of them ends.
        for (run, start) in &starts {
            self.apply(now, &start.intent(run, rules.generation));
        }
        for (run, start) in &starts {
            self.succeed(run, start, now);
        }
    }

    /// Gives every run that waits its turn until nothing changes any more: each run that ends may make room.
    fn turns(&mut self, now: Timestamp) {
        let World { rules, settings, .. } = self.world;
        loop {
            let mut walk = Walk::new(true);
            let mut changed = false;
            loop {
                let load = |seq| Ok::<_, Infallible>(self.load(seq));
                let next = match walk.next(&self.history, rules, settings, now, load) {
                    Ok(next) => next,
                    Err(never) => match never {},
                };
                match next {
                    None => break,
                    Some(Next::Start { run, start }) => {
                        self.apply(now, &start.intent(&run, rules.generation));
                        self.began(&run, &start, now);
                        self.succeed(&run, &start, now);
                    }
                    Some(Next::End { run, end, reason }) => self.end(&run, end, reason, false, now),
                }
                changed = true;
            }
            if !changed {
                return;
            }
        }
    }

    fn load(&self, seq: u64) -> Option<Arc<Event>> {
        let at = usize::try_from(seq).ok()?.checked_sub(1)?;
        self.journal.get(at).cloned()
    }

    fn apply(&mut self, now: Timestamp, record: &Record) {
        self.history.apply(self.history.last_seq(), now, record);
    }

    /// Ends a run that acts, at once and with success.
    fn succeed(&mut self, run: &RunId, start: &Start, now: Timestamp) {
        let record = Record::RunEnded {
            run: run.clone(),
            rule: start.rule.id.clone(),
            target: start.plan.target.clone(),
            end: RunEnd::Succeeded,
            acted: true,
            keeps_slot: true,
            error: None,
            duration_ms: 0,
        };
        self.apply(now, &record);
    }

    /// Ends a run that waited and never acts.
    fn end(&mut self, id: &RunId, end: RunEnd, reason: String, keeps_slot: bool, now: Timestamp) {
        let Some(run) = self.history.runs.get(id) else { return };
        let record = turn::unstarted(id, run, end, reason.clone(), keeps_slot, now);
        self.apply(now, &record);
        if let Some(finding) = self.following(id, end.name(), now) {
            self.findings.push(Finding { reason: Some(reason), ..finding });
        }
    }

    /// Notes that a run that was held, or waited for a person, acts. One that only queued was said to run already.
    fn began(&mut self, id: &RunId, start: &Start, now: Timestamp) {
        let Some(finding) = self.following(id, "run", now) else { return };
        let was_said = self.origins.get(id).and_then(|at| self.findings.get(*at)).is_some_and(|at| at.outcome == "run");
        if !was_said {
            self.findings.push(Finding { steps: steps_of(Some(&start.plan.to_json())), ..finding });
        }
    }

    /// What became of a run that waited, as far as it is known from what was decided first.
    fn following(&self, run: &RunId, outcome: &'static str, at: Timestamp) -> Option<Finding> {
        let origin = self.findings.get(*self.origins.get(run)?)?;
        Some(Finding {
            during: self.during,
            moment: self.moment,
            at,
            outcome,
            reason: None,
            until: None,
            steps: None,
            follows: true,
            ..origin.clone()
        })
    }

    fn about_event(&mut self, event: usize, at: Timestamp, outcome: &'static str, reason: Option<String>) {
        self.findings.push(Finding {
            event,
            during: event,
            moment: self.moment,
            at,
            rule: None,
            outcome,
            because: None,
            reason,
            until: None,
            target: None,
            steps: None,
            follows: false,
        });
    }

    fn about_rule(&mut self, number: usize, at: Timestamp, decision: &Decision, event: &Event) {
        let Decision { rule, decided, state, .. } = decision;
        let (reason, until) = reason(&decided.outcome);
        let target = match (&decided.reservation, &decided.outcome) {
            (Some(reservation), _) => Some(reservation.target.clone()),
            (None, Outcome::Suppressed { .. }) => {
                plan::target(rule, &EventView::new(state.as_deref().unwrap_or(event)), at).ok()
            }
            (None, _) => None,
        };
        if let Some(reservation) = &decided.reservation {
            self.origins.insert(reservation.run.clone(), self.findings.len());
        }
        self.findings.push(Finding {
            event: number,
            during: number,
            moment: self.moment,
            at,
            rule: Some(rule.id.to_string()),
            outcome: decided.outcome.name(),
            because: because(&decided.outcome),
            reason,
            until,
            target,
            steps: steps_of(decided.plan.as_ref()),
            follows: false,
        });
    }
}

/// What a run that starts at once does.
fn start_of(decision: Decision, event: &Arc<Event>) -> Option<(RunId, Start)> {
    let Decision { rule, decided, plan, state } = decision;
    let run = decided.reservation?.run;
    Some((run, Start { rule, plan: plan?, event: state.unwrap_or_else(|| Arc::clone(event)) }))
}

/// The steps of a plan as JSON.
fn steps_of(plan: Option<&Value>) -> Option<Vec<Value>> {
    plan?.get("steps")?.as_array().cloned()
}

/// The part of the rule that kept it from acting.
fn because(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::NotMatched { clause, .. } => Some(clause.clone()),
        Outcome::ConditionError { .. } => Some("when".into()),
        Outcome::Suppressed { guard, .. } => Some(guard.clone()),
        // The message begins with the part that could not be rendered.
        Outcome::PlanError { message } => message.split_once(": ").map(|(part, _)| part.to_owned()),
        _ => None,
    }
}
