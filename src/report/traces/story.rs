//! From records to spans: what each record tells, with what those before it told.

use std::collections::{BTreeMap, HashMap};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::ids::{Place, TraceIds};
use super::span::{Attribute, Building, Trace};
use crate::clock::Timestamp;
use crate::event::EventId;
use crate::journal::read::Reader;
use crate::journal::record::{
    Decided, EachPlace, Outcome, Phase, Record, RunEnd, RunId, StepEnd, StepResult, WriteBackId, WriteBackOutcome,
};
use crate::journal::store::{StoreError, Stored};
use crate::report::bucket;
use crate::report::logging::SharedRedactor;

/// Pushes that are remembered until they are decided. More are not between receipt and decision, and those that concern no
/// rule, whose record waits for the next.
pub(super) const RECEIVED_MAX: usize = 32_768;
/// Runs, and write-backs, that are remembered. What is not is looked up in the journal.
pub(super) const REMEMBERED_MAX: usize = 8_192;

/// Tells what records say as spans.
pub(super) struct Story {
    ids: TraceIds,
    reader: Reader,
    redactor: SharedRedactor,
    /// The first record that was followed: of what came before, nothing is in memory.
    since: u64,
    received: BTreeMap<u64, Stored>,
    runs: HashMap<RunId, Known>,
    write_backs: HashMap<WriteBackId, Sent>,
}

/// What is known of a run before its end.
#[derive(Debug, Clone)]
struct Known {
    event: EventId,
    decided_at: Timestamp,
    is_rerun: bool,
    /// The `each` steps that were begun, with the try.
    tries: HashMap<(u8, usize), u32>,
}

/// What is known of a write-back before it is over.
#[derive(Debug, Clone)]
struct Sent {
    queued_at: Timestamp,
    call: &'static str,
    /// Tries that did not do it.
    tries: Vec<(Timestamp, WriteBackOutcome, String)>,
}

