//! What a rule set would have done with the events of a journal, beside what was done or what another set would do.
//!
//! # Theory of operation
//!
//! A [`Backtest`] is fed the journal's entries in their order, one by one, and keeps no event. Each goes through one
//! simulation a rule set, whose clock is the time at which the event was received. What would act is tallied, and held
//! against what the other side did with the same event by the same rule: the id of a run is made of these two, so both
//! sides call it the same.
//!
//! Nothing is executed, so a [`RunModel`] says how runs go: they succeed after a fixed time, and people allow what asks
//! them, or never do. Pauses are taken from the journal. What people did to single runs is not: it was about what ran
//! then. The other side, where it is the journal itself, is what its records say.
//!
//! What comes before the window that is asked about is decided on but not counted, so that the window does not begin
//! with empty guards.
//!
//! Nothing here reads a file or a clock, and every map has an end. The same entries and rules give the same report,
//! byte for byte.

mod difference;
mod side;
mod tally;
#[cfg(test)]
mod tests;

pub use difference::{Change, Difference, DifferenceReport, Differs, Example};
pub use tally::{Hour, RuleHour, RuleReport, SideReport, TargetCount};

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::flow::Flow;
use crate::clock::Timestamp;
use crate::decide::{Scope, Settings};
use crate::event::{Entity, Event, EventId};
use crate::journal::history::Newest;
use crate::journal::record::{Observed, Outcome, Record, RunId};
use crate::rule::RuleSet;
use side::{Act, Side};

/// How long before the window events are decided on without being counted. Guards that look back further, and slots
/// of incidents that were open for longer, begin empty.
pub const WARM_UP: Duration = Duration::from_secs(86_400);
/// How many runs that were decided upon and have not started are remembered of what the journal says. More than the
/// engine lets wait.
const DECIDED_MAX: usize = 50_000;

/// Whether people allow what asks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Approvals {
    /// At once, so that the report shows the most that could happen.
    Granted,
    /// Never: what asks people expires.
    Never,
}

/// How runs go, since nothing is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunModel {
    /// How long a run takes; it then succeeds.
    #[serde(rename = "run_takes_ms", serialize_with = "as_millis")]
    #[schemars(with = "u64")]
    pub takes: Duration,
    /// Whether people allow what asks them.
    pub approvals: Approvals,
}

fn as_millis<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Where a simulation asks for what it does not keep.
pub trait Lookup {
    /// The event at a number of the journal; `None` where its body is not kept any more.
    fn load(&self, seq: u64) -> Option<Arc<Event>>;

    /// The newest state of an entity before a number of the journal.
    fn newest(&self, entity: &Entity, before: u64) -> Option<Newest>;
}

/// A rule set with the config's part.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The rules.
    pub rules: &'a RuleSet,
    /// The config's part: its ceiling, budgets, schedules and limits hold here too.
    pub settings: &'a Settings,
}

/// What is compared, and how.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The rule set that is tried.
    pub tried: Rules<'a>,
    /// Another one; `None` compares with what the journal says was done.
    pub against: Option<Rules<'a>>,
    /// How runs go.
    pub model: RunModel,
    /// What was received before is not counted.
    pub from: Timestamp,
    /// Whether annotating events order as well.
    pub strict_ordering: bool,
}

/// An entry of the journal.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A push with its body.
    Event {
        /// Its number.
        seq: u64,
        /// What it said.
        event: Arc<Event>,
    },
    /// A push whose body is not kept any more. It orders others, and nothing can be decided on it.
    Bodiless(Observed),
    /// Anything else.
    Record {
        /// When it was made.
        at: Timestamp,
        /// The record.
        record: Box<Record>,
    },
}

/// Events of which the journal has no body any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Missing {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: EventAt,
    /// The last of them.
    pub last: EventAt,
}

/// An event, named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EventAt {
    /// Its id.
    #[schemars(with = "String")]
    pub event: EventId,
    /// When it was received.
    pub at: Timestamp,
}

/// What came of it all.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// How many events were decided on, of those in the window.
    pub events: u64,
    /// When the first of them was received.
    pub first_at: Option<Timestamp>,
    /// When the last of them was received.
    pub last_at: Option<Timestamp>,
    /// Events in the window on which nothing could be decided.
    pub without_body: Option<Missing>,
    /// How runs were taken to go.
    pub model: RunModel,
    /// What the rule set that was tried would have done.
    pub tried: SideReport,
    /// What the other one would have done; `None` where that is the journal.
    pub against: Option<SideReport>,
    /// How the two differ.
    pub difference: DifferenceReport,
}

/// A backtest under way.
#[derive(Debug)]
pub struct Backtest<'a, L> {
    question: Question<'a>,
    tried: (Flow<'a>, Side<'a, L>),
    against: Option<(Flow<'a>, Side<'a, L>)>,
    difference: Difference,
    /// Runs that the journal decided upon in the window and that have not started,
    decided: HashSet<RunId>,
    events: u64,
    /// The first event of the window that was decided on: of what was done before, the two sides say nothing.
    first_seq: Option<u64>,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    missing: Option<Missing>,
    has_begun: bool,
}

