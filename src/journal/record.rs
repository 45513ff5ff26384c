//! The records of the journal. Each is self-contained: folding it needs no rule set, since the rules may have
//! changed since it was written.

mod scope;
mod write_back;

pub use scope::PauseScope;
pub use write_back::{WRITE_BACK_CALLS, WriteBack, WriteBackCall, WriteBackId, WriteBackOutcome};

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::event::{Entity, Event, EventId, TimeMark};
use crate::rule::RuleId;

/// The id of a run: derived from its event and rule, so that the same decision always names the same run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Arc<str>);

impl RunId {
    /// Wraps an id read from the journal or typed by a person.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id of the run that `rule` does for the event. `nth` tells reruns apart; the first is 0.
    pub fn derive(event: &EventId, rule: &RuleId, nth: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [event.as_str(), rule.as_str()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(&nth.to_le_bytes());
        let hex = hasher.finalize().to_hex();
        Self(format!("r-{}", hex.get(..16).unwrap_or_default()).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the fold and the ordering need to know of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The journal's sequence number of it.
    pub seq: u64,
    /// Its id.
    pub event: EventId,
    /// Its type.
    pub event_type: Arc<str>,
    /// Its time.
    pub time: Timestamp,
    /// What that is worth.
    pub time_mark: TimeMark,
    /// When it was received.
    pub received_at: Timestamp,
    /// What it is about.
    pub entity: Entity,
    /// Its incident, where it has one.
    pub incident: Option<Arc<str>>,
    /// The channel's id, where it has one.
    pub channel: Option<i64>,
    /// Whether it says that its entity is closed.
    pub closed: bool,
}

impl Observed {
    /// What is to be known of `event`, which stands at `seq` in the journal.
    pub fn of(event: &Event, seq: u64) -> Self {
        Self {
            seq,
            event: event.id.clone(),
            event_type: event.event_type.clone(),
            time: event.time,
            time_mark: event.time_mark,
            received_at: event.received_at,
            entity: event.entity.clone(),
            incident: event.incident_id.clone(),
            channel: event.channel_id(),
            closed: event.is_closed(),
        }
    }
}

/// What became of one rule for one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Outcome {
    /// A clause of `match`, or `when`, did not hold.
    NotMatched {
        /// The first clause that failed: `match.labels.env`, `when`.
        clause: String,
        /// What it asked for, in words.
        expected: String,
        /// What the event had, in words.
        seen: String,
    },
    /// `when` could not be evaluated; counts as not matched.
    ConditionError {
        /// What went wrong, with the position in the rule file where it is known.
        message: String,
    },
    /// A newer event of the same entity was seen before.
    Late {
        /// The newest time seen.
        newest: Timestamp,
    },
    /// The event was received before.
    Duplicate,
    /// A guard objected.
    Suppressed {
        /// Which one: `dedupe`, `rate`, `pause`, `budget:NAME`, …
        guard: String,
        /// Why, in words.
        reason: String,
        /// Until when it would object, where it knows.
        until: Option<Timestamp>,
    },
    /// The plan was made and shown, nothing was executed.
    DryRun,
    /// Waits by `hold`.
    Held {
        /// Until when.
        until: Timestamp,
    },
    /// Waits for a person.
    AwaitingApproval {
        /// When it expires.
        until: Timestamp,
    },
    /// Runs, or waits in the queue for its turn.
    Run {
        /// What it waits for, if it cannot start at once.
        queued: Option<String>,
    },
    /// Target, template or `steps_from` could not be rendered.
    PlanError {
        /// What went wrong.
        message: String,
    },
}

impl Outcome {
    /// The word of the rule language: `not-matched`, `run`, …
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotMatched { .. } => "not-matched",
            Self::ConditionError { .. } => "condition-error",
            Self::Late { .. } => "late",
            Self::Duplicate => "duplicate",
            Self::Suppressed { .. } => "suppressed",
            Self::DryRun => "dry-run",
            Self::Held { .. } => "held",
            Self::AwaitingApproval { .. } => "awaiting-approval",
            Self::Run { .. } => "run",
            Self::PlanError { .. } => "plan-error",
        }
    }