impl Story {
    pub(super) fn new(ids: TraceIds, reader: Reader, redactor: SharedRedactor, since: u64) -> Self {
        let (received, runs, write_backs) = Default::default();
        Self { ids, reader, redactor, since, received, runs, write_backs }
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Goes on at `seq`, with nothing in memory.
    pub(super) fn skip_to(&mut self, seq: u64) {
        self.since = seq;
        self.received.clear();
        self.runs.clear();
        self.write_backs.clear();
    }

    /// What a record tells.
    pub(super) fn tell(&mut self, stored: Stored, spans: &mut Vec<Span>) -> Result<(), StoreError> {
        let (seq, at) = (stored.seq, stored.at);
        match &stored.record {
            Record::Received { .. } => {
                if self.received.len() >= RECEIVED_MAX {
                    self.received.pop_first();
                }
                self.received.insert(seq, Stored { payload: None, ..stored });
            }
            Record::Decided { from_seq, to_seq, generation, late_since, decisions, .. } => {
                for push in self.pushes(*from_seq, *to_seq)? {
                    self.decided(&push, at, *generation, *late_since, decisions, spans);
                }
            }
            Record::SetAside { seq, error, .. } => {
                for push in self.pushes(*seq, *seq)? {
                    if let Some((trace, event)) = self.trace_of(&push) {
                        let root = root(&trace, &self.ids, event, &push, at);
                        spans.extend(root.map(|root| root.failed("set-aside", Some(error)).done()));
                    }
                }
            }
            Record::Rerun { run, of, observed, generation, decided, .. } => {
                let event = &observed.event;
                self.remember(decided, event, at, true);
                if let Some(trace) = self.trace(event) {
                    let (id, parent) = (self.ids.span(Place::Rerun(run)), self.ids.span(Place::Event(event)));
                    let span = trace.span(id, Some(parent), "decide again", [at, at]);
                    let span = span.with("stanch.run.of", of.as_str()).with("stanch.run.id", run.as_str());
                    let span = span.with("stanch.rules.generation", number(*generation));
                    spans.push(decision(span, at, decided).done());
                }
            }
            Record::RunIntended { run, rule, event, .. } => {
                let Some(mut known) = self.known(run)? else { return Ok(()) };
                // Where newer news came while it waited, it acts on those: so the trace is theirs, as all that follows is.
                known.event = event.clone();
                keep(&mut self.runs, run.clone(), known.clone());
                if known.decided_at < at
                    && let Some(trace) = self.trace(&known.event)
                {
                    let (id, parent) = (self.ids.span(Place::Wait(run)), self.ids.span(Place::Run(run)));
                    let span = trace.span(id, Some(parent), "wait", [known.decided_at, at]);
                    spans.push(span.with("stanch.rule", rule.as_str()).done());
                }
            }
            Record::StepStarted { run, phase, step, each: None, attempt, .. } => {
                if let Some(known) = self.runs.get_mut(run) {
                    known.tries.insert((*phase as u8, *step), *attempt);
                }
            }
            Record::StepEnded { run, phase, step, each, name, attempt, result } => {
                let place = StepPlace { run, phase: *phase, step: *step, each: each.as_ref(), attempt: *attempt };
                self.step_ended(&place, name, result, at, spans)?;
            }
            Record::RunResumed { run, .. } => self.cut_off(run, seq, at, spans)?,
            Record::RunEnded { run, rule, target, end, acted, error, .. } => {
                if *end == RunEnd::Interrupted {
                    self.cut_off(run, seq, at, spans)?;
                }
                let Some(known) = self.known(run)? else { return Ok(()) };
                self.runs.remove(run);
                let Some(trace) = self.trace(&known.event) else { return Ok(()) };
                let parent = match known.is_rerun {
                    true => Place::Rerun(run),
                    false => Place::Decision(&known.event),
                };
                let (id, parent) = (self.ids.span(Place::Run(run)), self.ids.span(parent));
                let span = trace.span(id, Some(parent), &format!("run {rule}"), [known.decided_at, at]);
                let span = span
                    .with("stanch.run.id", run.as_str())
                    .with("stanch.rule", rule.as_str())
                    .with("stanch.target", target.as_str())
                    .with("stanch.run.state", end.name())
                    .with("stanch.run.acted", *acted);
                let error = error.as_deref();
                let span = match end {
                    RunEnd::Succeeded => span.ok(),
                    // A person, or a newer event, wanted it so.
                    RunEnd::Cancelled | RunEnd::Denied => span.with_some("stanch.reason", error),
                    _ => span.failed(end.name(), error),
                };
                spans.push(span.done());
            }
            Record::WriteBackQueued { write_back } => {
                let sent = Sent { queued_at: at, call: write_back.call.name(), tries: Vec::new() };
                keep(&mut self.write_backs, write_back.id.clone(), sent);
            }
            Record::WrittenBack { id, run, event, attempt, outcome, request_id, error } => {
                let why = error.clone().unwrap_or_default();
                if !outcome.is_final() {
                    if let Some(sent) = self.write_backs.get_mut(id)
                        && sent.tries.len() < super::span::SPAN_EVENTS_MAX
                    {
                        sent.tries.push((at, *outcome, why));
                    }
                    return Ok(());
                }
                let sent = match self.write_backs.remove(id) {
                    Some(sent) => Some(sent),
                    None => self.recall_write_back(id, event, seq)?,
                };
                let (Some(trace), Some(sent)) = (self.trace(event), sent) else { return Ok(()) };
                let parent = run.as_ref().map_or(Place::Decision(event), Place::Run);
                let (id, parent) = (self.ids.span(Place::WriteBack(id)), self.ids.span(parent));
                let mut span = trace
                    .span(id, Some(parent), &format!("write back {}", sent.call), [sent.queued_at, at])
                    .kind(SpanKind::Client)
                    .with("stanch.write_back.call", sent.call)
                    .with("stanch.write_back.outcome", outcome.name())
                    .with("stanch.write_back.tries", i64::from(*attempt))
                    .with_some("stanch.flashduty.request_id", request_id.as_deref());
                for (at, outcome, why) in &sent.tries {
                    span = span.event(*at, outcome.name(), &[("stanch.reason", Attribute::Text(why))]);
                }
                let span = match outcome {
                    WriteBackOutcome::Sent => span.ok(),
                    _ => span.failed(outcome.name(), error.as_deref()),
                };
                spans.push(span.done());
            }
            Record::StepStarted { .. }
            | Record::WriteBackStarted { .. }
            | Record::Approved { .. }
            | Record::Started { .. }
            | Record::Reloaded { .. }
            | Record::Paused { .. }
            | Record::Resumed { .. }
            | Record::Stopped => {}
        }
        Ok(())
    }

    fn trace(&self, event: &EventId) -> Option<Trace> {
        let id = self.ids.trace(event)?;
        Some(Trace { id, redactor: self.redactor.load_full() })
    }

    fn trace_of<'p>(&self, push: &'p Stored) -> Option<(Trace, &'p EventId)> {
        let event = push.record.event()?;
        Some((self.trace(event)?, event))
    }

