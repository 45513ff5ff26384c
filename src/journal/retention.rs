//! Letting go of what is too old, without breaking the chain.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::Journal;
use super::history::OPEN_ENDED_MAX;
use super::store::Store;
use super::writer::Submission;
use crate::clock::Timestamp;
use crate::config::Retention;

/// Records are kept at least so long, whatever the config says: as long as a dedupe slot waits for the closing of its
/// incident, which is longer than the failures of a breaker are remembered. A restart that folded less would act again.
pub(super) const RECORDS_KEPT_MIN: Duration = OPEN_ENDED_MAX;

/// How many rows one step touches, so that a commit behind it does not wait long.
const ROWS_A_STEP: usize = 2_000;

impl Journal {
    /// Drops bodies of events and whole records that are older than `retention` says, a bounded number of them. Records
    /// that the fold still needs stay: those younger than `RECORDS_KEPT_MIN`, and from a pause that is still on.
    /// Resolves with how many rows were touched; zero means there is nothing left to drop.
    pub async fn retain(&self, retention: &Retention, now: Timestamp) -> usize {
        let bodies_before = now.minus(retention.events);
        let records_before = now.minus(retention.runs.max(retention.events).max(RECORDS_KEPT_MIN));
        let (reply, answer) = tokio::sync::oneshot::channel();
        let work = move |store: &mut Store| {
            let touched = step(store, bodies_before, records_before).unwrap_or_else(|error| {
                tracing::warn!(%error, "the journal could not let go of old records");
                0
            });
            reply.send(touched).ok();
        };
        if self.submit(Submission::Maintain(Box::new(work))).is_err() {
            return 0;
        }
        answer.await.unwrap_or(0)
    }
}

fn step(store: &mut Store, bodies_before: Timestamp, records_before: Timestamp) -> rusqlite::Result<usize> {
    let db = store.db();
    db.execute_batch("BEGIN IMMEDIATE")?;
    let touched = drop_bodies(db, bodies_before).and_then(|bodies| Ok(bodies + drop_records(db, records_before)?));
    match touched {
        Ok(touched) => db.execute_batch("COMMIT").map(|()| touched),
        Err(error) => {
            db.execute_batch("ROLLBACK")?;
            Err(error)
        }
    }
}

fn drop_bodies(db: &rusqlite::Connection, before: Timestamp) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "UPDATE record SET payload = NULL WHERE seq IN
           (SELECT seq FROM record WHERE kind = 'received' AND payload IS NOT NULL AND at < ?1 ORDER BY seq LIMIT ?2)",
    )?
    .execute(params![before.as_millis(), ROWS_A_STEP])
}

/// Records go from the front only, and the last one that went leaves its hash behind as the chain's new anchor.
fn drop_records(db: &rusqlite::Connection, before: Timestamp) -> rusqlite::Result<usize> {
    let last: Option<u64> = db
        .prepare_cached(
            "SELECT max(seq) FROM (SELECT seq FROM record WHERE seq <
               (SELECT coalesce(min(seq), 0) FROM record WHERE at >= ?1) ORDER BY seq LIMIT ?2)",
        )?
        .query_row(params![before.as_millis(), ROWS_A_STEP], |row| row.get(0))?;
    let Some(last) = last else { return Ok(0) };
    let last = before_pause(db, last, before)?;
    if !db.prepare_cached("SELECT EXISTS (SELECT 1 FROM record WHERE seq = ?1)")?.query_row([last], |row| row.get(0))? {
        return Ok(0);
    }
    db.prepare_cached("DELETE FROM anchor")?.execute([])?;
    db.prepare_cached("INSERT INTO anchor (seq, hash) SELECT seq, hash FROM record WHERE seq = ?1")?.execute([last])?;
    db.prepare_cached("DELETE FROM record WHERE seq <= ?1")?.execute([last])
}

/// `last`, or the record before the pause that is still on if that comes first: the kill switch must survive however long
/// it is on.
fn before_pause(db: &rusqlite::Connection, last: u64, before: Timestamp) -> rusqlite::Result<u64> {
    let paused: Option<u64> = db
        .prepare_cached(
            "SELECT seq FROM record WHERE seq <= ?1 AND kind = 'paused'
             AND coalesce(json_extract(data, '$.until') > ?2, true) ORDER BY seq DESC LIMIT 1",
        )?
        .query_row(params![last, before.as_millis()], |row| row.get(0))
        .optional()?;
    let Some(paused) = paused else { return Ok(last) };
    // Goes through everything after it, but only while a pause is on that is older than all that is kept.
    let is_over: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM record WHERE seq > ?1 AND kind IN ('paused', 'resumed'))")?
        .query_row([paused], |row| row.get(0))?;
    Ok(if is_over { last } else { paused - 1 })
}
