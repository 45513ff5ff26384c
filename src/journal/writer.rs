//! The writer thread: group commit, and the stream of what was committed.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::chain::{Head, HeadFile};
use super::checkpoint::Checkpoint;
use super::record::Record;
use super::store::{Prepared, Store, StoreError};
use super::{Admitted, BATCH_MAX, Refused};
use crate::clock::{Stopwatch, Timestamp};
use crate::event::Event;

/// How often the writer gives way before it takes the next batch: to the few threads that bring pushes, not to all others.
const GIVES_WAY: u8 = 3;

/// Something for the writer to commit.
#[expect(clippy::large_enum_variant, reason = "nearly all are pushes, and a box would cost each an allocation")]
pub(super) enum Submission {
    /// A push.
    Push {
        event: Arc<Event>,
        prepared: Prepared,
        permit: OwnedSemaphorePermit,
        reply: oneshot::Sender<Result<Admitted, Refused>>,
    },
    /// Records that belong together.
    Records {
        prepared: Vec<Prepared>,
        /// Whether the fold has them already, because its owner made them.
        folded: bool,
        reply: Option<oneshot::Sender<Result<(), Refused>>>,
    },
    /// Work on the file between two commits.
    Maintain(Box<dyn FnOnce(&mut Store) + Send>),
    /// Commit what came before, then end.
    Close,
}

/// Something that was committed, in the order of the journal.
#[derive(Debug)]
pub enum Committed {
    /// A push was taken in.
    Push {
        /// Its number in the journal.
        seq: u64,
        /// The push.
        event: Arc<Event>,
        /// Its place among the undecided; given back when this is dropped.
        permit: OwnedSemaphorePermit,
    },
    /// Another record was written.
    Record {
        /// Its number in the journal.
        seq: u64,
        /// When it was made.
        at: Timestamp,
        /// The record.
        record: Record,
    },
}

/// What the metrics learn of a commit.
#[derive(Debug, Clone, Copy)]
pub struct CommitReport {
    /// How many records it held.
    pub records: usize,
    /// How long it took, from the first insert to the durable end.
    pub seconds: f64,
}

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) checkpoint: Checkpoint,
    /// See [`super::Recovered`].
    pub(super) database: Arc<File>,
    pub(super) head_file: HeadFile,
    pub(super) head_path: PathBuf,
    pub(super) submissions: mpsc::UnboundedReceiver<Submission>,
    pub(super) committed: mpsc::UnboundedSender<Committed>,
    pub(super) closed: watch::Sender<Option<String>>,
    /// Why the last commit was not written, where the journal goes on all the same.
    pub(super) unwritten: watch::Sender<Option<String>>,
    pub(super) on_commit: Box<dyn Fn(CommitReport) + Send>,
}

/// What inserting a submission led to; told once it is durable.
enum Inserted {
    Push(u64),
    Known(Admitted),
    Records(Vec<u64>),
}

/// Why nothing could be written.
struct Failure {
    reason: String,
    /// Whether it was said before anything reached the disk.
    is_clean: bool,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let is_clean = matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::ReadOnly));
        Self { reason: error.to_string(), is_clean }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { reason: error.to_string(), is_clean: false }
    }
}

/// Whether the writer goes on.
enum Next {
    Continue,
    Stop,
}

impl Writer {
    /// Commits until it is told to close, or a commit fails.
    pub(super) fn run(mut self) {
        self.commit_what_comes();
        let Self { store, checkpoint, database, .. } = self;
        // The last connection that closes leaves the database whole, which is the writer's to do or not to do.
        drop(checkpoint);
        drop(store);
        drop(database);
    }