    /// The pushes with these numbers, which are decided now.
    fn pushes(&mut self, from: u64, to: u64) -> Result<Vec<Stored>, StoreError> {
        let mut pushes = Vec::new();
        if from < self.since {
            let last = to.min(self.since.saturating_sub(1));
            self.reader.scan(from, |stored| {
                let goes_on = stored.seq <= last;
                if goes_on && matches!(stored.record, Record::Received { .. }) {
                    pushes.push(stored);
                }
                goes_on
            })?;
        }
        let mut rest = self.received.split_off(&from);
        self.received.append(&mut rest.split_off(&to.saturating_add(1)));
        pushes.extend(rest.into_values());
        Ok(pushes)
    }

    fn decided(
        &mut self,
        push: &Stored,
        at: Timestamp,
        generation: u64,
        late_since: Option<Timestamp>,
        decisions: &[Decided],
        spans: &mut Vec<Span>,
    ) {
        let Some((trace, event)) = self.trace_of(push) else { return };
        for one in decisions {
            self.remember(one, event, at, false);
        }
        spans.extend(root(&trace, &self.ids, event, push, at).map(Building::done));
        let (id, parent) = (self.ids.span(Place::Decision(event)), self.ids.span(Place::Event(event)));
        let mut span = trace
            .span(id, Some(parent), "decide", [at, at])
            .with("stanch.rules.generation", number(generation))
            .with("stanch.event.late", late_since.is_some());
        for one in decisions {
            span = decision(span, at, one);
        }
        spans.push(span.done());
    }

    /// Keeps what later records of a run do not say.
    fn remember(&mut self, decided: &Decided, event: &EventId, decided_at: Timestamp, is_rerun: bool) {
        let Some(reservation) = &decided.reservation else { return };
        let known = Known { event: event.clone(), decided_at, is_rerun, tries: HashMap::new() };
        keep(&mut self.runs, reservation.run.clone(), known);
    }

    /// What is known of a run, from memory or from the journal.
    fn known(&mut self, run: &RunId) -> Result<Option<Known>, StoreError> {
        if let Some(known) = self.runs.get(run) {
            return Ok(Some(known.clone()));
        }
        let Some(origin) = self.reader.origin_of(run.as_str())? else { return Ok(None) };
        let mut rerun = None;
        let mut tries = HashMap::new();
        for stored in self.reader.about_run(run.as_str())? {
            match stored.record {
                Record::Rerun { run: again, .. } if again == *run => rerun = Some(stored.at),
                Record::StepStarted { phase, step, each: None, attempt, .. } => {
                    tries.insert((phase as u8, step), attempt);
                }
                _ => {}
            }
        }
        let decided_at = match rerun {
            Some(at) => Some(at),
            None => self.reader.decision_on(origin.seq)?.map(|stored| stored.at),
        };
        let Some(decided_at) = decided_at else { return Ok(None) };
        let known = Known { event: origin.event, decided_at, is_rerun: rerun.is_some(), tries };
        keep(&mut self.runs, run.clone(), known.clone());
        Ok(Some(known))
    }

