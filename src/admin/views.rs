//! What the API shows: built from the journal's records, the same for the command line and for machines.

mod write_back;

pub use write_back::WriteBackView;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::decide::explain::reason;
use crate::event::{Event, TimeMark};
use crate::journal::history::{History, Pause, Run, RunState, Waits};
use crate::journal::record::{Decided, EachPlace, PauseScope, Phase, Record, RunId, StepResult};
use crate::journal::store::Stored;

/// A push, in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its number in the journal.
    pub seq: u64,
    /// Its id.
    pub event: String,
    /// Its type.
    pub event_type: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// Its own time.
    pub time: Timestamp,
    /// What that is worth.
    pub time_mark: TimeMark,
    /// By which source.
    pub source: String,
    /// What it is about.
    pub entity: String,
    /// The incident that it concerns, where there is one.
    #[serde(default)]
    pub incident: Option<String>,
    /// Its severity, where the body is still kept.
    #[serde(default)]
    pub severity: Option<String>,
    /// Its channel, where the body is still kept.
    #[serde(default)]
    pub channel: Option<String>,
    /// Its title, where the body is still kept.
    pub title: Option<String>,
    /// What it led to, where it was decided.
    pub decision: Option<DecisionView>,
}

/// What an event led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionView {
    /// When it was decided.
    pub at: Timestamp,
    /// By which rule set.
    pub generation: u64,
    /// The newest time seen of its entity, if it is late.
    pub late_since: Option<Timestamp>,
    /// Why it could not be decided on, if it was set aside.
    #[serde(default)]
    pub set_aside: Option<String>,
    /// Each rule that it concerns. Empty means: none.
    pub rules: Vec<RuleDecisionView>,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleDecisionView {
    /// The rule.
    pub rule: String,
    /// The word of the outcome.
    pub outcome: String,
    /// The clause that failed, the guard that objected, or the part that could not be rendered.
    #[serde(default)]
    pub because: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// The run, where there is one.
    pub run: Option<String>,
    /// What it acts on.
    pub target: Option<String>,
    /// The plan, where one was made.
    pub plan: Option<serde_json::Value>,
}

impl From<&Decided> for RuleDecisionView {
    fn from(decided: &Decided) -> Self {
        let (reason, until) = reason(&decided.outcome);
        let reservation = decided.reservation.as_ref();
        // A dry run reserves, but there is no run to look up.
        let is_run = decided.outcome != crate::journal::record::Outcome::DryRun;
        Self {
            rule: decided.rule.to_string(),
            outcome: decided.outcome.name().to_owned(),
            because: decided.outcome.because().map(str::to_owned),
            reason,
            until,
            run: reservation.filter(|_| is_run).map(|reservation| reservation.run.to_string()),
            target: reservation.map(|reservation| reservation.target.clone()),
            plan: decided.plan.clone(),
        }
    }
}

impl DecisionView {
    /// The view of a `decided` or `set-aside` record; `None` for any other.
    pub fn of(stored: &Stored) -> Option<Self> {
        match &stored.record {
            Record::Decided { generation, late_since, decisions, .. } => Some(Self {
                at: stored.at,
                generation: *generation,
                late_since: *late_since,
                set_aside: None,
                rules: decisions.iter().map(RuleDecisionView::from).collect(),
            }),
            Record::SetAside { error, .. } => Some(Self {
                at: stored.at,
                generation: 0,
                late_since: None,
                set_aside: Some(error.clone()),
                rules: Vec::new(),
            }),
            _ => None,
        }
    }
}