    /// The part of the rule that kept it from acting: the clause that failed, the guard that objected, or what could not
    /// be rendered.
    pub fn because(&self) -> Option<&str> {
        match self {
            Self::NotMatched { clause, .. } => Some(clause),
            Self::ConditionError { .. } => Some("when"),
            Self::Suppressed { guard, .. } => Some(guard),
            // The message begins with the part that could not be rendered.
            Self::PlanError { message } => message.split_once(": ").map(|(part, _)| part),
            _ => None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// Every step passed (and `verify`, where there is one).
    Succeeded,
    /// A step failed.
    Failed,
    /// A step took longer than its time limit.
    TimedOut,
    /// A person, or an event, called it off.
    Cancelled,
    /// A person refused it.
    Denied,
    /// It waited too long.
    Expired,
    /// The process died between intent and outcome.
    Interrupted,
    /// The steps passed, `verify` did not.
    Unverified,
}

impl RunEnd {
    /// The word of the rule language.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Interrupted => "interrupted",
            Self::Unverified => "unverified",
        }
    }
}

impl RunEnd {
    /// Whether it counts for the breaker: something was done, and the condition is not known to be gone. A run that
    /// was interrupted tells of the daemon, not of its rule; what a crash counts for is in
    /// [`History`](super::history::History).
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Unverified)
    }
}

/// Which part of a rule a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// `steps`.
    Steps,
    /// `verify.steps`.
    Verify,
    /// `on_success`.
    OnSuccess,
    /// `on_failure`.
    OnFailure,
}

/// How one try of a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepEnd {
    /// It passed.
    Succeeded,
    /// It did not.
    Failed,
    /// It was ended at its time limit.
    TimedOut,
    /// It was ended because the run was cancelled or the daemon stops.
    Cancelled,
    /// Its `if:` was false.
    Skipped,
}

/// What one try of a step led to. Texts are redacted and bounded before they come here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepResult {
    /// How it ended.
    pub end: StepEnd,
    /// The exit code of a process that exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The status of an HTTP answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Standard output, or the body of an HTTP answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// Standard error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// How many bytes of output were left out.
    #[serde(default)]
    pub dropped_bytes: u64,
    /// Why it failed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// A step inside an `each`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EachPlace {
    /// The item that it is done for.
    pub item: String,
    /// Which step of the `each`, from 0.
    pub step: usize,
}

/// What a run that was decided upon holds, so that later decisions can count it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    /// The run.
    pub run: RunId,
    /// The dedupe slot that it takes.
    pub slot: String,
    /// When the slot is free again; `None` means when its incident closes or reopens.
    pub slot_until: Option<Timestamp>,
    /// What it acts on.
    pub target: String,
    /// Its keys in the caps that count runs: `rule`, `target:db-07`, `channel:5`, `labels.service:x`.
    pub keys: Vec<String>,
    /// Its keys in the budgets across rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget_keys: Vec<String>,
    /// The keys of which only so many may be held at a time; the run holds them until it ends.
    pub locks: Vec<String>,
    /// The lock that its own rule limits.
    pub gate: String,
    /// The further ones, where it acts on several targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_gates: Vec<String>,
    /// What its `each` steps go over. Where there are any, these are what it acts on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// Until when the caps have to remember it.
    pub counted_until: Timestamp,
    /// When it expires if it still waits.
    pub expires: Timestamp,
    /// When its hold ends, where it has one: it does not act before, also where a person approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// Event types of its incident that call it off while it is held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancel_on: Vec<String>,
    /// The name of its channel, where it has one: pauses are told by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_name: Option<String>,
    /// The digest of the plan that a person is asked to approve. What acts must be that plan and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
}

impl Reservation {
    /// What the run acts on: its items where it goes over a list, else its target.
    pub fn acted_on(&self) -> &[String] {
        if self.items.is_empty() { std::slice::from_ref(&self.target) } else { &self.items }
    }
}

/// A match that counts towards a threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// What it is counted by.
    pub key: String,
    /// Until when it has to be remembered.
    pub until: Timestamp,
}

