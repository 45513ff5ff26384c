//! Reading the journal for a backtest: on a thread of its own, a part at a time.
//!
//! A daemon may be writing meanwhile. Each part is read in a transaction of its own, so that the writer can tidy its
//! log in between, and only up to the record that was the last when the backtest began. A bounded queue lies between
//! reading and deciding: the memory that is used does not grow with the journal.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::engine::{event_of, load_event};
use crate::event::{Entity, Event};
use crate::journal::history::Newest;
use crate::journal::read::{Reader, observed};
use crate::journal::record::Record;
use crate::journal::store::{StoreError, Stored};
use crate::simulate::backtest::{Backtest, Entry, Lookup, Question, Report};

/// How many records are read in one transaction.
const RECORDS_A_PART: usize = 2_048;
/// How many parts may lie between reading and deciding.
const PARTS_MAX: usize = 4;

/// What was read in one transaction, up to which record.
struct Part {
    entries: Vec<Entry>,
    up_to: u64,
}

/// Asks the question of the records from `from` to `to`.
pub(super) fn replay(
    file: &Path,
    lookup: Reader,
    question: Question<'_>,
    from: u64,
    to: u64,
) -> Result<Report, StoreError> {
    let lookup = InJournal { reader: lookup, strict: question.strict_ordering };
    let reader = Reader::open(file)?;
    std::thread::scope(|scope| {
        let (send, parts) = sync_channel(PARTS_MAX);
        let reading = scope.spawn(move || read(&reader, from, to, &send));
        let report = decide(question, &lookup, &parts, from, to);
        match reading.join() {
            Ok(read) => read.map(|()| report),
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
        // Nobody takes them any more only where deciding has failed, which is told there.
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

fn decide(question: Question<'_>, lookup: &InJournal, parts: &Receiver<Part>, from: u64, to: u64) -> Report {
    let mut backtest = Backtest::new(question, lookup);
    let mut progress = Progress::new(from, to);
    for part in parts {
        part.entries.iter().for_each(|entry| backtest.take(entry));
        progress.at(part.up_to);
    }
    progress.done();
    backtest.finish()
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

/// How far it is, for people who wait at a terminal.
struct Progress {
    from: u64,
    to: u64,
    shown: Option<u64>,
    is_terminal: bool,
}

impl Progress {
    fn new(from: u64, to: u64) -> Self {
        Self { from, to, shown: None, is_terminal: std::io::stderr().is_terminal() }
    }

    fn at(&mut self, seq: u64) {
        let percent = (seq.saturating_sub(self.from) + 1) * 100 / (self.to.saturating_sub(self.from) + 1);
        if self.is_terminal && self.shown != Some(percent) {
            anstream::eprint!("\r{percent:3} % of the journal");
            self.shown = Some(percent);
        }
    }

    fn done(&self) {
        if self.shown.is_some() {
            anstream::eprint!("\r\u{1b}[K");
        }
    }
}