impl EventView {
    /// The view of a `received` record; `None` for any other.
    pub fn of(stored: &Stored, decision: Option<&Stored>) -> Option<Self> {
        match &stored.record {
            Record::Received { event, source, event_type, time, time_mark, entity, incident, channel, .. } => {
                let body = crate::engine::event_of(stored);
                let known = |get: fn(&Event) -> Option<&str>| body.as_ref().and_then(get).map(str::to_owned);
                Some(Self {
                    seq: stored.seq,
                    event: event.to_string(),
                    event_type: event_type.to_string(),
                    received_at: stored.at,
                    time: *time,
                    time_mark: *time_mark,
                    source: source.clone(),
                    entity: entity.to_string(),
                    incident: incident.as_ref().map(ToString::to_string),
                    severity: known(Event::severity),
                    channel: known(Event::channel_name).or_else(|| channel.map(|id| id.to_string())),
                    title: known(Event::title),
                    decision: decision.and_then(DecisionView::of),
                })
            }
            _ => None,
        }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// Its id.
    pub run: String,
    /// Its rule.
    pub rule: String,
    /// What it acts on.
    pub target: String,
    /// The event that led to it, where it is known without looking further.
    pub event: Option<String>,
    /// `queued`, `held`, `awaiting-approval`, `running`, or how it ended.
    pub state: String,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// Why, where it did not succeed.
    pub error: Option<String>,
    /// From intent to end, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Until when it waits: the end of its hold, else when it expires.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// The journal's number of its end, to ask for what came before.
    #[serde(default)]
    pub seq: Option<u64>,
}

impl RunView {
    /// A run that waits or acts.
    pub fn of_live(id: &RunId, run: &Run) -> Self {
        let (state, since) = match run.state {
            RunState::Waiting(Waits::Queue) => ("queued", run.decided_at),
            RunState::Waiting(Waits::Hold { .. }) => ("held", run.decided_at),
            RunState::Waiting(Waits::Approval) => ("awaiting-approval", run.decided_at),
            RunState::Active { since } => ("running", since),
        };
        Self {
            run: id.to_string(),
            rule: run.rule.to_string(),
            target: run.target.clone(),
            event: Some(run.event.to_string()),
            state: state.to_owned(),
            since,
            error: None,
            duration_ms: None,
            until: match run.state {
                RunState::Waiting(Waits::Hold { until }) => Some(until),
                RunState::Waiting(Waits::Queue | Waits::Approval) => Some(run.expires),
                RunState::Active { .. } => None,
            },
            seq: None,
        }
    }

    /// A run that ended; `None` for any other record.
    pub fn of_ended(stored: &Stored) -> Option<Self> {
        match &stored.record {
            Record::RunEnded { run, rule, target, end, error, duration_ms, .. } => Some(Self {
                run: run.to_string(),
                rule: rule.to_string(),
                target: target.clone(),
                event: None,
                state: end.name().to_owned(),
                since: stored.at,
                error: error.clone(),
                duration_ms: Some(*duration_ms),
                until: None,
                seq: Some(stored.seq),
            }),
            _ => None,
        }
    }

    /// Every run that waits or acts, the oldest first.
    pub fn live(history: &History) -> Vec<Self> {
        let mut runs: Vec<Self> = history.runs.iter().map(|(id, run)| Self::of_live(id, run)).collect();
        runs.sort_by(|a, b| (a.since, &a.run).cmp(&(b.since, &b.run)));
        runs
    }
}

/// A try of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// Which part of the rule.
    pub phase: Phase,
    /// Which step of it, from 0.
    pub step: usize,
    /// For which item, and which step of it, inside an `each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<EachPlace>,
    /// Its name, or what it does.
    pub name: String,
    /// Which try, from 1.
    pub attempt: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// What it led to; `None` while it runs.
    pub result: Option<StepResult>,
}

/// A run with everything it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStory {
    /// The run.
    pub run: RunView,
    /// What it was to do.
    pub plan: Option<serde_json::Value>,
    /// The rule set by which it was decided last.
    pub generation: Option<u64>,
    /// What people said to it, in order.
    #[serde(default)]
    pub said: Vec<SaidView>,
    /// Its steps in order.
    pub steps: Vec<StepView>,
    /// What it wrote back to Flashduty, or still has to.
    #[serde(default)]
    pub write_backs: Vec<WriteBackView>,
}

/// What a person said to a run, or what else befell it between its intent and its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SaidView {
    /// When.
    pub at: Timestamp,
    /// What, in words: `approved by root: looks right`.
    pub what: String,
}

