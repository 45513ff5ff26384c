//! Letting go of what is too old, without breaking the chain.

use rusqlite::params;

use super::Journal;
use super::store::Store;
use super::writer::Submission;
use crate::clock::Timestamp;
use crate::config::Retention;

/// How many rows one step touches, so that a commit behind it does not wait long.
const ROWS_A_STEP: usize = 2_000;

impl Journal {
    /// Drops bodies of events and whole records that are older than `retention` says, a bounded number of them.
    /// Resolves with how many rows were touched; zero means there is nothing left to drop.
    pub async fn retain(&self, retention: &Retention, now: Timestamp) -> usize {
        let bodies_before = now.minus(retention.events);
        let records_before = now.minus(retention.runs.max(retention.events));
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
    db.prepare_cached("DELETE FROM anchor")?.execute([])?;
    db.prepare_cached("INSERT INTO anchor (seq, hash) SELECT seq, hash FROM record WHERE seq = ?1")?.execute([last])?;
    db.prepare_cached("DELETE FROM record WHERE seq <= ?1")?.execute([last])
}
