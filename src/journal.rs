//! The journal: one append-only, hash-chained record of everything that happens, and its fold.
//!
//! # Theory of operation
//!
//! One writer thread owns the SQLite connection and commits what has gathered in its queue, up to
//! [`BATCH_MAX`] submissions at a time: a commit costs one fsync, however much it holds. A submission is answered
//! only after the commit that holds it. What was committed is handed on, in the order of its sequence numbers, to
//! the one consumer that folds it: so the live state and the state after a restart are folds of the same stream.
//!
//! The queues are bounded by admission: a push needs one of [`UNDECIDED_MAX`] places, which it keeps until it is
//! decided. The writer itself therefore never waits for its consumer, which would wait for the writer in turn.
//!
//! A commit that fails is never retried, because after a failed fsync the page cache no longer tells what is on
//! disk: the journal closes, and everything that needs it stops. Only where the disk was full or read-only, which
//! is said before anything reaches it, and nothing but pushes was lost, they are refused and the journal goes on.
//!
//! This module never decides anything.

pub mod backup;
pub mod chain;
mod checkpoint;
pub mod history;
pub mod read;
pub mod record;
mod retention;
pub mod store;
mod upgrade;
mod writer;

pub use writer::{CommitReport, Committed};

use std::fs::{File, OpenOptions, TryLockError};
use std::future::Future;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::event::Event;
use chain::{Head, HeadFile, Outside};
use checkpoint::Checkpoint;
use history::History;
use record::Record;
use store::{Prepared, Store, StoreError};
use writer::{Submission, Writer};

/// How many submissions one commit may hold.
pub const BATCH_MAX: usize = 512;

/// How many pushes may be on their way between receipt and decision. At 4 kB each this is 32 MB at the worst; a
/// healthy engine has a few hundred.
pub const UNDECIDED_MAX: usize = 8192;

/// Bytes that have to be free on a disk that was full, so that it counts as one with room again. With less than a few
/// commits need the next push would fail too.
pub const ROOM_MIN: u64 = 1 << 20;

/// The name of the journal's file in the data folder.
pub const FILE_NAME: &str = "journal.db";

/// The name of the file beside it that keeps the head of its chain.
pub const HEAD_NAME: &str = "journal.head";

/// How long a start waits for the lock of the data folder. A process that a daemon was starting when it was killed holds
/// the daemon's descriptors until it has become its own program: moments, more on a machine under load.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// What became of a push that was offered to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It is durable.
    Accepted,
    /// An event with this id and this body is already durable.
    Duplicate,
    /// An event with this id and another body is already durable; this one was not taken.
    Conflict,
}

/// Why the journal did not take something. It may have committed all the same; the unique id keeps it single.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too much is waiting to be decided or written.
    #[error("the journal has {waiting} submissions waiting, which is its limit: try again later")]
    Overloaded {
        /// How many wait.
        waiting: usize,
    },
    /// The disk is full or read-only. Nothing of it was written, and the journal goes on.
    #[error("the journal could not be written: {reason}: make room on its disk, then send again")]
    Unwritten {
        /// Why.
        reason: String,
    },
    /// A commit failed, or the daemon stops.
    #[error("the journal is closed: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
}

/// That the journal could not be written when it was tried last, and goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwritten {
    /// Why.
    pub reason: String,
    /// Whether there is room by now. A quota is not seen.
    pub has_room: bool,
}

/// Takes pushes in. What the receiver sees of the journal.
pub trait Intake: Clone + Send + Sync + 'static {
    /// Offers a push; resolves when its fate is durable. Sets no time limit of its own.
    fn admit(&self, event: Event) -> impl Future<Output = Result<Admitted, Refused>> + Send;
}

/// Takes records. What the runner and the engine see of the journal.
pub trait RecordSink: Clone + Send + Sync + 'static {
    /// Appends records as one transaction; resolves when they are durable.
    fn append(&self, records: Vec<Record>) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Appends a record in order, without waiting for it to be durable.
    fn append_later(&self, record: Record) -> Result<(), Refused>;
}

/// The handle to the writer thread.
#[derive(Clone)]
pub struct Journal {
    submissions: mpsc::UnboundedSender<Submission>,
    undecided: Arc<Semaphore>,
    closed: watch::Receiver<Option<String>>,
    unwritten: watch::Receiver<Option<String>>,
    clock: Arc<dyn Clock>,
    path: Arc<PathBuf>,
}

/// An opened journal: what was in it, the handle to go on, and the stream of what is committed from now on.
pub struct Opened {
    /// The handle.
    pub journal: Journal,
    /// The stream for the one consumer that folds.
    pub committed: mpsc::UnboundedReceiver<Committed>,
    /// The writer thread; it ends after [`Journal::close`] or when a commit failed.
    pub writer: std::thread::JoinHandle<()>,
}

