//! The course of a test: what the receiver and the engine would do, on a simulated journal and clock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::flow::{Fate, Flow, Model};
use super::{Finding, World};
use crate::clock::Timestamp;
use crate::decide::explain::reason;
use crate::decide::turn::Start;
use crate::decide::{Decision, Decisions, Scope};
use crate::event::{self, Entity, Event, EventId};
use crate::journal::history::Newest;
use crate::journal::record::{Outcome, RunEnd, RunId};
use crate::plan;
use crate::rule::RuleId;
use crate::rule::test_case::RunFate;
use crate::rule::view::EventView;

/// Where the clock starts if the first event has no time: some Monday at noon, the same in every run.
const NO_TIME_START: Timestamp = Timestamp::from_millis(1_767_614_400_000);

/// How a run goes of which a test says nothing.
const SUCCESS: Fate = Fate { end: RunEnd::Succeeded, takes: Duration::ZERO };

/// A test under way.
pub(super) struct Course<'w> {
    world: World<'w>,
    flow: Flow<'w>,
    desk: Desk<'w>,
    /// The hash of the body under each id.
    bodies: HashMap<EventId, [u8; 32]>,
    has_begun: bool,
}

/// Where the events of a test lie, and what happens is written down.
struct Desk<'w> {
    /// What the journal took in; the one at index `n` stands at number `n + 1`.
    journal: Vec<Arc<Event>>,
    /// How runs go, by rule; the last of a rule goes for all that follow.
    fates: HashMap<&'w str, VecDeque<Fate>>,
    /// Counts the moments; what happens at one time, after one event, is in no order.
    moment: usize,
    at: Timestamp,
    during: usize,
    /// Which finding decided upon each run.
    origins: HashMap<RunId, usize>,
    findings: Vec<Finding>,
}

impl<'w> Course<'w> {
    pub(super) fn new(world: World<'w>, runs: &'w [RunFate]) -> Self {
        let mut fates: HashMap<&str, VecDeque<Fate>> = HashMap::new();
        for run in runs {
            let fate = Fate { end: run.ends, takes: run.takes };
            fates.entry(run.rule.as_str()).or_default().push_back(fate);
        }
        Self {
            world,
            flow: Flow::new(world.rules, world.settings, world.strict_ordering, NO_TIME_START),
            desk: Desk {
                journal: Vec::new(),
                fates,
                moment: 0,
                at: NO_TIME_START,
                during: 0,
                origins: HashMap::new(),
                findings: Vec::new(),
            },
            bodies: HashMap::new(),
            has_begun: false,
        }
    }

    /// Lets `after` pass, and then takes an event. The error says why the receiver would refuse it whatever came
    /// before.
    pub(super) fn take(&mut self, number: usize, after: Duration, payload: Map<String, Value>) -> Result<(), String> {
        let World { rules, settings, strict_ordering, source, body_bytes_max } = self.world;
        if !self.has_begun {
            let time = payload.get("event_time").and_then(Value::as_i64);
            let start = time.map_or(NO_TIME_START, Timestamp::from_millis);
            self.flow = Flow::new(rules, settings, strict_ordering, start);
            self.has_begun = true;
        }
        self.flow.advance(self.flow.now().plus(after), &mut self.desk);
        let now = self.flow.now();
        self.desk.begin(number, now);

        let body = Value::Object(payload).to_string();
        if body.len() > body_bytes_max {
            let (bytes, max) = (body.len(), body_bytes_max);
            return Err(format!("it would be refused with 413: it has {bytes} bytes, and {max} is the limit"));
        }
        let event = event::read(Bytes::from(body), source.into(), now)
            .map_err(|error| format!("it would be refused with 400: {error}"))?;
        match self.bodies.get(&event.id) {
            Some(hash) if *hash == event.body_hash => {
                let (reason, _) = reason(&Outcome::Duplicate);
                self.desk.about_event(now, Outcome::Duplicate.name(), reason);
            }
            Some(_) => {
                let reason = format!("the event_id {} came before with another body", event.id);
                self.desk.about_event(now, "refused", Some(reason));
            }
            None => {
                self.bodies.insert(event.id.clone(), event.body_hash);
                let event = Arc::new(event);
                self.desk.journal.push(Arc::clone(&event));
                let seq = self.desk.journal.len() as u64;
                // The rules that the index leaves out answer too, so that a test can expect their reasons.
                self.flow.take(&event, seq, Scope::Every, &mut self.desk);
            }
        }
        Ok(())
    }