    fn step_ended(
        &mut self,
        place: &StepPlace<'_>,
        name: &str,
        result: &StepResult,
        at: Timestamp,
        spans: &mut Vec<Span>,
    ) -> Result<(), StoreError> {
        let Some(known) = self.known(place.run)? else { return Ok(()) };
        let Some(trace) = self.trace(&known.event) else { return Ok(()) };
        let start = at.minus(std::time::Duration::from_millis(result.duration_ms));
        let span = self.step(&trace, &known, place, name, [start, at]);
        let status = result.status.map(i64::from);
        let span = if status.is_some() { span.kind(SpanKind::Client) } else { span };
        let span = span
            .with_some("http.response.status_code", status)
            .with_some("process.exit.code", result.exit_code.map(i64::from))
            .with_some("stanch.step.signal", result.signal.map(i64::from));
        let error = result.error.as_deref();
        spans.push(match result.end {
            StepEnd::Succeeded => span.ok().done(),
            StepEnd::Skipped => span.with("stanch.step.skipped", true).done(),
            StepEnd::Failed => match result.status {
                Some(status) => span.failed(&status.to_string(), error).done(),
                None => span.failed("failed", error).done(),
            },
            StepEnd::TimedOut => span.failed("timeout", error).done(),
            StepEnd::Cancelled => span.failed("cancelled", error).done(),
        });
        Ok(())
    }

    fn step<'t>(
        &self,
        trace: &'t Trace,
        known: &Known,
        place: &StepPlace<'_>,
        name: &str,
        times: [Timestamp; 2],
    ) -> Building<'t> {
        let parent = match place.each {
            None => Place::Run(place.run),
            Some(_) => {
                let attempt = known.tries.get(&(place.phase as u8, place.step)).copied().unwrap_or(1);
                Place::Step { run: place.run, phase: place.phase, step: place.step, each: None, attempt }
            }
        };
        let (id, parent) = (self.ids.span(place.of()), self.ids.span(parent));
        trace
            .span(id, Some(parent), &format!("step {name}"), times)
            .with("stanch.step.name", name)
            .with("stanch.step.phase", place.phase.name())
            .with("stanch.step.attempt", i64::from(place.attempt))
            .with_some("stanch.step.item", place.each.map(|each| each.item.as_str()))
    }

    /// The steps that had begun when the daemon died, as far as they are on record before `seq`.
    fn cut_off(&mut self, run: &RunId, seq: u64, at: Timestamp, spans: &mut Vec<Span>) -> Result<(), StoreError> {
        let Some(known) = self.known(run)? else { return Ok(()) };
        let Some(trace) = self.trace(&known.event) else { return Ok(()) };
        let mut open: Vec<(Stored, [u8; 8])> = Vec::new();
        for stored in self.reader.about_run(run.as_str())?.into_iter().filter(|stored| stored.seq < seq) {
            match &stored.record {
                // Those before it were told then.
                Record::RunResumed { .. } => open.clear(),
                Record::StepStarted { run, phase, step, each, attempt, .. } => {
                    let (phase, step, each, attempt) = (*phase, *step, each.as_ref(), *attempt);
                    let id = self.ids.span(StepPlace { run, phase, step, each, attempt }.of());
                    open.push((stored, id));
                }
                Record::StepEnded { run, phase, step, each, attempt, .. } => {
                    let (phase, step, each, attempt) = (*phase, *step, each.as_ref(), *attempt);
                    let id = self.ids.span(StepPlace { run, phase, step, each, attempt }.of());
                    open.retain(|(_, begun)| *begun != id);
                }
                _ => {}
            }
        }
        for (stored, _) in &open {
            if let Record::StepStarted { run, phase, step, each, name, attempt } = &stored.record {
                let place = StepPlace { run, phase: *phase, step: *step, each: each.as_ref(), attempt: *attempt };
                let span = self.step(&trace, &known, &place, name, [stored.at, at]);
                spans.push(span.failed("interrupted", Some("the daemon ended before the step did")).done());
            }
        }
        Ok(())
    }

    fn recall_write_back(&self, id: &WriteBackId, event: &EventId, seq: u64) -> Result<Option<Sent>, StoreError> {
        let mut sent = None;
        for stored in self.reader.about_event(event.as_str())?.into_iter().filter(|stored| stored.seq < seq) {
            match stored.record {
                Record::WriteBackQueued { write_back } if write_back.id == *id && sent.is_none() => {
                    let call = write_back.call.name();
                    sent = Some(Sent { queued_at: stored.at, call, tries: Vec::new() });
                }
                Record::WrittenBack { id: of, outcome, error, .. } if of == *id => {
                    if let Some(sent) = &mut sent {
                        sent.tries.push((stored.at, outcome, error.unwrap_or_default()));
                    }
                }
                _ => {}
            }
        }
        Ok(sent)
    }
}

