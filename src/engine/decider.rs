//! The one task that decides.
//!
//! It takes up what the journal committed, in its order, asks the pure core, folds each decision before it takes
//! the next event, and writes the decisions and their intents as one transaction. Runs start only after that is
//! durable. A commit that fails ends the task, and with it the engine.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::command::{Command, Handled};
use super::fault;
use super::flashduty::Outgoing;
use super::hiding::put_on_record;
use super::past::{Recorded, load_event, recall};
use super::periodic::Periodic;
use crate::clock::{Clock, Timestamp};
use crate::decide::turn::{self, Next, Start, Walk};
use crate::decide::{self, Decision, Question, Scope, Settings};
use crate::event::{Event, EventId};
use crate::journal::history::History;
use crate::journal::read::Reader;
use crate::journal::record::{Decided, Observed, Outcome, Record, RunEnd, RunId};
use crate::journal::store::StoreError;
use crate::journal::{BATCH_MAX, Committed, Journal, Refused};
use crate::report::Report;
use crate::rule::RuleSet;
use crate::runner::{Intent, Runner};

/// How often holds and expiries are looked at.
const TICK: Duration = Duration::from_millis(250);

/// How often the daemon may die over one event before that is set aside: once can be a coincidence.
const TRIES_MAX: u32 = 2;

/// After a crash, so many events are decided one by one, each durable before the next, so that the one over which the
/// daemon dies is known at the next start. Those behind them come in batches: a later start gets to them.
const ALONE_MAX: usize = 64;

/// How often the history drops what nobody can ask for any more.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Why the engine can go on no longer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal did not take a decision.
    #[error("the engine stops, because what it decides cannot be recorded: {0}")]
    Refused(#[from] Refused),
    /// The journal could not be read.
    #[error("the engine stops, because the journal cannot be read: {0}")]
    Store(#[from] StoreError),
}

/// The rules and settings in force.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// The config's part.
    pub settings: Arc<Settings>,
}

/// The task and what it owns.
pub struct Decider {
    pub(super) journal: Journal,
    pub(super) committed: mpsc::UnboundedReceiver<Committed>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) history: History,
    pub(super) in_force: InForce,
    pub(super) runner: Runner<Journal>,
    pub(super) reader: Reader,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) report: Arc<Report>,
    pub(super) outgoing: Outgoing,
    /// Numbers of the first and last event in a row that concern no rule. Their shared record waits for the next
    /// that has to be written, or for the tick: alone it would cost each batch of pushes a commit of its own. If it
    /// is lost in a crash, those events are decided again.
    pub(super) unconcerned: Option<(u64, u64)>,
}

/// What a round of deciding leads to: first all of it is recorded, then it is done.
#[derive(Default)]
pub(super) struct Round {
    pub(super) records: Vec<Record>,
    intents: Vec<Intent>,
    /// Answers to give once the round is durable.
    pub(super) handled: Vec<Handled>,
}