    /// Lets time pass until nothing waits any more, and says what happened in all.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.flow.finish(&mut self.desk);
        self.desk.findings
    }
}

impl Model for Desk<'_> {
    fn load(&self, seq: u64) -> Option<Arc<Event>> {
        let at = usize::try_from(seq).ok()?.checked_sub(1)?;
        self.journal.get(at).cloned()
    }

    fn recall(&self, _entity: &Entity, _before: u64) -> Option<Newest> {
        // A test has fewer events than memory keeps.
        None
    }

    fn fate(&mut self, rule: &RuleId) -> Fate {
        let Some(fates) = self.fates.get_mut(rule.as_str()) else { return SUCCESS };
        match fates.len() {
            0 | 1 => fates.front().copied().unwrap_or(SUCCESS),
            _ => fates.pop_front().unwrap_or(SUCCESS),
        }
    }

    fn approves(&self) -> bool {
        false
    }

    fn decided(&mut self, event: &Arc<Event>, decisions: &Decisions, now: Timestamp) {
        if let Some(newest) = decisions.late_since {
            let (reason, _) = reason(&Outcome::Late { newest });
            self.about_event(now, "late", reason);
        }
        for decision in &decisions.each {
            self.about_rule(now, decision, event);
        }
    }

    fn started(&mut self, run: &RunId, start: &Start, waited: bool, now: Timestamp) {
        // One that only queued was said to run already.
        let was_said =
            self.origins.get(run).and_then(|at| self.findings.get(*at)).is_some_and(|at| at.outcome == "run");
        if waited
            && !was_said
            && let Some(finding) = self.following(run, "run", now)
        {
            self.findings.push(Finding { steps: steps_of(Some(&start.plan.to_json())), ..finding });
        }
    }

    fn ended(&mut self, run: &RunId, end: RunEnd, reason: Option<&str>, now: Timestamp) {
        // That a run succeeds goes without saying.
        if end != RunEnd::Succeeded
            && let Some(finding) = self.following(run, end.name(), now)
        {
            self.findings.push(Finding { reason: reason.map(str::to_owned), ..finding });
        }
    }
}

impl Desk<'_> {
    /// An event comes.
    fn begin(&mut self, number: usize, now: Timestamp) {
        self.during = number;
        self.at = now;
        self.moment += 1;
    }

    /// The moment that `now` belongs to.
    fn moment(&mut self, now: Timestamp) -> usize {
        if now != self.at {
            self.at = now;
            self.moment += 1;
        }
        self.moment
    }

    /// What became of a run, as far as it is known from what was decided first.
    fn following(&mut self, run: &RunId, outcome: &'static str, at: Timestamp) -> Option<Finding> {
        let moment = self.moment(at);
        let origin = self.findings.get(*self.origins.get(run)?)?;
        Some(Finding {
            during: self.during,
            moment,
            at,
            outcome,
            because: None,
            reason: None,
            until: None,
            steps: None,
            follows: true,
            ..origin.clone()
        })
    }

    fn about_event(&mut self, at: Timestamp, outcome: &'static str, reason: Option<String>) {
        let moment = self.moment(at);
        self.findings.push(Finding {
            event: self.during,
            during: self.during,
            moment,
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

    fn about_rule(&mut self, at: Timestamp, decision: &Decision, event: &Event) {
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
        let moment = self.moment(at);
        self.findings.push(Finding {
            event: self.during,
            during: self.during,
            moment,
            at,
            rule: Some(rule.id.to_string()),
            outcome: decided.outcome.name(),
            because: decided.outcome.because().map(str::to_owned),
            reason,
            until,
            target,
            steps: steps_of(decided.plan.as_ref()),
            follows: false,
        });
    }
}

/// The steps of a plan as JSON.
fn steps_of(plan: Option<&Value>) -> Option<Vec<Value>> {
    plan?.get("steps")?.as_array().cloned()
}