/// A journal opened for writing, before its writer starts.
#[derive(Debug)]
pub struct Recovered {
    store: Store,
    /// A descriptor of the database for the checkpoints. To close it takes away the locks that SQLite has on the file, so
    /// it is closed after every connection.
    database: Arc<File>,
    head_file: HeadFile,
    head_path: PathBuf,
    lock: File,
    /// The fold of what was in it.
    pub history: History,
}

impl Recovered {
    /// Opens the journal in the folder `data`, making both where they are not there, checks that its chain did not
    /// become shorter, and folds it. `strict` is the config's `ordering: strict`.
    ///
    /// # Errors
    /// A journal that is in use, is damaged, or that this version cannot read. Nothing of it was written then, and no
    /// copy of it was kept.
    pub fn open(data: &Path, strict: bool) -> Result<Self, StoreError> {
        Self::open_telling(data, strict, || {})
    }

    /// The same for one whose patience has to be asked for: `working` is called again and again while the work goes
    /// on. A large journal takes minutes to fold, and as long again to copy where another version wrote it.
    ///
    /// # Errors
    /// As [`Recovered::open`].
    pub fn open_telling(data: &Path, strict: bool, working: fn()) -> Result<Self, StoreError> {
        let io = |doing, path: &Path, source| StoreError::Io { doing, path: path.to_owned(), source };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data)
            .map_err(|error| io("create", data, error))?;
        let lock_path = data.join("lock");
        let lock = File::create(&lock_path).map_err(|error| io("open", &lock_path, error))?;
        let path = data.join(FILE_NAME);
        match take(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path }),
            Err(TryLockError::Error(error)) => return Err(io("lock", &lock_path, error)),
        }
        let head_path = data.join(HEAD_NAME);
        let outside = HeadFile::read_only(&head_path).map_err(|error| io("read", &head_path, error))?;
        if let Outside::Known(head) = outside
            && !path.exists()
        {
            let what = format!("it is not there, but record {} was written before", head.seq);
            return Err(StoreError::Damaged { path, what });
        }
        // Bodies of events are nobody else's business; SQLite gives its other files the mode of this one.
        match OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io("create", &path, error)),
        }
        let database = File::open(&path).map_err(|error| io("open", &path, error))?;
        let mut store = Store::open(&path, working)?;
        check_outside(&store, outside, &head_path)?;
        let mut history = History::default();
        history.newest.set_strict(strict);
        if !store.is_new() {
            store.scan(0, |stored| {
                history.apply(stored.seq, stored.at, &stored.record);
                true
            })?;
            // Only now is it known that this version can go on with it: one that cannot would push out, with a copy of
            // what it refuses, the copy that leads back.
            upgrade::keep_copy(store.db(), &path, env!("CARGO_PKG_VERSION"), working);
        }
        store.take_over()?;
        let head_file = HeadFile::open(&head_path).map_err(|error| io("open", &head_path, error))?;
        Ok(Self { store, database: Arc::new(database), head_file, head_path, lock, history })
    }

    /// Starts the writer thread. `on_commit` is told of each commit.
    ///
    /// # Errors
    /// A thread or a second connection to the file that cannot be had.
    pub fn start(
        self,
        clock: Arc<dyn Clock>,
        on_commit: impl Fn(CommitReport) + Send + 'static,
    ) -> Result<(History, Opened), StoreError> {
        let path = self.store.path().to_owned();
        let checkpoint = Checkpoint::start(&path, Arc::clone(&self.database))?;
        let (submit, submissions) = mpsc::unbounded_channel();
        let (commit, committed) = mpsc::unbounded_channel();
        let (close, closed) = watch::channel(None);
        let (not_written, unwritten) = watch::channel(None);
        let journal = Journal {
            submissions: submit,
            undecided: Arc::new(Semaphore::new(UNDECIDED_MAX)),
            closed,
            unwritten,
            clock,
            path: Arc::new(path.clone()),
        };
        let writer = Writer {
            checkpoint,
            store: self.store,
            database: self.database,
            head_file: self.head_file,
            head_path: self.head_path,
            submissions,
            committed: commit,
            closed: close,
            unwritten: not_written,
            on_commit: Box::new(on_commit),
        };
        let lock = self.lock;
        let spawned = std::thread::Builder::new().name("journal".into()).spawn(move || {
            writer.run();
            drop(lock);
        });
        let writer = spawned.map_err(|source| StoreError::Io { doing: "start the writer of", path, source })?;
        Ok((self.history, Opened { journal, committed, writer }))
    }
}

impl Journal {
    /// Appends records that the caller has folded already, all made at `at`. Resolves when they are durable.
    pub async fn append_folded(&self, at: Timestamp, records: Vec<Record>) -> Result<(), Refused> {
        self.submit_records(at, records, true)?.await.unwrap_or_else(|_| Err(self.why_closed()))
    }

    /// Closes the journal after what was submitted before.
    pub fn close(&self) {
        // The writer may have ended already; then there is nothing to close.
        drop(self.submissions.send(Submission::Close));
    }