impl<'a, L: Lookup> Backtest<'a, L> {
    /// Nothing seen yet. `lookup` is asked rarely, for what waits or comes late.
    pub fn new(question: Question<'a>, lookup: &'a L) -> Self {
        let start = |set: Rules<'a>| {
            let flow = Flow::new(set.rules, set.settings, question.strict_ordering, Timestamp::default());
            (flow, Side::new(set.rules, question.model, question.from, lookup))
        };
        Self {
            question,
            tried: start(question.tried),
            against: question.against.map(start),
            difference: Difference::default(),
            decided: HashSet::new(),
            events: 0,
            first_seq: None,
            first_at: None,
            last_at: None,
            missing: None,
            has_begun: false,
        }
    }

    /// Takes the next entry of the journal.
    pub fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Event { seq, event } => self.event(*seq, event),
            Entry::Bodiless(observed) => self.bodiless(observed),
            Entry::Record { at, record } => self.record(*at, record),
        }
    }

    fn event(&mut self, seq: u64, event: &Arc<Event>) {
        let at = event.received_at;
        self.pass(at);
        if at >= self.question.from {
            self.events += 1;
            self.first_seq.get_or_insert(seq);
            self.first_at.get_or_insert(at);
            self.last_at = Some(at);
        }
        for (flow, side) in self.sides() {
            flow.take(event, seq, Scope::Concerned, side);
        }
        self.settle();
    }

    fn bodiless(&mut self, observed: &Observed) {
        let at = observed.received_at;
        self.pass(at);
        for (flow, _) in self.sides() {
            flow.observe(observed);
        }
        if at < self.question.from {
            return;
        }
        let last = EventAt { event: observed.event.clone(), at };
        match &mut self.missing {
            None => self.missing = Some(Missing { count: 1, first: last.clone(), last }),
            Some(missing) => (missing.count, missing.last) = (missing.count + 1, last),
        }
    }

    fn record(&mut self, at: Timestamp, record: &Record) {
        match record {
            Record::Paused { .. } | Record::Resumed { .. } => {
                self.pass(at);
                for (flow, side) in self.sides() {
                    flow.note(record, side);
                }
                self.settle();
            }
            _ if self.against.is_none() => self.recorded(at, record),
            _ => {}
        }
    }

    /// What the journal says was done.
    fn recorded(&mut self, at: Timestamp, record: &Record) {
        match record {
            Record::Decided { from_seq, event: Some(event), decisions, .. }
                if self.first_seq.is_some_and(|first| *from_seq >= first) =>
            {
                for decided in decisions {
                    let Some(reservation) = &decided.reservation else { continue };
                    if decided.outcome == Outcome::DryRun {
                        self.difference.other(Act {
                            run: reservation.run.clone(),
                            rule: decided.rule.clone(),
                            event: event.clone(),
                            target: reservation.target.as_str().into(),
                            at,
                            shown: true,
                        });
                    } else if self.decided.len() < DECIDED_MAX {
                        self.decided.insert(reservation.run.clone());
                    }
                }
            }
            // Of a run that was decided upon before the window, the window says nothing.
            Record::RunIntended { run, rule, event, target, .. } if self.decided.remove(run) => {
                self.difference.other(Act {
                    run: run.clone(),
                    rule: rule.clone(),
                    event: event.clone(),
                    target: target.as_str().into(),
                    at,
                    shown: false,
                });
            }
            Record::RunEnded { run, .. } => drop(self.decided.remove(run)),
            _ => {}
        }
    }

    fn sides(&mut self) -> impl Iterator<Item = (&mut Flow<'a>, &mut Side<'a, L>)> {
        let both = std::iter::once(&mut self.tried).chain(&mut self.against);
        both.map(|(flow, side)| (flow, side))
    }

    /// Moves the clocks on.
    fn pass(&mut self, at: Timestamp) {
        for (flow, side) in self.sides() {
            flow.advance(at, side);
        }
        self.has_begun = true;
        self.settle();
    }

    /// Holds what both sides did against each other.
    fn settle(&mut self) {
        self.tried.1.acts().for_each(|act| self.difference.tried(act));
        if let Some((_, side)) = &mut self.against {
            side.acts().for_each(|act| self.difference.other(act));
        }
    }

    /// Lets time pass until nothing waits any more, and says what came of it all.
    pub fn finish(mut self) -> Report {
        if self.has_begun {
            for (flow, side) in self.sides() {
                flow.finish(side);
            }
            self.settle();
        }
        Report {
            events: self.events,
            first_at: self.first_at,
            last_at: self.last_at,
            without_body: self.missing,
            model: self.question.model,
            tried: self.tried.1.report(),
            against: self.against.map(|(_, side)| side.report()),
            difference: self.difference.report(),
        }
    }
}
