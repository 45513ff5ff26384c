//! Moving the write-ahead log into the database, most of it beside the writer.
//!
//! # Theory of operation
//!
//! SQLite begins its log anew only when all of it is in the database and synced. With the writer alone, everybody waits
//! while thousands of pages are moved and reach the disk; with another thread alone, a log under load never comes to its
//! end, since the writer is always a little ahead. So it is done in two parts:
//!
//! 1. The bulk: when the log has grown by [`BULK_PAGES`], a thread with a connection of its own moves what there is and syncs
//!    the database, while the writer goes on.
//! 2. The rest: what was written meanwhile is little. The writer moves it between two commits, after it has answered them;
//!    SQLite syncs the database then, and the next commit begins the log anew.
//!
//! A crash in between loses nothing: until the log begins anew it holds every commit, and SQLite moves its pages again.
//! A reader that holds an old state keeps pages in the log; then there is another try when the log has grown as much again.
//!
//! A move that fails with anything but a full or read-only disk is not tried again: see [`super::writer`].

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::store::{Store, StoreError, failed};

/// By how many pages the log grows before they are moved: 16 MB. More make a move rarer and move a page that changed often
/// less often, and make the log on disk, and the recovery after a crash, longer.
const BULK_PAGES: u64 = 2_000;

/// What was in the log when it was looked at, in pages.
#[derive(Debug, Clone, Copy)]
struct Log {
    /// All of it.
    pages: u64,
    /// How many of them are in the database.
    moved: u64,
}

/// What is known of the bulk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The log is not long enough yet.
    NotDue,
    /// The thread moves it.
    UnderWay,
    /// It is moved and synced; the rest is due.
    Moved,
}

/// The writer's side: asks for the bulk, and does the rest.
#[derive(Debug)]
pub(super) struct Checkpoint {
    state: State,
    /// How long the log may become before the next bulk, in pages.
    next_at: u64,
    /// Goes before the thread is waited for.
    asks: Option<SyncSender<()>>,
    moved: Receiver<Result<(), StoreError>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoint {
    /// Starts the thread for the journal at `path`, of which `database` is a descriptor.
    pub(super) fn start(path: &Path, database: Arc<File>) -> Result<Self, StoreError> {
        let bulk = Bulk::open(path, database)?;
        let (asks, asked) = sync_channel(1);
        let (tell, moved) = sync_channel(1);
        let work = move || {
            while asked.recv().is_ok() {
                // Nobody listens any more when the writer has ended.
                drop(tell.send(bulk.transfer()));
            }
        };
        let spawned = std::thread::Builder::new().name("checkpoint".into()).spawn(work);
        let thread = spawned.map_err(|source| io_failed("start the checkpoints of the journal", path, source))?;
        Ok(Self { state: State::NotDue, next_at: BULK_PAGES, asks: Some(asks), moved, thread: Some(thread) })
    }

    /// Whether the journal may be written to, as far as the thread has told.
    ///
    /// # Errors
    /// What it could not move or sync. Nothing must be committed after that.
    pub(super) fn look(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.state == State::UnderWay {
            match self.moved.try_recv() {
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(thread_ended(store.path())),
                Ok(moved) => {
                    moved?;
                    self.state = State::Moved;
                }
            }
        }
        Ok(())
    }

    /// Does what is due, between two commits.
    ///
    /// # Errors
    /// What could not be moved or synced, by whichever thread. Nothing must be committed after that.
    pub(super) fn tend(&mut self, store: &Store) -> Result<(), StoreError> {
        self.look(store)?;
        match self.state {
            State::UnderWay => Ok(()),
            State::NotDue if length(store)?.pages < self.next_at => Ok(()),
            State::NotDue => {
                self.state = State::UnderWay;
                let asked = self.asks.as_ref().is_some_and(|asks| asks.send(()).is_ok());
                asked.then_some(()).ok_or_else(|| thread_ended(store.path()))
            }
            State::Moved => {
                self.state = State::NotDue;
                transfer(store.db(), store.path())?;
                let left = length(store)?;
                // A log of which all is moved begins anew with the next commit.
                let stays = if left.moved == left.pages { 0 } else { left.pages };
                self.next_at = stays + BULK_PAGES;
                Ok(())
            }
        }
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        self.asks = None;
        // One that panicked has said so.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// The thread's side.
struct Bulk {
    db: Connection,
    path: PathBuf,
    /// Closed by the writer, after the connections.
    database: Arc<File>,
}

impl Bulk {
    fn open(path: &Path, database: Arc<File>) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<Connection> {
            let db = Connection::open_with_flags(path, flags)?;
            // What is in the log when everything ends is the writer's to move.
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            db.pragma_update(None, "synchronous", "FULL")?;
            Ok(db)
        };
        let db = open().map_err(|source| failed("open", path, source))?;
        Ok(Self { db, path: path.to_owned(), database })
    }

    fn transfer(&self) -> Result<(), StoreError> {
        transfer(&self.db, &self.path)?;
        // SQLite syncs the database only at the end of the whole log. Done here, little is left for that sync.
        rustix::fs::fdatasync(&*self.database).map_err(|errno| io_failed("sync the journal", &self.path, errno.into()))
    }
}

/// Moves what can be moved without waiting for anyone. On a full disk that is nothing, and the log keeps it all.
fn transfer(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let moved = db.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)").and_then(|mut ask| ask.query_row([], |_| Ok(())));
    match moved {
        Err(error) if matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::ReadOnly)) => {
            tracing::warn!(path = %path.display(), %error, "the write-ahead log of the journal stays long");
            Ok(())
        }
        moved => moved.map_err(|source| failed("checkpoint", path, source)),
    }
}

