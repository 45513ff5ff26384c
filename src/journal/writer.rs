//! The writer thread: group commit, and the stream of what was committed.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::chain::HeadFile;
use super::record::Record;
use super::store::{Prepared, Store};
use super::{Admitted, BATCH_MAX, Refused};
use crate::clock::{Stopwatch, Timestamp};
use crate::event::Event;

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
    pub(super) head_file: HeadFile,
    pub(super) head_path: PathBuf,
    pub(super) submissions: mpsc::UnboundedReceiver<Submission>,
    pub(super) committed: mpsc::UnboundedSender<Committed>,
    pub(super) closed: watch::Sender<Option<String>>,
    pub(super) on_commit: Box<dyn Fn(CommitReport) + Send>,
}

/// What is told after the commit, once it is durable.
enum Answer {
    Push {
        event: Arc<Event>,
        permit: OwnedSemaphorePermit,
        seq: u64,
        reply: oneshot::Sender<Result<Admitted, Refused>>,
    },
    Known {
        admitted: Admitted,
        reply: oneshot::Sender<Result<Admitted, Refused>>,
    },
    Records {
        records: Vec<(u64, Prepared)>,
        folded: bool,
        reply: Option<oneshot::Sender<Result<(), Refused>>>,
    },
}

/// Whether the writer goes on.
enum Next {
    Continue,
    Stop,
}

impl Writer {
    /// Commits until it is told to close, or a commit fails.
    pub(super) fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            batch.clear();
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
        let mut answers = Vec::with_capacity(batch.len());
        let mut maintenance = Vec::new();
        let mut close = false;
        let mut result = self.store.begin();
        let mut waiting = batch.drain(..);
        for submission in waiting.by_ref() {
            if result.is_err() {
                refuse(submission, "the journal could not be written");
                continue;
            }
            match submission {
                Submission::Maintain(work) => maintenance.push(work),
                Submission::Close => close = true,
                other => match insert(&mut self.store, other) {
                    Ok(answer) => answers.push(answer),
                    Err(error) => result = Err(error),
                },
            }
        }
        drop(waiting);
        let result = result.and_then(|()| self.store.commit());
        if let Err(error) = result {
            return self.fail(before, answers, &error);
        }
        let head = self.store.head();
        if head != before {
            if let Err(error) = self.head_file.write(&head) {
                // The database is right all the same; only the second look at start is lost.
                tracing::warn!(path = %self.head_path.display(), %error, "cannot note the head of the journal");
            }
            let records = usize::try_from(head.seq - before.seq).unwrap_or(usize::MAX);
            (self.on_commit)(CommitReport { records, seconds: stopwatch.elapsed().as_secs_f64() });
        }
        for answer in answers {
            self.tell(answer);
        }
        for work in maintenance {
            work(&mut self.store);
        }
        if close {
            self.closed.send_replace(Some("the daemon stops".into()));
            return Next::Stop;
        }
        Next::Continue
    }

    fn tell(&self, answer: Answer) {
        // Whoever does not wait for an answer any more has dropped the other end; the stream ends with the engine.
        match answer {
            Answer::Push { event, permit, seq, reply } => {
                drop(self.committed.send(Committed::Push { seq, event, permit }));
                drop(reply.send(Ok(Admitted::Accepted)));
            }
            Answer::Known { admitted, reply } => drop(reply.send(Ok(admitted))),
            Answer::Records { records, folded, reply } => {
                if !folded {
                    for (seq, prepared) in records {
                        let Prepared { at, record, .. } = prepared;
                        drop(self.committed.send(Committed::Record { seq, at, record }));
                    }
                }
                if let Some(reply) = reply {
                    drop(reply.send(Ok(())));
                }
            }
        }
    }

    /// A commit failed. A full or read-only disk is said before anything reaches it, so pushes can be refused and
    /// the journal goes on; after any other failure it closes, because nobody knows what is on disk.
    fn fail(&mut self, before: super::chain::Head, answers: Vec<Answer>, error: &rusqlite::Error) -> Next {
        let reason = error.to_string();
        self.store.roll_back(before);
        let recoverable =
            matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull | rusqlite::ErrorCode::ReadOnly));
        let only_pushes = answers.iter().all(|answer| !matches!(answer, Answer::Records { .. }));
        tracing::error!(path = %self.store.path().display(), error = %reason, "the journal could not be written");
        for answer in answers {
            let refused = Refused::Closed { reason: reason.clone() };
            match answer {
                Answer::Push { reply, .. } | Answer::Known { reply, .. } => drop(reply.send(Err(refused))),
                Answer::Records { reply, .. } => drop(reply.map(|reply| reply.send(Err(refused)))),
            }
        }
        if recoverable && only_pushes {
            return Next::Continue;
        }
        self.closed.send_replace(Some(reason));
        Next::Stop
    }
}

fn insert(store: &mut Store, submission: Submission) -> rusqlite::Result<Answer> {
    match submission {
        Submission::Push { event, prepared, permit, reply } => match store.insert(&prepared)? {
            Some(seq) => Ok(Answer::Push { event, permit, seq, reply }),
            None => {
                let known = store.body_hash(event.id.as_str())?;
                let same = known.as_deref() == Some(&*blake3::Hash::from(event.body_hash).to_hex());
                let admitted = if same { Admitted::Duplicate } else { Admitted::Conflict };
                Ok(Answer::Known { admitted, reply })
            }
        },
        Submission::Records { prepared, folded, reply } => {
            let mut records = Vec::with_capacity(prepared.len());
            for one in prepared {
                let seq = store.insert(&one)?.unwrap_or_default();
                records.push((seq, one));
            }
            Ok(Answer::Records { records, folded, reply })
        }
        // Neither is inserted; `commit` takes them out before.
        Submission::Maintain(_) | Submission::Close => {
            Ok(Answer::Records { records: Vec::new(), folded: true, reply: None })
        }
    }
}

fn refuse(submission: Submission, reason: &str) {
    let refused = Refused::Closed { reason: reason.to_owned() };
    match submission {
        Submission::Push { reply, .. } => drop(reply.send(Err(refused))),
        Submission::Records { reply, .. } => drop(reply.map(|reply| reply.send(Err(refused)))),
        Submission::Maintain(_) | Submission::Close => {}
    }
}
