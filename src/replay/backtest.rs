//! Feeding the journal to a backtest, on a thread of its own, a part at a time.
//!
//! A daemon may be writing meanwhile. Each part is read in a transaction of its own, so that the writer can tidy its
//! log in between, and only up to the record that was the last when the backtest began. A bounded queue lies between
//! reading and deciding: the memory that is used does not grow with the journal.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Budget, ReplayError};
use crate::clock::Timestamp;
use crate::engine::{event_of, load_event};
use crate::event::{Entity, Event};
use crate::journal::history::Newest;
use crate::journal::read::{Reader, observed};
use crate::journal::record::Record;
use crate::journal::store::{StoreError, Stored};
use crate::simulate::backtest::{Backtest, Entry, Lookup, Question, Report, Rules, RunModel, WARM_UP};

/// How many records are read in one transaction.
const RECORDS_A_PART: usize = 2_048;
/// How many parts may lie between reading and deciding.
const PARTS_MAX: usize = 4;

/// What the other side of a backtest is called where it is what the journal says was done.
pub const RECORDED: &str = "recorded";

/// What is tried on what.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The rule set that is tried.
    pub tried: Rules<'a>,
    /// Another one with its name; `None` compares with what the journal says was done.
    pub against: Option<(Rules<'a>, String)>,
    /// Only events of this time before the newest one; `None` stands for all that are kept.
    pub since: Option<Duration>,
    /// How runs go.
    pub model: RunModel,
    /// Whether annotating events order as well.
    pub strict_ordering: bool,
}

/// Where the journal lets the report begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Window {
    /// Events from then on are counted; `None` stands for all.
    pub since: Option<Timestamp>,
    /// The first record that is read, to begin with filled guards.
    pub from_seq: u64,
    /// The last record that is read.
    pub to_seq: u64,
    /// Records before this number were let go by retention.
    pub kept_from_seq: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Answer {
    /// What was read.
    pub window: Window,
    /// What the rule set was compared with: `recorded`, or a folder.
    pub compared_with: String,
    /// What would have been done, and how that differs.
    pub report: Report,
}

/// Asks what a rule set would have done with the events of the journal in `file`. `progress` is told now and then how
/// far it is: the first record, the last one read, and the last one.
///
/// # Errors
/// When the journal cannot be read, or the budget is spent.
pub fn backtest(
    file: &Path,
    request: &Request<'_>,
    budget: &Budget,
    progress: impl FnMut(u64, u64, u64),
) -> Result<Answer, ReplayError> {
    let reader = Reader::open(file)?;
    let window = window(&reader, request.since)?;
    budget.admit((window.to_seq + 1).saturating_sub(window.from_seq))?;
    let question = Question {
        tried: request.tried,
        against: request.against.as_ref().map(|(rules, _)| *rules),
        model: request.model,
        from: window.since.unwrap_or_default(),
        strict_ordering: request.strict_ordering,
    };
    let report = replay(file, reader, question, window, budget, progress)?;
    let compared_with = request.against.as_ref().map_or(RECORDED, |(_, name)| name).to_owned();
    Ok(Answer { window, compared_with, report })
}

/// The window is counted from the newest push rather than from now, so that the same journal gives the same report.
fn window(reader: &Reader, since: Option<Duration>) -> Result<Window, StoreError> {
    let (kept_from_seq, to_seq) = reader.ends()?.map_or((0, 0), |[(first, _), (last, _)]| (first, last));
    let since = match (since, reader.last_push()?) {
        (Some(since), Some((_, newest))) => Some(newest.minus(since)),
        _ => None,
    };
    let from_seq = since.map_or(Ok(kept_from_seq), |since| reader.first_since(since.minus(WARM_UP)))?;
    Ok(Window { since, from_seq, to_seq, kept_from_seq })
}

/// What was read in one transaction, up to which record.
struct Part {
    entries: Vec<Entry>,
    up_to: u64,
}

fn replay(
    file: &Path,
    lookup: Reader,
    question: Question<'_>,
    window: Window,
    budget: &Budget,
    mut progress: impl FnMut(u64, u64, u64),
) -> Result<Report, ReplayError> {
    let lookup = InJournal { reader: lookup, strict: question.strict_ordering };
    let reader = Reader::open(file)?;
    let Window { from_seq: from, to_seq: to, .. } = window;
    std::thread::scope(|scope| {
        let (send, parts) = sync_channel(PARTS_MAX);
        let reading = scope.spawn(move || read(&reader, from, to, &send));
        let report = decide(question, &lookup, parts, budget, |at| progress(from, at, to));
        match reading.join() {
            Ok(read) => read.map_err(ReplayError::from).and(report),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn read(reader: &Reader, mut from: u64, to: u64, parts: &SyncSender<Part>) -> Result<(), StoreError> {
    while from <= to {
        let (mut entries, mut last) = (Vec::with_capacity(RECORDS_A_PART), None);
        reader.replay(from, to, |stored| {
            last = Some(stored.seq);
            entries.push(entry(stored));
            entries.len() < RECORDS_A_PART
        })?;
        let Some(up_to) = last else { return Ok(()) };
        // Nobody takes them any more only where deciding has failed or was cut off, which is told there.
        if parts.send(Part { entries, up_to }).is_err() {
            return Ok(());
        }
        from = up_to + 1;
    }
    Ok(())
}

fn entry(stored: Stored) -> Entry {
    if matches!(stored.record, Record::Received { .. }) {
        if let Some(event) = event_of(&stored) {
            return Entry::Event { seq: stored.seq, event: Arc::new(event) };
        }
        if let Some(observed) = observed(&stored) {
            return Entry::Bodiless(observed);
        }
    }
    Entry::Record { at: stored.at, record: Box::new(stored.record) }
}

/// Decides on all parts. Takes their queue, so that whoever fills it does not wait for one that was cut off.
fn decide(
    question: Question<'_>,
    lookup: &InJournal,
    parts: Receiver<Part>,
    budget: &Budget,
    mut progress: impl FnMut(u64),
) -> Result<Report, ReplayError> {
    let mut backtest = Backtest::new(question, lookup);
    for part in parts {
        for entry in &part.entries {
            // Of each, since a rule's script may take its time over every one.
            budget.check(part.up_to)?;
            backtest.take(entry);
        }
        progress(part.up_to);
    }
    Ok(backtest.finish())
}

/// What a simulation does not keep is asked of the journal.
struct InJournal {
    reader: Reader,
    strict: bool,
}

impl Lookup for InJournal {
    fn load(&self, seq: u64) -> Option<Arc<Event>> {
        let loaded = load_event(&self.reader, seq);
        // The reading thread meets the same journal, and says what is wrong with it.
        loaded
            .inspect_err(|error| tracing::debug!(%error, seq, "an event could not be read"))
            .ok()
            .flatten()
            .map(Arc::new)
    }

    fn newest(&self, entity: &Entity, before: u64) -> Option<Newest> {
        self.reader.newest_before(entity, before, self.strict).ok().flatten()
    }
}
