//! What a crash left behind: runs with an intent and no outcome.

use std::sync::Arc;

use super::decider::{EngineError, InForce};
use super::flashduty::Outgoing;
use super::hiding::put_on_record;
use super::past::Recorded;
use crate::action::process;
use crate::clock::{Clock, Timestamp};
use crate::decide::Grounds;
use crate::decide::resume::{self, CutOff, Resumption};
use crate::decide::turn::Past;
use crate::journal::Journal;
use crate::journal::history::{History, Run, RunState};
use crate::journal::read::Reader;
use crate::journal::record::{Record, RunEnd, RunId};
use crate::journal::store::StoreError;
use crate::plan::Plan;
use crate::report::Report;
use crate::runner::{Intent, Resumed};

/// What recovery works with.
pub(super) struct Recovery<'a> {
    pub(super) journal: &'a Journal,
    pub(super) reader: &'a Reader,
    pub(super) in_force: &'a InForce,
    pub(super) clock: &'a dyn Clock,
    pub(super) report: &'a Report,
    /// Where the report of a run that does not go on is queued.
    pub(super) outgoing: &'a Outgoing,
    /// Where the dead daemon put the processes of steps, if it did.
    pub(super) cgroups: Option<&'a process::Cgroups>,
}

impl Recovery<'_> {
    /// Sees to every run that was acting when the daemon died: first what is left of its processes is ended, then it
    /// is recorded what becomes of it. It may have done anything, so it ends as `interrupted`, unless all that it has
    /// not finished may be done twice; what goes on is given back, to be started once the runner is there.
    pub(super) async fn run(&self, history: &mut History) -> Result<Vec<Intent>, EngineError> {
        let mut cut_off: Vec<RunId> = history.in_doubt().cloned().collect();
        cut_off.sort_unstable();
        let (mut records, mut intents) = (Vec::new(), Vec::new());
        let now = self.clock.now();
        for id in cut_off {
            let Some(known) = history.runs.get(&id).cloned() else { continue };
            let left = end_processes(&id, self.cgroups).await;
            let (record, comment) = match self.resumption(&id, &known, history, now)? {
                Ok(resumption) => {
                    tracing::warn!(run = %id, from_step = resumption.from_step, left, "a run that a crash cut off goes on");
                    let generation = self.in_force.rules.generation;
                    let record = Record::RunResumed { run: id.clone(), from_step: resumption.from_step, generation };
                    intents.push(self.intent(&id, resumption));
                    (record, None)
                }
                Err(why) => {
                    let record = interrupted(&id, &known, &format!("{left}; it does not go on: {why}"), now);
                    let comment = self.comment(&id, &known, &record);
                    (record, comment)
                }
            };
            self.report.ended_waiting(&record);
            for record in [Some(record), comment].into_iter().flatten() {
                history.apply(history.last_seq(), now, &record);
                records.push(record);
            }
        }
        if !records.is_empty() {
            let redactor = self.outgoing.redactor.load_full();
            put_on_record(self.journal, &redactor, now, records).await?;
        }
        Ok(intents)
    }

    /// What the incident is told of a run that does not go on.
    fn comment(&self, id: &RunId, run: &Run, ended: &Record) -> Option<Record> {
        let Record::RunEnded { error, duration_ms, .. } = ended else { return None };
        let rule = self.in_force.rules.get(&run.rule)?;
        self.outgoing.of_interrupted(id, run, rule, error.as_deref(), *duration_ms, self.report)
    }

    fn resumption(
        &self,
        id: &RunId,
        run: &Run,
        history: &History,
        now: Timestamp,
    ) -> Result<Result<Resumption, String>, StoreError> {
        let past = Recorded { reader: self.reader, strict: history.newest.is_strict() };
        let Some(trigger) = past.event(run.seq)? else {
            return Ok(Err("the body of its event is not kept any more".into()));
        };
        let newest = past.newer(history, &run.entity, run.seq)?;
        let records = self.reader.about_run(id.as_str())?;
        let InForce { rules, settings } = self.in_force;
        let grounds = Grounds { trigger: &trigger, newest: newest.as_deref(), rules, settings };
        let cut_off = CutOff { run, records: &records, grounds };
        let redactor = self.outgoing.redactor.load();
        let on_record = |plan: &Plan| redactor.redact_json(plan.to_json());
        Ok(resume::resume(&cut_off, &on_record, history, now))
    }

    fn intent(&self, run: &RunId, resumption: Resumption) -> Intent {
        let Resumption { start, finished, tries, .. } = resumption;
        Intent {
            run: run.clone(),
            rule: start.rule,
            sandbox: Arc::clone(&self.in_force.rules.sandbox),
            event: start.event,
            plan: start.plan,
            generation: self.in_force.rules.generation,
            resumed: Some(Resumed { finished, tries }),
        }
    }
}

/// Ends what is left of a run's processes, and says what that was.
async fn end_processes(run: &RunId, cgroups: Option<&process::Cgroups>) -> String {
    // Nothing of ours was started yet, so no process is too young to be left over. Our own start would be the
    // wrong bound: start times come in ticks of 10 ms, and a daemon restarts within one.
    match process::end_leftovers(run, process::StartTime::MAX, cgroups).await {
        (0, _) => String::new(),
        (1, 0) => "; one of its processes was still there and was ended".to_owned(),
        (found, 0) => format!("; {found} of its processes were still there and were ended"),
        (found, left) => format!("; {found} of its processes were still there, and {left} of them resisted"),
    }
}

fn interrupted(id: &RunId, run: &Run, more: &str, now: Timestamp) -> Record {
    let since = match run.state {
        RunState::Active { since } => since,
        RunState::Waiting(_) => now,
    };
    Record::RunEnded {
        run: id.clone(),
        rule: run.rule.clone(),
        target: run.target.clone(),
        end: RunEnd::Interrupted,
        acted: true,
        keeps_slot: true,
        error: Some(format!("the daemon died between the run's intent and its outcome{more}")),
        duration_ms: u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX),
    }
}