impl Decider {
    /// Decides until it is told to stop; what was not decided by then is taken up at the next start.
    pub async fn run(mut self) -> Result<History, EngineError> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut look = Periodic::every(TICK);
        let mut prune = Periodic::every(PRUNE_EVERY);
        self.tell_impossible();
        let left = self.history.drain_undecided();
        self.take_up(left).await?;
        loop {
            batch.clear();
            let mut round = Round::default();
            let now;
            let mut look_at_all = false;
            tokio::select! {
                biased;
                command = self.commands.recv() => {
                    now = self.clock.now();
                    match command {
                        None | Some(Command::Stop) => {
                            self.flush_unconcerned(&mut round);
                            self.finish(round, now).await?;
                            return Ok(self.history);
                        }
                        Some(command) => {
                            look_at_all = true;
                            self.handle(command, now, &mut round);
                        }
                    }
                }
                taken = self.committed.recv_many(&mut batch, BATCH_MAX) => {
                    now = self.clock.now();
                    if taken == 0 {
                        let reason = self.journal.closed().await;
                        return Err(Refused::Closed { reason }.into());
                    }
                    for one in &batch {
                        self.take(one, now, &mut round)?;
                    }
                }
                () = look.wait(), if self.history.runs.waiting_len() > 0 || self.unconcerned.is_some() => {
                    now = self.clock.now();
                }
                () = prune.wait() => now = self.clock.now(),
            }
            // Under load the batches never leave a moment to wait in, so what is due is told by the time gone by.
            if look.is_due() {
                look_at_all = true;
                self.flush_unconcerned(&mut round);
            }
            if prune.is_due() {
                self.history.prune(now);
            }
            self.turns(now, look_at_all, &mut round)?;
            self.finish(round, now).await?;
            self.tell_impossible();
            self.report.observe(&self.history, self.journal.undecided());
        }
    }

    /// Decides on what a crash or a stop left undecided.
    async fn take_up(&mut self, left: Vec<Observed>) -> Result<(), EngineError> {
        let deaths = left.first().map_or(0, |first| self.history.deaths_at(first.seq));
        let (alone, together) = left.split_at(if deaths > 0 { ALONE_MAX.min(left.len()) } else { 0 });
        for chunk in alone.chunks(1).chain(together.chunks(BATCH_MAX)) {
            let now = self.clock.now();
            let mut round = Round::default();
            for observed in chunk {
                if self.history.deaths_at(observed.seq) >= TRIES_MAX {
                    let error = format!("the daemon died {TRIES_MAX} times while it was to decide on it");
                    self.set_aside(observed, error, &mut round);
                    continue;
                }
                match load_event(&self.reader, observed.seq)? {
                    Some(event) => self.decide_on(&Arc::new(event), observed.seq, now, &mut round)?,
                    // Without its body it cannot be decided on.
                    None => self.set_aside(observed, "its body is not kept any more".into(), &mut round),
                }
            }
            self.turns(now, true, &mut round)?;
            self.flush_unconcerned(&mut round);
            self.finish(round, now).await?;
        }
        Ok(())
    }

    /// An event that cannot be decided on still orders others.
    fn set_aside(&mut self, observed: &Observed, error: String, round: &mut Round) {
        self.history.observe(observed);
        self.record_set_aside(&observed.event, observed.seq, error, round);
    }

    fn record_set_aside(&mut self, event: &EventId, seq: u64, error: String, round: &mut Round) {
        self.flush_unconcerned(round);
        self.report.set_aside(event, &error);
        round.records.push(Record::SetAside { event: event.clone(), seq, error });
    }

    /// Says which records were not folded, since they cannot be.
    fn tell_impossible(&mut self) {
        for (seq, impossible) in self.history.take_impossible() {
            self.report.impossible(seq, &impossible);
        }
    }

    fn take(&mut self, committed: &Committed, now: Timestamp, round: &mut Round) -> Result<(), EngineError> {
        match committed {
            Committed::Push { seq, event, .. } => self.decide_on(event, *seq, now, round),
            Committed::Record { seq, at, record } => {
                let is_new = self.outgoing.is_new(record, &self.history);
                self.history.apply(*seq, *at, record);
                if is_new {
                    self.outgoing.hand_on(*at, record);
                }
                Ok(())
            }
        }
    }

    fn decide_on(
        &mut self,
        event: &Arc<Event>,
        seq: u64,
        now: Timestamp,
        round: &mut Round,
    ) -> Result<(), EngineError> {
        recall(&mut self.history, &self.reader, event, seq)?;
        for run in turn::called_off(event, &self.history) {
            let reason = format!("called off by {} ({})", event.event_type, event.id);
            self.end(&run, RunEnd::Cancelled, reason, true, now, round);
        }
        let newest = self.newest_if_late(event)?;
        let InForce { rules, settings } = self.in_force.clone();
        let question = Question {
            event,
            seq,
            newest: newest.as_ref(),
            rules: &rules,
            settings: &settings,
            scope: Scope::Concerned,
        };
        fault::at_evaluation(&event.id);
        let decisions = decide::decide(&question, &mut self.history, now);
        self.report.decided(event, &decisions);
        if let Some(error) = decisions.set_aside {
            self.record_set_aside(&event.id, seq, error, round);
            return Ok(());
        }
        let mut recorded = Vec::new();
        let mut started = Vec::new();
        let mut said = Vec::new();
        for decision in decisions.each {
            let seen = decision.state.as_deref().unwrap_or(event);
            said.extend(self.outgoing.of_dry_run(&decision, seen, &self.report));
            if is_recorded(&decision.decided) {
                recorded.push(decision.decided.clone());
            }
            if decision.decided.outcome == (Outcome::Run { queued: None }) {
                started.push(decision);
            }
        }
        if recorded.is_empty() && decisions.late_since.is_none() {
            let from = self.unconcerned.map_or(seq, |(from, _)| from);
            self.unconcerned = Some((from, seq));
            return Ok(());
        }
        self.flush_unconcerned(round);
        round.records.push(Record::Decided {
            from_seq: seq,
            to_seq: seq,
            event: Some(event.id.clone()),
            generation: rules.generation,
            late_since: decisions.late_since,
            decisions: recorded,
        });
        for record in said {
            self.note(record, now, round);
        }
        for decision in started {
            self.intend_at_once(decision, event, now, round);
        }
        Ok(())
    }

    fn newest_if_late(&self, event: &Event) -> Result<Option<Event>, EngineError> {
        match decide::newest_if_late(event, &self.history, &self.in_force.rules) {
            Some(seq) => Ok(load_event(&self.reader, seq)?),
            None => Ok(None),
        }
    }

    fn intend_at_once(&mut self, decision: Decision, event: &Arc<Event>, now: Timestamp, round: &mut Round) {
        let Decision { rule, decided, plan, state } = decision;
        if let (Some(reservation), Some(plan)) = (decided.reservation, plan) {
            let event = state.unwrap_or_else(|| Arc::clone(event));
            self.intend(&reservation.run, Start { rule, plan, event }, now, round);
        }
    }

    pub(super) fn intend(&mut self, run: &RunId, start: Start, now: Timestamp, round: &mut Round) {
        let record = start.intent(run, self.in_force.rules.generation);
        let Start { rule, plan, event } = start;
        self.history.apply(self.history.last_seq(), now, &record);
        round.records.push(record);
        round.intents.push(Intent {
            run: run.clone(),
            rule,
            sandbox: Arc::clone(&self.in_force.rules.sandbox),
            event,
            plan,
            generation: self.in_force.rules.generation,
            resumed: None,
        });
    }

    pub(super) fn end(
        &mut self,
        run: &RunId,
        end: RunEnd,
        reason: String,
        keeps_slot: bool,
        now: Timestamp,
        round: &mut Round,
    ) {
        let Some(known) = self.history.runs.get(run) else { return };
        let record = turn::unstarted(run, known, end, reason, keeps_slot, now);
        self.history.apply(self.history.last_seq(), now, &record);
        self.report.ended_waiting(&record);
        round.records.push(record);
    }

    /// Looks at the runs that wait, in their order. Unless `look_at_all`, stops as soon as the engine has no room.
    fn turns(&mut self, now: Timestamp, look_at_all: bool, round: &mut Round) -> Result<(), EngineError> {
        let InForce { rules, settings } = self.in_force.clone();
        let mut walk = Walk::new(look_at_all);
        loop {
            match walk.next(&self.history, &rules, &settings, now, &self.past())? {
                None => return Ok(()),
                Some(Next::Start { run, start }) => self.intend(&run, *start, now, round),
                Some(Next::End { run, end, reason }) => self.end(&run, end, reason, false, now, round),
            }
        }
    }

    pub(super) fn past(&self) -> Recorded<'_> {
        Recorded { reader: &self.reader, strict: self.history.newest.is_strict() }
    }

    /// Puts the shared record of events that concern no rule before whatever else the round records.
    pub(super) fn flush_unconcerned(&mut self, round: &mut Round) {
        if let Some((from_seq, to_seq)) = self.unconcerned.take() {
            round.records.push(Record::Decided {
                from_seq,
                to_seq,
                event: None,
                generation: self.in_force.rules.generation,
                late_since: None,
                decisions: Vec::new(),
            });
        }
    }

    /// Makes a round durable, and then does what it says.
    async fn finish(&mut self, round: Round, now: Timestamp) -> Result<(), EngineError> {
        if !round.records.is_empty() {
            let redactor = self.outgoing.redactor.load_full();
            let queued = |record: &&Record| matches!(record, Record::WriteBackQueued { .. });
            let queued: Vec<Record> = round.records.iter().filter(queued).cloned().collect();
            put_on_record(&self.journal, &redactor, now, round.records).await?;
            queued.iter().for_each(|record| self.outgoing.hand_on(now, record));
        }
        for intent in round.intents {
            let run = intent.run.clone();
            if let Err(error) = self.runner.start(intent) {
                // Its intent is durable, so the next start finds it without an end and records that.
                tracing::warn!(%run, %error, "a run was not started");
            }
        }
        for handled in round.handled {
            handled.tell();
        }
        Ok(())
    }
}

/// Whether a decision is worth a record of its own: the rule's `match` held. For all others `explain` recomputes why.
fn is_recorded(decided: &Decided) -> bool {
    !matches!(&decided.outcome, Outcome::NotMatched { clause, .. } if clause != "when")
}
