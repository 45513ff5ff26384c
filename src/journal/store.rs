//! The SQLite file: schema, inserting, reading back. Used by the writer thread and by readers; nobody else knows SQL.

mod error;
mod verify;

pub use error::StoreError;
pub(super) use error::failed;

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, ToSql, params};

use super::chain::{Content, Hash, Head, link};
use super::record::Record;
use crate::clock::Timestamp;

/// The version of the schema, kept in `PRAGMA user_version`.
pub const SCHEMA_VERSION: i64 = 1;

/// How long a reader waits for a lock before it gives up, in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 5_000;
/// After how many steps of SQLite's own machine it is asked whether what is read is still wanted: some dozens of records,
/// or a thousand pages of its checks of the file.
const ASK_EVERY_OPS: std::ffi::c_int = 1_000;

/// After how many instructions of SQLite an opener is told that the work goes on: about a thousand records of a fold.
const OPS_PER_SIGN: std::ffi::c_int = 10_000;

/// How long the write-ahead log's file stays when the log begins anew: some times what it usually is, so that it is cut
/// only where a reader kept it from beginning anew for long. Cutting it costs the next commits their room.
const LOG_KEPT_BYTES: i64 = 64 << 20;

const SCHEMA: &str = "
CREATE TABLE record (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    event   TEXT,
    run     TEXT,
    entity  TEXT,
    data    TEXT NOT NULL,
    payload TEXT,
    digest  BLOB NOT NULL,
    hash    BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX received_by_event ON record (event) WHERE kind = 'received';
CREATE INDEX received_by_entity ON record (entity) WHERE kind = 'received';
CREATE INDEX other_by_event ON record (event, seq) WHERE kind <> 'received' AND event IS NOT NULL;
CREATE INDEX by_run ON record (run, seq) WHERE run IS NOT NULL;
CREATE INDEX run_ends ON record (seq) WHERE kind IN ('run-intended', 'run-ended');
CREATE TABLE anchor (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
";

/// An index that came after the schema. It changes nothing of what is kept, so a journal without it gets it when it is
/// taken over, and keeps its version. Pushes about an incident itself are found by their entity, so that only those about
/// alerts pay for it.
const LATER_INDEX: &str = "
CREATE INDEX IF NOT EXISTS alerts_by_incident ON record (json_extract(data, '$.incident'))
WHERE kind = 'received' AND entity >= 'alert:' AND entity < 'alert;';
";

/// A record ready to be inserted.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// When it was made.
    pub at: Timestamp,
    /// The record.
    pub record: Record,
    /// What a push is about.
    pub entity: Option<String>,
    /// The record as JSON.
    pub data: String,
    /// The body of a push.
    pub payload: Option<bytes::Bytes>,
    /// The digest of its content.
    pub digest: Hash,
}

impl Prepared {
    /// Serialises and digests a record. Costly parts of an insert that need not be done by the writer thread.
    pub fn new(at: Timestamp, record: Record, payload: Option<bytes::Bytes>) -> Result<Self, serde_json::Error> {
        let data = serde_json::to_string(&record)?;
        let entity = match &record {
            Record::Received { entity, .. } => Some(entity.to_string()),
            _ => None,
        };
        let digest = Content {
            at_ms: at.as_millis(),
            kind: record.kind(),
            event: record.event().map(crate::event::EventId::as_str),
            run: record.run().map(super::record::RunId::as_str),
            entity: entity.as_deref(),
            data: &data,
        }
        .digest();
        Ok(Self { at, record, entity, data, payload, digest })
    }
}

/// A record as it was read back.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its number.
    pub seq: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The record.
    pub record: Record,
    /// The body of a push, where it is one and its body is still kept.
    pub payload: Option<String>,
}

/// What [`Store::verify`] found intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many records retention dropped from the front; the chain goes on from the hash that they left.
    pub dropped: u64,
    /// The end of the chain.
    pub head: Head,
}

/// Keeps prepared statements, and their plans: SQLite would else plan anew whenever a value is bound that could
/// change the plan, which costs more than the queries here themselves.
fn settle(db: &Connection) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(32);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// The open file.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
    head: Head,
    /// Whether there is nothing in the file yet, not even the schema.
    is_new: bool,
}

