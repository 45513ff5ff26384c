//! What the deciding task does with a command: each is checked against the state, folded, and recorded in one order with
//! the decisions.

use super::command::{Again, Command, Handled};
use super::decider::{Decider, InForce, Round};
use super::hiding::hide;
use crate::clock::Timestamp;
use crate::decide::rerun::{self, Rerun};
use crate::decide::turn::Past;
use crate::decide::turn::Start;
use crate::decide::{Decisions, Grounds, explain};
use crate::journal::history::{PAUSES_MAX, Pause};
use crate::journal::record::{Observed, Outcome, PauseScope, Record, RunEnd};

impl Decider {
    /// Carries out a command; the answer is given once the round is durable.
    pub(super) fn handle(&mut self, command: Command, now: Timestamp, round: &mut Round) {
        match command {
            Command::Stop => {}
            Command::Inspect(look) => look(&self.history, &self.in_force, now),
            Command::PutInForce { in_force, reply } => {
                // They were decided by the set that was in force until now.
                self.flush_unconcerned(round);
                let record = Record::Reloaded {
                    generation: in_force.rules.generation,
                    rules_hash: in_force.rules.hash.clone(),
                    rules: in_force.rules.rules.len(),
                };
                self.in_force = in_force;
                self.note(record, now, round);
                round.handled.push(Handled { reply, answer: Ok(()) });
            }
            Command::Pause { pause, reply } => {
                let answer = self.pause(pause, now, round);
                round.handled.push(Handled { reply, answer });
            }
            Command::Resume { scope, by, reply } => {
                let answer = self.resume(scope, by, now, round);
                round.handled.push(Handled { reply, answer });
            }
            Command::Rerun { again, reply } => {
                let answer = self.rerun(again, now, round);
                round.handled.push(Handled { reply, answer });
            }
            Command::EndWaiting { run, end, reason, reply } => {
                let answer = match self.history.runs.get(&run) {
                    // Only what was asked of a person can be denied.
                    Some(known) if end == RunEnd::Denied && !known.awaits_approval() => {
                        Err(format!("run {run} does not wait for approval"))
                    }
                    Some(known) if known.is_waiting() => Ok(()),
                    Some(_) => Err(format!("run {run} does not wait any more")),
                    None => Err(format!("no run {run} waits or acts")),
                };
                if answer.is_ok() {
                    self.end(&run, end, reason, true, now, round);
                }
                round.handled.push(Handled { reply, answer });
            }
            Command::Approve { run, by, reason, reply } => {
                let answer = match self.history.runs.get(&run) {
                    Some(known) if known.awaits_approval() && now >= known.expires => {
                        Err(format!("run {run} waited until {}, its limit: it is too late", known.expires))
                    }
                    Some(known) if known.awaits_approval() => Ok(()),
                    Some(_) => Err(format!("run {run} does not wait for approval")),
                    None => Err(format!("no run {run} waits or acts")),
                };
                if answer.is_ok() {
                    self.note(Record::Approved { run, by, reason }, now, round);
                }
                round.handled.push(Handled { reply, answer });
            }
        }
    }

    pub(super) fn note(&mut self, mut record: Record, now: Timestamp, round: &mut Round) {
        // The history keeps what a person said of a pause, and a replay finds it as it is on record.
        hide(&mut record, &self.outgoing.redactor.load());
        self.history.apply(self.history.last_seq(), now, &record);
        round.records.push(record);
    }

    fn pause(&mut self, pause: Pause, now: Timestamp, round: &mut Round) -> Result<(), String> {
        if let PauseScope::Rule(rule) = &pause.scope
            && self.in_force.rules.get(rule).is_none()
        {
            return Err(format!("no rule `{rule}` is in force: nothing was paused"));
        }
        let known = self.history.pauses.of(&pause.scope, now).is_some();
        if !known && self.history.pauses.iter(now).count() >= PAUSES_MAX {
            return Err(format!("{PAUSES_MAX} pauses are on already: pause the whole engine instead"));
        }
        self.report.paused(&pause);
        let Pause { scope, reason, by, until } = pause;
        self.note(Record::Paused { reason, until, scope, by }, now, round);
        Ok(())
    }

    fn resume(&mut self, scope: PauseScope, by: String, now: Timestamp, round: &mut Round) -> Result<(), String> {
        // To end a pause of the engine that is not on does no harm; a rule or channel that is none may be misspelt.
        if scope != PauseScope::Everything && self.history.pauses.of(&scope, now).is_none() {
            return Err(format!("{scope} is not paused"));
        }
        self.report.resumed(&scope, Some(&by));
        self.note(Record::Resumed { scope, by: Some(by) }, now, round);
        Ok(())
    }

    fn rerun(&mut self, again: Again, now: Timestamp, round: &mut Round) -> Result<(), String> {
        let Again { run, of, rule, seq, by, reason } = again;
        let past = self.past();
        let Some(trigger) = past.event(seq).map_err(|error| error.to_string())? else {
            return Err(format!("the body of the event of run {of} is not kept any more"));
        };
        let newest = past.newer(&self.history, &trigger.entity, seq).map_err(|error| error.to_string())?;
        let InForce { rules, settings } = self.in_force.clone();
        let grounds = Grounds { trigger: &trigger, newest: newest.as_deref(), rules: &rules, settings: &settings };
        let asked = Rerun { run: &run, rule: &rule, grounds };
        let decision =
            rerun::decide(&asked, &self.history, now).map_err(|why| format!("run {of} is not done again: {why}"))?;
        let decisions = Decisions { each: vec![decision.clone()], ..Decisions::default() };
        self.report.decided(&trigger, &decisions);
        let outcome = decision.decided.outcome.clone();
        if decision.decided.reservation.is_none() {
            let (why, _) = explain::reason(&outcome);
            let why = why.unwrap_or_else(|| outcome.name().to_owned());
            return Err(format!("run {of} is not done again: {}: {why}", outcome.name()));
        }
        let observed = Box::new(Observed::of(&trigger, seq));
        let record = Record::Rerun {
            run: run.clone(),
            of,
            by,
            reason,
            observed,
            generation: rules.generation,
            decided: Box::new(decision.decided),
        };
        self.flush_unconcerned(round);
        self.note(record, now, round);
        if outcome == (Outcome::Run { queued: None })
            && let (Some(plan), Some(event)) = (decision.plan, decision.state)
        {
            self.intend(&run, Start { rule: decision.rule, plan, event }, now, round);
        }
        Ok(())
    }
}