    fn commit_what_comes(&mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            batch.clear();
            // Where others wait for this processor, more pushes gather while they have it, and a larger commit costs
            // hardly more than a small one. On an idle machine this returns at once.
            (0..GIVES_WAY).for_each(|_| std::thread::yield_now());
            if self.submissions.blocking_recv_many(&mut batch, BATCH_MAX) == 0 {
                return;
            }
            if matches!(self.commit(&mut batch), Next::Stop) {
                return;
            }
        }
    }

    fn commit(&mut self, batch: &mut Vec<Submission>) -> Next {
        let stopwatch = Stopwatch::start();
        let before = self.store.head();
        let mut offered = Vec::with_capacity(batch.len());
        let mut maintenance = Vec::new();
        let mut close = false;
        for submission in batch.drain(..) {
            match submission {
                Submission::Maintain(work) => maintenance.push(work),
                Submission::Close => close = true,
                offer => offered.push(offer),
            }
        }
        let next = match self.write(&offered) {
            Ok(inserted) => {
                self.unwritten.send_if_modified(|why| why.take().is_some());
                self.note_head(before);
                self.tell(offered, inserted);
                self.report(before, stopwatch);
                Next::Continue
            }
            Err(failure) => self.fail(before, offered, failure),
        };
        if matches!(next, Next::Stop) {
            return next;
        }
        for work in maintenance {
            work(&mut self.store);
        }
        if close {
            self.closed.send_replace(Some("the daemon stops".into()));
            return Next::Stop;
        }
        match self.checkpoint.tend(&self.store) {
            Ok(()) => Next::Continue,
            Err(error) => self.fail(self.store.head(), Vec::new(), error.into()),
        }
    }

    /// Writes all that was offered as one transaction.
    fn write(&mut self, offered: &[Submission]) -> Result<Vec<Inserted>, Failure> {
        self.checkpoint.look(&self.store)?;
        self.store.begin()?;
        let inserted = offered.iter().map(|submission| insert(&mut self.store, submission));
        let inserted = inserted.collect::<rusqlite::Result<_>>()?;
        self.store.commit()?;
        Ok(inserted)
    }

    /// Notes the new head outside the database.
    fn note_head(&self, before: Head) {
        let head = self.store.head();
        if head != before
            && let Err(error) = self.head_file.write(&head)
        {
            // The database is right all the same; only the second look at start is lost.
            tracing::warn!(path = %self.head_path.display(), %error, "cannot note the head of the journal");
        }
    }

    fn report(&self, before: Head, stopwatch: Stopwatch) {
        let records = usize::try_from(self.store.head().seq - before.seq).unwrap_or(usize::MAX);
        if records > 0 {
            (self.on_commit)(CommitReport { records, seconds: stopwatch.elapsed().as_secs_f64() });
        }
    }

    /// Answers who waits, and then hands on what was committed: what is decided on it is nothing that a sender waits for.
    fn tell(&self, offered: Vec<Submission>, inserted: Vec<Inserted>) {
        let mut committed = Vec::with_capacity(offered.len());
        // Whoever does not wait for an answer any more has dropped the other end; the stream ends with the engine.
        for (submission, inserted) in offered.into_iter().zip(inserted) {
            match (submission, inserted) {
                (Submission::Push { event, permit, reply, .. }, Inserted::Push(seq)) => {
                    drop(reply.send(Ok(Admitted::Accepted)));
                    committed.push(Committed::Push { seq, event, permit });
                }
                (Submission::Push { reply, .. }, Inserted::Known(admitted)) => drop(reply.send(Ok(admitted))),
                (Submission::Records { prepared, folded, reply }, Inserted::Records(seqs)) => {
                    drop(reply.map(|reply| reply.send(Ok(()))));
                    let records = seqs.into_iter().zip(prepared).filter(|_| !folded);
                    committed.extend(records.map(|(seq, Prepared { at, record, .. })| Committed::Record {
                        seq,
                        at,
                        record,
                    }));
                }
                // `insert` answers each kind of submission with its own kind.
                _ => {}
            }
        }
        committed.into_iter().for_each(|one| drop(self.committed.send(one)));
    }

    /// A commit failed, and nothing of it was written. A full or read-only disk is said before anything reaches it,
    /// so where only pushes were lost they are refused and the journal goes on. After any other failure nobody knows
    /// what is on disk, and a record that is lost leaves whoever made it ahead of the journal: then it closes.
    fn fail(&mut self, before: Head, lost: Vec<Submission>, failure: Failure) -> Next {
        let Failure { reason, is_clean } = failure;
        self.store.roll_back(before);
        let only_pushes = lost.iter().all(|submission| matches!(submission, Submission::Push { .. }));
        let goes_on = is_clean && only_pushes;
        tracing::error!(path = %self.store.path().display(), error = %reason, goes_on, "the journal could not be written");
        if goes_on {
            self.unwritten.send_replace(Some(reason.clone()));
        } else {
            self.store.give_up();
            // Before anyone is told, so that whoever asks why finds the answer.
            self.closed.send_replace(Some(reason.clone()));
        }
        for submission in lost {
            let refused = match goes_on {
                true => Refused::Unwritten { reason: reason.clone() },
                false => Refused::Closed { reason: reason.clone() },
            };
            match submission {
                Submission::Push { reply, .. } => drop(reply.send(Err(refused))),
                Submission::Records { reply, .. } => drop(reply.map(|reply| reply.send(Err(refused)))),
                Submission::Maintain(_) | Submission::Close => {}
            }
        }
        if goes_on { Next::Continue } else { Next::Stop }
    }
}

fn insert(store: &mut Store, submission: &Submission) -> rusqlite::Result<Inserted> {
    match submission {
        Submission::Push { event, prepared, .. } => match store.insert(prepared)? {
            Some(seq) => Ok(Inserted::Push(seq)),
            None => {
                let known = store.body_hash(event.id.as_str())?;
                let same = known.as_deref() == Some(&*blake3::Hash::from(event.body_hash).to_hex());
                Ok(Inserted::Known(if same { Admitted::Duplicate } else { Admitted::Conflict }))
            }
        },
        Submission::Records { prepared, .. } => {
            let seqs = prepared.iter().map(|one| Ok(store.insert(one)?.unwrap_or_default()));
            Ok(Inserted::Records(seqs.collect::<rusqlite::Result<_>>()?))
        }
        // Neither is inserted; `commit` takes them out before.
        Submission::Maintain(_) | Submission::Close => Ok(Inserted::Records(Vec::new())),
    }
}