    /// Resolves with the reason when the journal closes.
    pub async fn closed(&self) -> String {
        let mut closed = self.closed.clone();
        match closed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "its writer ended".into(),
        }
    }

    /// Why nothing can be written, if so.
    pub fn closed_now(&self) -> Option<String> {
        self.closed.borrow().clone()
    }

    /// Why pushes are refused at present, if the disk of an open journal was found full or read-only, and whether it
    /// still is by what the system says of it. Nothing is written to find out.
    pub fn unwritten(&self) -> Option<Unwritten> {
        let reason = self.unwritten.borrow().clone()?;
        let disk = rustix::fs::statvfs(&*self.path);
        let has_room = disk.is_ok_and(|disk| {
            !disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY)
                && disk.f_bavail.saturating_mul(disk.f_frsize) >= ROOM_MIN
        });
        Some(Unwritten { reason, has_room })
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many pushes are on their way between receipt and decision.
    pub fn undecided(&self) -> usize {
        UNDECIDED_MAX.saturating_sub(self.undecided.available_permits())
    }

    fn submit_records(
        &self,
        at: Timestamp,
        records: Vec<Record>,
        folded: bool,
    ) -> Result<oneshot::Receiver<Result<(), Refused>>, Refused> {
        let prepared = prepare_all(at, records)?;
        let (reply, answer) = oneshot::channel();
        self.submit(Submission::Records { prepared, folded, reply: Some(reply) })?;
        Ok(answer)
    }

    fn submit(&self, submission: Submission) -> Result<(), Refused> {
        self.submissions.send(submission).map_err(|_| self.why_closed())
    }

    fn why_closed(&self) -> Refused {
        Refused::Closed { reason: self.closed_now().unwrap_or_else(|| "its writer ended".into()) }
    }
}

impl Intake for Journal {
    async fn admit(&self, event: Event) -> Result<Admitted, Refused> {
        let permit = Arc::clone(&self.undecided)
            .try_acquire_owned()
            .map_err(|_| Refused::Overloaded { waiting: UNDECIDED_MAX })?;
        let prepared = prepare(event.received_at, Record::received(&event), Some(event.body.clone()))?;
        let (reply, answer) = oneshot::channel();
        self.submit(Submission::Push { event: Arc::new(event), prepared, permit, reply })?;
        answer.await.unwrap_or_else(|_| Err(self.why_closed()))
    }
}

impl RecordSink for Journal {
    async fn append(&self, records: Vec<Record>) -> Result<(), Refused> {
        self.submit_records(self.clock.now(), records, false)?.await.unwrap_or_else(|_| Err(self.why_closed()))
    }

    fn append_later(&self, record: Record) -> Result<(), Refused> {
        let prepared = vec![prepare(self.clock.now(), record, None)?];
        self.submit(Submission::Records { prepared, folded: false, reply: None })
    }
}

/// Compares the journal with the head that is kept beside it.
fn check_outside(store: &Store, outside: Outside, head_path: &Path) -> Result<(), StoreError> {
    match (outside, outside.why_unknown()) {
        (Outside::Known(outside), _) if store.is_new() => {
            Err(store.damaged(format!("it is empty, but record {} was written before: it is lost", outside.seq)))
        }
        (Outside::Known(outside), _) => store.check_against(&store.head(), &outside),
        // A new journal has no head yet.
        (_, Some(why)) if store.head() != Head::EMPTY => {
            tracing::warn!(
                path = %head_path.display(),
                records = store.head().seq,
                "the file {why}, so nothing outside the journal tells whether its last commits are still there; if \
                 nobody moved it away and the machine did not lose power, compare `stanch audit verify` with a head \
                 that you keep elsewhere"
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Takes the lock of the data folder, waiting up to [`LOCK_PATIENCE`] for it.
fn take(lock: &File) -> Result<(), TryLockError> {
    take_within(LOCK_PATIENCE, || lock.try_lock())
}

/// Tries until it is not told to try later, for up to so long.
fn take_within(patience: Duration, mut attempt: impl FnMut() -> Result<(), TryLockError>) -> Result<(), TryLockError> {
    let waited = Stopwatch::start();
    loop {
        match attempt() {
            Err(TryLockError::WouldBlock) if waited.elapsed() < patience => std::thread::sleep(LOCK_PATIENCE / 50),
            done => return done,
        }
    }
}

fn prepare_all(at: Timestamp, records: Vec<Record>) -> Result<Vec<Prepared>, Refused> {
    records.into_iter().map(|record| prepare(at, record, None)).collect()
}

fn prepare(at: Timestamp, record: Record, payload: Option<bytes::Bytes>) -> Result<Prepared, Refused> {
    Prepared::new(at, record, payload)
        .map_err(|error| Refused::Closed { reason: format!("a record could not be serialised: {error}") })
}

#[cfg(test)]
mod tests;
