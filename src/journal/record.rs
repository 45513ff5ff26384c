//! The records of the journal. Each is self-contained: folding it needs no rule set, since the rules may have
//! changed since it was written.

mod decided;
mod observed;
mod run;
mod scope;
mod step;
mod write_back;

pub use decided::{Decided, Outcome, Reservation, Tally};
pub use observed::Observed;
pub use run::{RunEnd, RunId};
pub use scope::PauseScope;
pub use step::{EachPlace, Phase, StepEnd, StepResult};
pub use write_back::{WRITE_BACK_CALLS, WriteBack, WriteBackCall, WriteBackId, WriteBackOutcome};

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::event::{Entity, Event, EventId, TimeMark};
use crate::rule::RuleId;

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