/// How long the log is.
fn length(store: &Store) -> Result<Log, StoreError> {
    let read = || {
        let mut ask = store.db().prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
        ask.query_row([], |row| Ok(Log { pages: row.get(1)?, moved: row.get(2)? }))
    };
    read().map_err(|source| failed("look at the write-ahead log of", store.path(), source))
}

fn thread_ended(path: &Path) -> StoreError {
    io_failed("checkpoint the journal", path, io::Error::other("the thread that does it has ended"))
}

fn io_failed(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::super::record::{PauseScope, Record};
    use super::super::store::Prepared;
    use super::super::{FILE_NAME, Recovered};
    use super::*;
    use crate::clock::Timestamp;

    /// A journal that is written to and tended, without the queues around it.
    struct Written {
        recovered: Recovered,
        checkpoint: Checkpoint,
        folder: tempfile::TempDir,
    }

    impl Written {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let recovered = Recovered::open(folder.path(), false).unwrap();
            let database = Arc::clone(&recovered.database);
            let checkpoint = Checkpoint::start(recovered.store.path(), database).unwrap();
            Self { recovered, checkpoint, folder }
        }

        /// Commits about a hundred pages. Gives how long the log is then.
        fn commit(&mut self) -> Result<Log, StoreError> {
            let reason = Some("x".repeat(800_000));
            let record = Record::Paused { reason, until: None, scope: PauseScope::Everything, by: None };
            let store = &mut self.recovered.store;
            store.begin().unwrap();
            store.insert(&Prepared::new(Timestamp::from_millis(1), record, None).unwrap()).unwrap();
            store.commit().unwrap();
            let log = length(store)?;
            self.checkpoint.tend(store)?;
            Ok(log)
        }

        /// Commits until the log begins anew.
        fn commit_until_it_begins_anew(&mut self) {
            let mut before = self.commit().unwrap().pages;
            for _ in 0..2_000 {
                let pages = self.commit().unwrap().pages;
                if pages < before {
                    return;
                }
                before = pages;
            }
            panic!("the log has {before} pages and never began anew");
        }
    }

    #[test]
    fn the_log_begins_anew_again_and_again_while_the_writer_goes_on() {
        let mut written = Written::new();
        (0..3).for_each(|_| written.commit_until_it_begins_anew());
    }

    #[test]
    fn a_reader_of_an_old_state_keeps_the_log_and_goes_on_to_read_that_state() {
        let mut written = Written::new();
        written.commit().unwrap();
        let reader = Connection::open(written.folder.path().join(FILE_NAME)).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let count = || reader.query_row("SELECT count(*) FROM record", [], |row| row.get::<_, u64>(0)).unwrap();
        assert_eq!(count(), 1);
        let mut log = written.commit().unwrap();
        while log.pages < 3 * BULK_PAGES {
            log = written.commit().unwrap();
        }
        assert!(log.moved < log.pages, "{log:?}");
        assert_eq!(count(), 1);
        reader.execute_batch("COMMIT").unwrap();
        written.commit_until_it_begins_anew();
    }

    #[test]
    fn what_cannot_be_synced_beside_the_writer_stops_it() {
        let mut written = Written::new();
        // To be synced is more than this file can.
        let null = Arc::new(File::open("/dev/null").unwrap());
        written.checkpoint = Checkpoint::start(written.recovered.store.path(), null).unwrap();
        let failed = (0..2_000).find_map(|_| written.commit().err());
        let said = failed.expect("the sync failed").to_string();
        assert!(said.starts_with("cannot sync the journal") && said.contains(FILE_NAME), "{said}");
    }
}
