//! Reading the journal beside its writer: what commands, the API and `explain` ask for.

use std::path::Path;

use rusqlite::OptionalExtension;

use super::history::Newest;
use super::record::Observed;
use super::record::Record;
use super::store::{Store, StoreError, Stored, failed};
use crate::clock::Timestamp;
use crate::event::Entity;

/// A read-only view of the journal's file.
#[derive(Debug)]
pub struct Reader(Store);

impl Reader {
    /// Opens the journal's file for reading.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Store::open_read_only(path).map(Self)
    }

    /// The push with this number, body included.
    pub fn push_at(&self, seq: u64) -> Result<Option<Stored>, StoreError> {
        self.one("SELECT seq, at, data, payload FROM record WHERE seq = ?1 AND kind = 'received'", [seq])
    }

    /// The push with this event id, body included.
    pub fn push(&self, event: &str) -> Result<Option<Stored>, StoreError> {
        self.one("SELECT seq, at, data, payload FROM record WHERE kind = 'received' AND event = ?1", [event])
    }

    /// The newest pushes before the number `before`, newest first.
    pub fn pushes_before(&self, before: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.many(
            "SELECT seq, at, data, NULL FROM record WHERE kind = 'received' AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
            (before, limit),
        )
    }

    /// Everything about an event but its push: what was decided, and what its runs did.
    pub fn about_event(&self, event: &str) -> Result<Vec<Stored>, StoreError> {
        self.many(
            "SELECT seq, at, data, NULL FROM record WHERE kind <> 'received' AND event = ?1 ORDER BY seq",
            [event],
        )
    }

    /// Everything about a run since its intent.
    pub fn about_run(&self, run: &str) -> Result<Vec<Stored>, StoreError> {
        self.many("SELECT seq, at, data, NULL FROM record WHERE run = ?1 ORDER BY seq", [run])
    }

    /// The newest intents and ends of runs before the number `before`, newest first.
    pub fn run_marks_before(&self, before: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.many(
            "SELECT seq, at, data, NULL FROM record
             WHERE kind IN ('run-intended', 'run-ended') AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
            (before, limit),
        )
    }

    /// The decision on the push with this number, whether it has a record of its own or shares one.
    pub fn decision_on(&self, seq: u64) -> Result<Option<Stored>, StoreError> {
        // Decisions follow their events closely: the first one that reaches as far as `seq` is it.
        self.one(
            "SELECT seq, at, data, NULL FROM record
             WHERE seq > ?1 AND kind = 'decided' AND json_extract(data, '$.to_seq') >= ?1 ORDER BY seq LIMIT 1",
            [seq],
        )
    }

    /// Reads records in order, from `from_seq` on, and hands each to `visit` until it says no.
    pub fn scan(&self, from_seq: u64, visit: impl FnMut(Stored) -> bool) -> Result<(), StoreError> {
        self.0.scan(from_seq, visit)
    }

    /// Reads every record in order, bodies included.
    pub fn scan_with_bodies(&self, visit: impl FnMut(Stored) -> bool) -> Result<(), StoreError> {
        self.0.scan_with_bodies(0, visit)
    }

    /// The number and the time of the newest push.
    pub fn last_push(&self) -> Result<Option<(u64, Timestamp)>, StoreError> {
        let sql = "SELECT seq, at FROM record WHERE kind = 'received' ORDER BY seq DESC LIMIT 1";
        self.number_and_time(sql, [])
    }

    /// The number and the time of the first record, and of the last one.
    pub fn ends(&self) -> Result<Option<[(u64, Timestamp); 2]>, StoreError> {
        let first = self.number_and_time("SELECT seq, at FROM record ORDER BY seq LIMIT 1", [])?;
        let last = self.number_and_time("SELECT seq, at FROM record ORDER BY seq DESC LIMIT 1", [])?;
        Ok(first.zip(last).map(|(first, last)| [first, last]))
    }

    /// The number of the first record that was made at `at` or later. Times do not fall in the order of the journal,
    /// so this looks at few records.
    pub fn first_since(&self, at: Timestamp) -> Result<u64, StoreError> {
        let Some([(mut low, _), (last, _)]) = self.ends()? else { return Ok(0) };
        let mut high = last + 1;
        while low < high {
            let middle = low + (high - low) / 2;
            let sql = "SELECT seq, at FROM record WHERE seq >= ?1 ORDER BY seq LIMIT 1";
            match self.number_and_time(sql, [middle])? {
                Some((seq, then)) if then < at => low = seq + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn number_and_time(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Option<(u64, Timestamp)>, StoreError> {
        let fail = |source| failed("read", self.0.path(), source);
        let mut statement = self.0.db().prepare_cached(sql).map_err(fail)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Timestamp::from_millis(row.get(1)?)));
        statement.query_row(params, row).optional().map_err(fail)
    }

    /// Reads what can be replayed from the number `from_seq` up to `to_seq`, in order, bodies included, until `visit`
    /// says no: pushes, decisions, intents and ends of runs, and pauses. What steps printed is not among it.
    pub fn replay(&self, from_seq: u64, to_seq: u64, visit: impl FnMut(Stored) -> bool) -> Result<(), StoreError> {
        let sql = "SELECT seq, at, data, payload FROM record
             WHERE seq BETWEEN ?1 AND ?2
               AND kind IN ('received', 'decided', 'run-intended', 'run-ended', 'paused', 'resumed') ORDER BY seq";
        self.0.scan_by(sql, (from_seq, to_seq), visit)
    }

    /// Compares the chain, which ends at `head`, with the head that was kept outside.
    pub fn check_against(&self, head: &super::chain::Head, outside: &super::chain::Head) -> Result<(), StoreError> {
        self.0.check_against(head, outside)
    }

    /// Checks the whole chain.
    pub fn verify(&self) -> Result<super::chain::Head, StoreError> {
        self.0.verify()
    }

    /// The newest state of an entity before the push `seq`, from the journal itself: for those that memory let go.
    pub fn newest_before(&self, entity: &Entity, seq: u64, strict: bool) -> Result<Option<Newest>, StoreError> {
        let stored = self.many(
            "SELECT seq, at, data, NULL FROM record
             WHERE kind = 'received' AND entity = ?1 AND seq < ?2 ORDER BY seq",
            (entity.to_string(), seq),
        )?;
        let mut order = super::history::Order::default();
        order.set_strict(strict);
        for one in &stored {
            if let Some(observed) = observed(one) {
                order.observe(&observed);
            }
        }
        Ok(order.get(entity).copied())
    }

    fn one(&self, sql: &str, params: impl rusqlite::Params) -> Result<Option<Stored>, StoreError> {
        let fail = |source| failed("read", self.0.path(), source);
        let mut statement = self.0.db().prepare_cached(sql).map_err(fail)?;
        statement.query_row(params, |row| Ok(self.0.stored(row))).optional().map_err(fail)?.transpose()
    }

    fn many(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Stored>, StoreError> {
        let fail = |source| failed("read", self.0.path(), source);
        let mut statement = self.0.db().prepare_cached(sql).map_err(fail)?;
        let rows = statement.query_map(params, |row| Ok(self.0.stored(row))).map_err(fail)?;
        rows.map(|row| row.map_err(fail)?).collect()
    }
}

/// What the fold needs to know of a stored push; `None` for any other record.
pub fn observed(stored: &Stored) -> Option<Observed> {
    match &stored.record {
        Record::Received { event, event_type, time, time_mark, entity, incident, channel, closed, .. } => {
            Some(Observed {
                seq: stored.seq,
                event: event.clone(),
                event_type: event_type.clone(),
                time: *time,
                time_mark: *time_mark,
                received_at: stored.at,
                entity: entity.clone(),
                incident: incident.clone(),
                channel: *channel,
                closed: *closed,
            })
        }
        _ => None,
    }
}