impl Store {
    /// Opens the file for writing, and writes nothing: a journal that turns out to be damaged, or another version's, is
    /// left as it was found when this is dropped. [`Store::take_over`] makes it one to write to. `working` is called
    /// again and again until then, for as long as the work really goes on.
    pub(super) fn open(path: &Path, working: fn()) -> Result<Self, StoreError> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let has_log = Path::new(&log).exists();
        let mut db = Connection::open(path).map_err(|source| failed("open", path, source))?;
        let look = |db: &mut Connection| -> rusqlite::Result<i64> {
            // What a newer version left in its write-ahead log is its own to move. Where there is no log, SQLite makes
            // an empty one, which goes again with the connection.
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
            db.busy_timeout(std::time::Duration::ZERO)?;
            let working = move || {
                working();
                false
            };
            db.progress_handler(OPS_PER_SIGN, Some(working))?;
            settle(db)?;
            db.query_row("PRAGMA user_version", [], |row| row.get(0))
        };
        let version = look(&mut db).map_err(|source| failed("open", path, source))?;
        let mut store = Self { db, path: path.to_owned(), head: Head::EMPTY, is_new: version == 0 };
        match version {
            0 => {}
            SCHEMA_VERSION => store.head = store.read_head()?,
            newer if newer > SCHEMA_VERSION => {
                return Err(StoreError::TooNew { path: path.to_owned(), found: newer });
            }
            found => return Err(store.damaged(format!("its schema version is {found}, which no stanch has written"))),
        }
        Ok(store)
    }

    /// Makes a file that was opened and found good ready to be written: its mode, its schema if it is new, and the
    /// index that came later.
    pub(super) fn take_over(&mut self) -> Result<(), StoreError> {
        let setup = |db: &Connection| -> rusqlite::Result<()> {
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            db.pragma_update(None, "page_size", 8192)?;
            // Readers go on beside the one that writes.
            db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
            db.pragma_update(None, "synchronous", "FULL")?;
            // The writer sees to it, see `super::checkpoint`; a log that became long all the same is cut then.
            db.pragma_update(None, "wal_autocheckpoint", 0)?;
            db.pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)?;
            db.pragma_update(None, "cache_size", -8000)?;
            db.pragma_update(None, "temp_store", "MEMORY")
        };
        setup(&self.db).map_err(|source| failed("open", &self.path, source))?;
        if self.is_new {
            let schema = format!("BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;");
            self.db.execute_batch(&schema).map_err(|source| failed("create", &self.path, source))?;
            self.is_new = false;
        }
        self.db.execute_batch(LATER_INDEX).map_err(|source| failed("add an index to", &self.path, source))?;
        let nobody_waits = self.db.progress_handler(0, None::<fn() -> bool>);
        nobody_waits.map_err(|source| failed("open", &self.path, source))
    }

    /// Whether there is nothing in the file yet.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Opens the file for reading only, beside a writer that may be running.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        // SQLite would say only that it is unable to open it.
        if !path.exists() {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(|source| failed("open", path, source))?;
        let setup = || -> rusqlite::Result<i64> {
            db.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
            db.pragma_update(None, "cache_size", -2000)?;
            settle(&db)?;
            db.query_row("PRAGMA user_version", [], |row| row.get(0))
        };
        let found = setup().map_err(|source| failed("open", path, source))?;
        match found {
            SCHEMA_VERSION => Ok(Self { db, path: path.to_owned(), head: Head::EMPTY, is_new: false }),
            0 => {
                let what = "it has no schema: it is empty, or no journal of stanch".to_owned();
                Err(StoreError::Damaged { path: path.to_owned(), what })
            }
            found => Err(StoreError::TooNew { path: path.to_owned(), found }),
        }
    }

    /// Ends whatever is read with an error soon after `is_unwanted` says so.
    pub(super) fn read_until(&mut self, is_unwanted: impl FnMut() -> bool + Send + 'static) -> Result<(), StoreError> {
        let told = self.db.progress_handler(ASK_EVERY_OPS, Some(is_unwanted));
        told.map_err(|source| failed("prepare to read", &self.path, source))
    }

    /// The end of the chain.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The connection, for the queries of this module's neighbours.
    pub(super) fn db(&self) -> &Connection {
        &self.db
    }

    fn read_head(&self) -> Result<Head, StoreError> {
        let read = |sql| {
            self.db
                .query_row(sql, [], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?)))
                .optional()
                .map_err(|source| failed("read", &self.path, source))
        };
        let last = match read("SELECT seq, hash FROM record ORDER BY seq DESC LIMIT 1")? {
            Some(last) => Some(last),
            None => read("SELECT seq, hash FROM anchor ORDER BY seq DESC LIMIT 1")?,
        };
        match last {
            None => Ok(Head::EMPTY),
            Some((seq, hash)) => Ok(Head { seq, hash: to_hash(&hash).ok_or_else(|| self.damaged_hash(seq))? }),
        }
    }

    fn damaged_hash(&self, seq: u64) -> StoreError {
        self.damaged(format!("record {seq} has no hash"))
    }

    pub(super) fn damaged(&self, what: String) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), what }
    }

    /// Compares the chain, which ends at `head`, with the head that was kept outside, and says what does not fit.
    pub fn check_against(&self, head: &Head, outside: &Head) -> Result<(), StoreError> {
        if outside.seq > head.seq {
            return Err(self.damaged(format!(
                "it ends at record {}, but record {} was written before: its last commits are lost",
                head.seq, outside.seq
            )));
        }
        match self.hash_at(outside.seq)? {
            Some(hash) if hash != outside.hash => {
                Err(self.damaged(format!("record {} is not the one that was written", outside.seq)))
            }
            _ => Ok(()),
        }
    }

    /// Compares the chain, which ends at `head`, with a head that somebody kept. Unlike the file beside the journal,
    /// it was asked for by name, so one that cannot be found any more is an answer too.
    pub fn check_holds(&self, head: &Head, kept: &Head) -> Result<(), StoreError> {
        self.check_against(head, kept)?;
        match self.hash_at(kept.seq)? {
            Some(_) => Ok(()),
            None => Err(self.damaged(format!(
                "record {} is not in it any more, so the head that was given cannot be compared: give one that is \
                 younger than `retention.runs`",
                kept.seq
            ))),
        }
    }

    fn hash_at(&self, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.db
            .query_row(
                "SELECT hash FROM record WHERE seq = ?1 UNION ALL SELECT hash FROM anchor WHERE seq = ?1",
                [seq],
                |row| row.get(0),
            )
            .optional()
            .map_err(|source| failed("read", &self.path, source))
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> rusqlite::Result<()> {
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop)
    }

    /// Commits: what was inserted since `begin` is durable when this returns.
    pub(super) fn commit(&self) -> rusqlite::Result<()> {
        self.db.prepare_cached("COMMIT")?.execute([]).map(drop)
    }

    /// Leaves the files as they are when this is dropped. SQLite would else move what is in the write-ahead log into
    /// the database when the last connection closes, and after a failed fsync nobody knows what it would read back.
    pub(super) fn give_up(&self) {
        if let Err(error) = self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
            tracing::warn!(%error, "the journal will be checkpointed when it closes");
        }
    }

    /// Undoes what was inserted since `begin`, and takes the chain back to `head`.
    pub(super) fn roll_back(&mut self, head: Head) {
        // A failed commit may have rolled back already; then there is nothing to undo.
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "the journal could not roll back");
        }
        self.head = head;
    }

    /// Inserts a record at the end of the chain. Returns its number, or `None` where it is a push whose id is
    /// already there.
    pub(super) fn insert(&mut self, prepared: &Prepared) -> rusqlite::Result<Option<u64>> {
        let seq = self.head.seq + 1;
        let hash = link(&self.head.hash, seq, &prepared.digest);
        let record = &prepared.record;
        let payload = prepared.payload.as_deref().map(KnownText);
        let inserted = self
            .db
            .prepare_cached(
                "INSERT OR IGNORE INTO record (seq, at, kind, event, run, entity, data, payload, digest, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                seq,
                prepared.at.as_millis(),
                record.kind(),
                record.event().map(crate::event::EventId::as_str),
                record.run().map(super::record::RunId::as_str),
                prepared.entity,
                prepared.data,
                payload,
                prepared.digest.as_slice(),
                hash.as_slice(),
            ])?;
        if inserted == 0 {
            return Ok(None);
        }
        self.head = Head { seq, hash };
        Ok(Some(seq))
    }

    /// The hash of the body that was received under this id.
    pub(super) fn body_hash(&self, event: &str) -> rusqlite::Result<Option<String>> {
        self.db
            .prepare_cached(
                "SELECT json_extract(data, '$.body_hash') FROM record WHERE kind = 'received' AND event = ?1",
            )?
            .query_row([event], |row| row.get(0))
            .optional()
    }

    /// Reads records in order, from `from_seq` on, and hands each to `visit` until it says no.
    pub fn scan(&self, from_seq: u64, visit: impl FnMut(Stored) -> bool) -> Result<(), StoreError> {
        self.scan_by("SELECT seq, at, data, NULL FROM record WHERE seq >= ?1 ORDER BY seq", [from_seq], visit)
    }

    /// The same with the bodies of pushes.
    pub fn scan_with_bodies(&self, from_seq: u64, visit: impl FnMut(Stored) -> bool) -> Result<(), StoreError> {
        self.scan_by("SELECT seq, at, data, payload FROM record WHERE seq >= ?1 ORDER BY seq", [from_seq], visit)
    }

    pub(super) fn scan_by(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        mut visit: impl FnMut(Stored) -> bool,
    ) -> Result<(), StoreError> {
        let mut statement = self.db.prepare_cached(sql).map_err(|source| failed("read", &self.path, source))?;
        let mut rows = statement.query(params).map_err(|source| failed("read", &self.path, source))?;
        while let Some(row) = rows.next().map_err(|source| failed("read", &self.path, source))? {
            if !visit(self.stored(row)?) {
                break;
            }
        }
        Ok(())
    }

    /// A row of `seq, at, data, payload` as a record.
    pub(super) fn stored(&self, row: &rusqlite::Row<'_>) -> Result<Stored, StoreError> {
        let read = || -> rusqlite::Result<(u64, i64, String, Option<String>)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        };
        let (seq, at, data, payload) = read().map_err(|source| failed("read", &self.path, source))?;
        let record = serde_json::from_str(&data).map_err(|error| self.why_unread(seq, &error))?;
        Ok(Stored { seq, at: Timestamp::from_millis(at), record, payload })
    }
}

/// Bytes that are known to be UTF-8, since the body of an event was read as JSON before: not looked through once more.
struct KnownText<'t>(&'t [u8]);

impl ToSql for KnownText<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

fn to_hash(bytes: &[u8]) -> Option<Hash> {
    bytes.try_into().ok()
}