/// The decision on one rule for one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The rule.
    pub rule: RuleId,
    /// What became of it.
    pub outcome: Outcome,
    /// What was taken, where a run was decided upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Reservation>,
    /// The match that counts towards the rule's threshold, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
    /// The rendered plan, for `run` and `dry-run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// The daemon started.
    Started {
        /// Its version.
        version: String,
        /// The rule set in force.
        rules_hash: String,
        /// Whether it was started with `--dry-run`.
        dry_run: bool,
    },
    /// A push was taken in. The record's payload is the body, byte for byte.
    Received {
        /// The event's id.
        event: EventId,
        /// By which source.
        source: String,
        /// Its type.
        event_type: Arc<str>,
        /// Its time.
        time: Timestamp,
        /// What that is worth.
        time_mark: TimeMark,
        /// What it is about.
        entity: Entity,
        /// Its incident, where it has one.
        incident: Option<Arc<str>>,
        /// The channel's id, where it has one.
        channel: Option<i64>,
        /// Whether it says that its entity is closed.
        closed: bool,
        /// BLAKE3 of the body, in hexadecimal: tells a repeated push from another one with the same id, also
        /// when the body itself is kept no longer.
        body_hash: String,
        /// Whether it was not pushed but asked for, because it was missed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        caught_up: bool,
    },
    /// Events were decided. Events that concern no rule share one record.
    Decided {
        /// The journal's sequence number of the first event.
        from_seq: u64,
        /// And of the last; equal to `from_seq` wherever there are decisions.
        to_seq: u64,
        /// The event's id, where it is a single one.
        event: Option<EventId>,
        /// The rule set that was asked.
        generation: u64,
        /// Why no rule was asked, if the event is late.
        late_since: Option<Timestamp>,
        /// What became of each rule that it concerns.
        decisions: Vec<Decided>,
    },
    /// A run is about to act.
    RunIntended {
        /// The run.
        run: RunId,
        /// Its rule.
        rule: RuleId,
        /// The event that led to it.
        event: EventId,
        /// The rule set by which it was decided last.
        generation: u64,
        /// What it acts on.
        target: String,
        /// What it will do.
        plan: Value,
    },
    /// A run that a crash cut off goes on, because every step that it has not finished may be repeated.
    RunResumed {
        /// The run.
        run: RunId,
        /// The first step that is done again, from 0.
        from_step: usize,
        /// The rule set by which it was allowed to go on.
        generation: u64,
    },
    /// A person had a run done again, and that was decided upon.
    Rerun {
        /// The new run.
        run: RunId,
        /// The run that it repeats.
        of: RunId,
        /// Who, as the admin interface knows them.
        by: String,
        /// Why.
        reason: Option<String>,
        /// The event that led to the run it repeats.
        observed: Box<Observed>,
        /// The rule set that was asked.
        generation: u64,
        /// What became of it.
        decided: Box<Decided>,
    },
    /// A step is about to be tried.
    StepStarted {
        /// The run.
        run: RunId,
        /// Which part of the rule.
        phase: Phase,
        /// Which step of it, from 0.
        step: usize,
        /// Which step inside that, where it is an `each`; `None` for the `each` itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        each: Option<EachPlace>,
        /// Its name, or what it does.
        name: String,
        /// Which try, from 1.
        attempt: u32,
    },
    /// A try of a step ended.
    StepEnded {
        /// The run.
        run: RunId,
        /// Which part of the rule.
        phase: Phase,
        /// Which step of it, from 0.
        step: usize,
        /// Which step inside that, where it is an `each`; `None` for the `each` itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        each: Option<EachPlace>,
        /// Its name, or what it does.
        name: String,
        /// Which try, from 1.
        attempt: u32,
        /// What it led to.
        result: StepResult,
    },
    /// A run ended.
    RunEnded {
        /// The run.
        run: RunId,
        /// Its rule.
        rule: RuleId,
        /// What it acted on.
        target: String,
        /// How.
        end: RunEnd,
        /// Whether any step was started.
        acted: bool,
        /// Whether its dedupe slot stays taken: always where it acted, and where a person said no.
        keeps_slot: bool,
        /// Why, where it did not succeed.
        error: Option<String>,
        /// From intent to end, in milliseconds.
        duration_ms: u64,
    },
    /// Something is to be written back to Flashduty. From here on it goes out, whatever becomes of its run.
    WriteBackQueued {
        /// What.
        write_back: WriteBack,
    },
    /// A write-back is about to be tried.
    WriteBackStarted {
        /// Which.
        id: WriteBackId,
        /// The run that asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// The event that led to it.
        event: EventId,
        /// Which try, from 1; tries that did not reach Flashduty are not counted.
        attempt: u32,
    },
    /// A try of a write-back ended.
    WrittenBack {
        /// Which.
        id: WriteBackId,
        /// The run that asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// The event that led to it.
        event: EventId,
        /// Which try, from 1; how many there were before where it was given up without another one.
        attempt: u32,
        /// What it led to.
        outcome: WriteBackOutcome,
        /// Flashduty's id of the request, for its support.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// Why it was not done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A person allowed a run that waits for approval.
    Approved {
        /// The run.
        run: RunId,
        /// Who, as the admin interface knows them.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An event that cannot be decided on was set aside; it still orders others.
    SetAside {
        /// The event.
        event: EventId,
        /// The journal's sequence number of it.
        seq: u64,
        /// Why.
        error: String,
    },
    /// Another rule set is in force.
    Reloaded {
        /// Its number.
        generation: u64,
        /// Its hash.
        rules_hash: String,
        /// How many rules it has.
        rules: usize,
    },
    /// Nothing new starts from here on.
    Paused {
        /// Why.
        reason: Option<String>,
        /// Until when; `None` means until it is resumed.
        until: Option<Timestamp>,
        /// What is held back.
        #[serde(default)]
        scope: PauseScope,
        /// Who paused it, as the admin interface knows them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// The pause is over.
    Resumed {
        /// What is held back no longer.
        #[serde(default)]
        scope: PauseScope,
        /// Who ended it, as the admin interface knows them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// The daemon stopped in order.
    Stopped,
}

impl Record {
    /// The record of taking in `event`.
    pub fn received(event: &Event) -> Self {
        Self::Received {
            event: event.id.clone(),
            source: event.source.to_string(),
            event_type: event.event_type.clone(),
            time: event.time,
            time_mark: event.time_mark,
            entity: event.entity.clone(),
            incident: event.incident_id.clone(),
            channel: event.channel_id(),
            closed: event.is_closed(),
            body_hash: blake3::Hash::from(event.body_hash).to_hex().to_string(),
            caught_up: event.caught_up,
        }
    }

    /// The word for the kind of record, as it stands in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Received { .. } => "received",
            Self::Decided { .. } => "decided",
            Self::RunIntended { .. } => "run-intended",
            Self::RunResumed { .. } => "run-resumed",
            Self::Rerun { .. } => "rerun",
            Self::StepStarted { .. } => "step-started",
            Self::StepEnded { .. } => "step-ended",
            Self::RunEnded { .. } => "run-ended",
            Self::WriteBackQueued { .. } => "write-back-queued",
            Self::WriteBackStarted { .. } => "write-back-started",
            Self::WrittenBack { .. } => "written-back",
            Self::Approved { .. } => "approved",
            Self::SetAside { .. } => "set-aside",
            Self::Reloaded { .. } => "reloaded",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::Stopped => "stopped",
        }
    }

    /// The run that it is about.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::RunIntended { run, .. }
            | Self::RunResumed { run, .. }
            | Self::Rerun { run, .. }
            | Self::StepStarted { run, .. }
            | Self::StepEnded { run, .. }
            | Self::RunEnded { run, .. }
            | Self::Approved { run, .. } => Some(run),
            Self::WriteBackQueued { write_back } => write_back.run.as_ref(),
            Self::WriteBackStarted { run, .. } | Self::WrittenBack { run, .. } => run.as_ref(),
            _ => None,
        }
    }

    /// The event that it is about.
    pub fn event(&self) -> Option<&EventId> {
        match self {
            Self::Received { event, .. }
            | Self::RunIntended { event, .. }
            | Self::WriteBackStarted { event, .. }
            | Self::WrittenBack { event, .. }
            | Self::SetAside { event, .. } => Some(event),
            Self::WriteBackQueued { write_back } => Some(&write_back.event),
            Self::Rerun { observed, .. } => Some(&observed.event),
            Self::Decided { event, .. } => event.as_ref(),
            _ => None,
        }
    }
}