impl RunStory {
    /// The story that the records of one run tell; `live` is what the engine knows of it.
    pub fn of(records: &[Stored], live: Option<RunView>) -> Option<Self> {
        let mut story = Self {
            run: live.clone().or_else(|| last_state(records))?,
            plan: None,
            generation: None,
            said: Vec::new(),
            steps: Vec::new(),
            write_backs: WriteBackView::of(records),
        };
        for stored in records {
            match &stored.record {
                Record::RunIntended { event, plan, generation, .. } => {
                    story.run.event = Some(event.to_string());
                    story.plan = Some(plan.clone());
                    story.generation = Some(*generation);
                }
                Record::Approved { by, reason, .. } => story.say(stored.at, "approved", by, reason.as_deref()),
                Record::Rerun { of, by, reason, observed, generation, decided, .. } => {
                    story.run.event = Some(observed.event.to_string());
                    story.generation = Some(*generation);
                    story.plan.clone_from(&decided.plan);
                    story.say(stored.at, &format!("run {of} done again"), by, reason.as_deref());
                }
                Record::RunResumed { from_step, .. } => {
                    let what = format!("went on from step {} after the daemon died", from_step + 1);
                    story.said.push(SaidView { at: stored.at, what });
                }
                Record::StepStarted { phase, step, each, name, attempt, .. } => story.steps.push(StepView {
                    phase: *phase,
                    step: *step,
                    each: each.clone(),
                    name: name.clone(),
                    attempt: *attempt,
                    started_at: stored.at,
                    result: None,
                }),
                Record::StepEnded { phase, step, each, name, attempt, result, .. } => {
                    let started = story.steps.iter_mut().rev().find(|view| {
                        (view.phase, view.step, &view.each, view.attempt) == (*phase, *step, each, *attempt)
                            && view.result.is_none()
                    });
                    match started {
                        Some(view) => view.result = Some(result.clone()),
                        // A skipped step ends without having started.
                        None => story.steps.push(StepView {
                            phase: *phase,
                            step: *step,
                            each: each.clone(),
                            name: name.clone(),
                            attempt: *attempt,
                            started_at: stored.at,
                            result: Some(result.clone()),
                        }),
                    }
                }
                _ => {}
            }
        }
        Some(story)
    }

    fn say(&mut self, at: Timestamp, what: &str, by: &str, reason: Option<&str>) {
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        self.said.push(SaidView { at, what: format!("{what} by {by}{reason}") });
    }
}

/// The state that the records of a run leave it in.
fn last_state(records: &[Stored]) -> Option<RunView> {
    records.iter().rev().find_map(RunView::of_ended).or_else(|| {
        records.iter().find_map(|stored| match &stored.record {
            Record::RunIntended { run, rule, target, event, .. } => Some(RunView {
                run: run.to_string(),
                rule: rule.to_string(),
                target: target.clone(),
                event: Some(event.to_string()),
                state: "running".into(),
                since: stored.at,
                error: None,
                duration_ms: None,
                until: None,
                seq: None,
            }),
            _ => None,
        })
    })
}

/// The state of the engine as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// The version that runs.
    pub version: String,
    /// The number of the rule set in force.
    pub generation: u64,
    /// How many rules it has.
    pub rules: usize,
    /// The ceiling for every rule.
    pub mode: String,
    /// Why the engine is paused, if it is.
    pub paused: Option<PauseView>,
    /// Every pause that is on, that of the engine included.
    #[serde(default)]
    pub pauses: Vec<PauseView>,
    /// Runs that act.
    pub runs_active: usize,
    /// Runs that wait.
    pub runs_waiting: usize,
    /// Those of them that wait for a person.
    #[serde(default)]
    pub approvals_waiting: usize,
    /// The last reload, if it was refused: what lies on disk is then not what is in force.
    #[serde(default)]
    pub reload_refused: Option<RefusedReloadView>,
}

/// A reload that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedReloadView {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A pause that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseView {
    /// What is held back.
    #[serde(default)]
    pub scope: PauseScope,
    /// Why.
    pub reason: Option<String>,
    /// Who paused it.
    #[serde(default)]
    pub by: Option<String>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

impl PauseView {
    /// The view of a pause.
    pub fn of(pause: &Pause) -> Self {
        Self { scope: pause.scope.clone(), reason: pause.reason.clone(), by: pause.by.clone(), until: pause.until }
    }
}

/// Something that happened, as a stream tells it: a record of the journal, without what would make it large. Plans and
/// output are where the event or the run is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its number in the journal.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// The record.
    pub record: Record,
}

impl Change {
    /// What a stream tells of a record.
    pub fn of(stored: Stored) -> Self {
        let Stored { seq, at, mut record, .. } = stored;
        match &mut record {
            Record::Decided { decisions, .. } => decisions.iter_mut().for_each(|decided| decided.plan = None),
            Record::Rerun { decided, .. } => decided.plan = None,
            Record::RunIntended { plan, .. } => *plan = serde_json::Value::Null,
            Record::StepEnded { result, .. } => {
                result.stdout.clear();
                result.stderr.clear();
            }
            _ => {}
        }
        Self { seq, at, record }
    }
}