/// Which try of which step.
struct StepPlace<'a> {
    run: &'a RunId,
    phase: Phase,
    step: usize,
    each: Option<&'a EachPlace>,
    attempt: u32,
}

impl StepPlace<'_> {
    fn of(&self) -> Place<'_> {
        Place::Step { run: self.run, phase: self.phase, step: self.step, each: self.each, attempt: self.attempt }
    }
}

/// The root of a trace: a push from its receipt until it was its turn.
fn root<'t>(trace: &'t Trace, ids: &TraceIds, id: &EventId, push: &Stored, at: Timestamp) -> Option<Building<'t>> {
    let Record::Received { source, event_type, entity, incident, channel, caught_up, .. } = &push.record else {
        return None;
    };
    let name = format!("event {}", bucket(event_type));
    let span = trace.span(ids.span(Place::Event(id)), None, &name, [push.at, at]).kind(SpanKind::Consumer);
    let span = span
        .with("stanch.event.id", id.as_str())
        .with("stanch.event.type", &**event_type)
        .with("stanch.source", source.as_str())
        .with("stanch.event.entity", &*entity.to_string())
        .with_some("stanch.incident.id", incident.as_deref())
        .with_some("stanch.channel.id", *channel)
        .with("stanch.event.caught_up", *caught_up)
        .with("stanch.journal.seq", number(push.seq));
    Some(span)
}

/// What became of one rule, as an event of the span in which it was decided.
fn decision<'t>(span: Building<'t>, at: Timestamp, decided: &Decided) -> Building<'t> {
    let mut attributes = vec![
        ("stanch.rule", Attribute::Text(decided.rule.as_str())),
        ("stanch.decision.outcome", Attribute::Text(decided.outcome.name())),
    ];
    if let Some(reservation) = &decided.reservation {
        attributes.push(("stanch.run.id", Attribute::Text(reservation.run.as_str())));
        attributes.push(("stanch.target", Attribute::Text(&reservation.target)));
    }
    let mut say = |key, text| attributes.push((key, Attribute::Text(text)));
    match &decided.outcome {
        Outcome::NotMatched { clause, .. } => say("stanch.decision.clause", clause),
        Outcome::ConditionError { message } | Outcome::PlanError { message } => say("stanch.reason", message),
        Outcome::Suppressed { guard, reason, .. } => {
            say("stanch.decision.guard", guard);
            say("stanch.reason", reason);
        }
        Outcome::Run { queued: Some(reason) } => say("stanch.reason", reason),
        Outcome::Late { .. }
        | Outcome::Duplicate
        | Outcome::DryRun
        | Outcome::Held { .. }
        | Outcome::AwaitingApproval { .. }
        | Outcome::Run { queued: None } => {}
    }
    span.event(at, &format!("{}: {}", decided.rule, decided.outcome.name()), &attributes)
}

/// Keeps a value; what is full is emptied, since all of it can be looked up again.
fn keep<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, value: V) {
    if map.len() >= REMEMBERED_MAX {
        map.clear();
    }
    map.insert(key, value);
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
