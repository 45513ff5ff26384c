//! Reading the journal beside its writer: what commands, the API and `explain` ask for.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::OptionalExtension;

use super::history::Newest;
use super::record::Observed;
use super::record::{Decided, Record};
use super::store::{Store, StoreError, Stored, Verified, failed};
use crate::clock::Timestamp;
use crate::event::{Entity, EventId};
use crate::rule::RuleId;

/// How many records a look back for the decision behind a run goes over: a run that waits longer than that many
/// records take to be written has long expired.
pub const LOOK_BACK_MAX: u64 = 200_000;

/// A read-only view of the journal's file.
#[derive(Debug)]
pub struct Reader(Store);

impl Reader {
    /// Opens the journal's file for reading.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Store::open_read_only(path).map(Self)
    }

    /// The same, and whatever it reads ends with an error soon after `is_unwanted` says so: it is asked again and again
    /// meanwhile, by SQLite itself, so that also its own checks of the file can be called off.
    ///
    /// # Errors
    /// When SQLite cannot be told so.
    pub fn until(mut self, is_unwanted: impl FnMut() -> bool + Send + 'static) -> Result<Self, StoreError> {
        self.0.read_until(is_unwanted)?;
        Ok(self)
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

    /// The same with their bodies, which are handed out one by one, so that no more than one is held at a time.
    pub fn each_push_before(&self, before: u64, limit: usize, visit: impl FnMut(Stored)) -> Result<(), StoreError> {
        self.each(
            "SELECT seq, at, data, payload FROM record
             WHERE kind = 'received' AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
            (before, limit),
            visit,
        )
    }

    /// The newest pushes about an incident, and about the alerts that belong to it, newest first, bodies included.
    pub fn pushes_about(&self, incident: &str, limit: usize, visit: impl FnMut(Stored)) -> Result<(), StoreError> {
        self.each(
            "SELECT seq, at, data, payload FROM record WHERE kind = 'received' AND entity = 'incident:' || ?1
             UNION ALL
             SELECT seq, at, data, payload FROM record
             WHERE kind = 'received' AND entity >= 'alert:' AND entity < 'alert;'
             AND json_extract(data, '$.incident') = ?1
             ORDER BY seq DESC LIMIT ?2",
            (incident, limit),
            visit,
        )
    }

    /// The decision that led to a run, looked for among the last [`LOOK_BACK_MAX`] records up to `seq`. A run that
    /// never acted has no other record that names its event.
    pub fn decision_behind(&self, run: &str, seq: u64) -> Result<Option<Stored>, StoreError> {
        self.one(
            "SELECT seq, at, data, NULL FROM record
             WHERE seq <= ?2 AND seq > ?3 AND kind = 'decided' AND instr(data, ?1) > 0 ORDER BY seq DESC LIMIT 1",
            (run, seq, seq.saturating_sub(LOOK_BACK_MAX)),
        )
    }

    /// The number of the newest record; 0 where there is none.
    pub fn last_seq(&self) -> Result<u64, StoreError> {
        Ok(self.one("SELECT seq, at, data, NULL FROM record ORDER BY seq DESC LIMIT 1", [])?.map_or(0, |last| last.seq))
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

    /// What led to a run: the intent or the rerun names it; where it never came to that, the decision does.
    pub fn origin_of(&self, run: &str) -> Result<Option<Origin>, StoreError> {
        let records = self.about_run(run)?;
        let named = records.iter().find_map(|stored| match &stored.record {
            Record::RunIntended { event, rule, .. } => Some((event.to_string(), rule.clone())),
            Record::Rerun { observed, decided, .. } => Some((observed.event.to_string(), decided.rule.clone())),
            _ => None,
        });
        let (event, rule) = match (named, records.first()) {
            (Some(named), _) => named,
            (None, None) => return Ok(None),
            // Decisions are not filed by run. It lies behind, so the search goes back from there.
            (None, Some(first)) => {
                let decided = self.one(
                    "SELECT seq, at, data, NULL FROM record
                     WHERE seq < ?1 AND kind = 'decided' AND instr(data, ?2) > 0 ORDER BY seq DESC LIMIT 1",
                    (first.seq, format!("\"run\":\"{run}\"")),
                )?;
                let Some(Record::Decided { event: Some(event), decisions, .. }) = decided.map(|stored| stored.record)
                else {
                    return Ok(None);
                };
                let is_it = |decided: &&Decided| {
                    decided.reservation.as_ref().is_some_and(|reservation| reservation.run.as_str() == run)
                };
                let Some(decided) = decisions.iter().find(is_it) else { return Ok(None) };
                (event.to_string(), decided.rule.clone())
            }
        };
        let push = self.push(&event)?;
        Ok(push.map(|push| Origin { seq: push.seq, event: EventId::new(event), rule }))
    }

    /// The record of a run's intent; `None` where it never acted.
    pub fn intent_of(&self, run: &str) -> Result<Option<Stored>, StoreError> {
        self.one(
            "SELECT seq, at, data, NULL FROM record WHERE run = ?1 AND kind = 'run-intended' ORDER BY seq LIMIT 1",
            [run],
        )
    }

    /// The newest intents and ends of runs before the number `before`, newest first.
    pub fn run_marks_before(&self, before: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.many(
            "SELECT seq, at, data, NULL FROM record
             WHERE kind IN ('run-intended', 'run-ended') AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
            (before, limit),
        )
    }

    /// Whether anything was received about an entity.
    pub fn knows(&self, entity: &Entity) -> Result<bool, StoreError> {
        let sql = "SELECT seq, at, data, NULL FROM record WHERE kind = 'received' AND entity = ?1 LIMIT 1";
        Ok(self.one(sql, [entity.to_string()])?.is_some())
    }

    /// What was decided on the pushes with these numbers, or why each was set aside, in their order.
    pub fn decisions_on(&self, pushes: &[u64]) -> Result<Vec<Option<Stored>>, StoreError> {
        let mut found: BTreeMap<u64, Option<Stored>> = pushes.iter().map(|seq| (*seq, None)).collect();
        let (Some(oldest), Some(newest)) = (found.keys().next().copied(), found.keys().next_back().copied()) else {
            return Ok(Vec::new());
        };
        // Events are decided in their order and soon after they came, so one way through what follows the oldest meets
        // all that concerns them, and ends where the newest is settled.
        let mut missing = found.len();
        let sql = "SELECT seq, at, data, NULL FROM record
                   WHERE seq > ?1 AND kind IN ('decided', 'set-aside') ORDER BY seq";
        self.walk(sql, [oldest], |stored| {
            let (from, to) = match &stored.record {
                Record::Decided { from_seq, to_seq, .. } => (*from_seq, *to_seq),
                Record::SetAside { seq, .. } => (*seq, *seq),
                _ => return true,
            };
            if from <= to {
                for (_, decision) in found.range_mut(from..=to).filter(|(_, decision)| decision.is_none()) {
                    *decision = Some(stored.clone());
                    missing -= 1;
                }
            }
            missing > 0 && to < newest
        })?;
        Ok(pushes.iter().map(|seq| found.get(seq).cloned().flatten()).collect())
    }

    /// What was decided on the push with this number, or why it was set aside.
    pub fn decision_on(&self, seq: u64) -> Result<Option<Stored>, StoreError> {
        Ok(self.decisions_on(&[seq])?.pop().flatten())
    }

    /// Reads records in order, from `from_seq` on, and hands each to `visit` until it says no.
    pub fn scan(&self, from_seq: u64, visit: impl FnMut(Stored) -> bool) -> Result<(), StoreError> {
        self.0.scan(from_seq, visit)
    }

    /// Reads every record in order, bodies included.
    pub fn scan_with_bodies(&self, visit: impl FnMut(Stored) -> bool) -> Result<(), StoreError> {
        self.scan_with_bodies_from(0, visit)
    }

    /// The same from `from_seq` on.
    pub fn scan_with_bodies_from(&self, from_seq: u64, visit: impl FnMut(Stored) -> bool) -> Result<(), StoreError> {
        self.0.scan_with_bodies(from_seq, visit)
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

    /// Checks that the chain, which ends at `head`, still holds a head that somebody kept.
    pub fn check_holds(&self, head: &super::chain::Head, kept: &super::chain::Head) -> Result<(), StoreError> {
        self.0.check_holds(head, kept)
    }

    /// Checks the whole chain.
    pub fn verify(&self) -> Result<Verified, StoreError> {
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

    fn each(&self, sql: &str, params: impl rusqlite::Params, mut visit: impl FnMut(Stored)) -> Result<(), StoreError> {
        self.walk(sql, params, |stored| {
            visit(stored);
            true
        })
    }

    fn walk(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        mut visit: impl FnMut(Stored) -> bool,
    ) -> Result<(), StoreError> {
        let fail = |source| failed("read", self.0.path(), source);
        let mut statement = self.0.db().prepare_cached(sql).map_err(fail)?;
        let mut rows = statement.query(params).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            if !visit(self.0.stored(row)?) {
                break;
            }
        }
        Ok(())
    }

    fn many(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Stored>, StoreError> {
        let fail = |source| failed("read", self.0.path(), source);
        let mut statement = self.0.db().prepare_cached(sql).map_err(fail)?;
        let rows = statement.query_map(params, |row| Ok(self.0.stored(row))).map_err(fail)?;
        rows.map(|row| row.map_err(fail)?).collect()
    }
}

/// What led to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The number in the journal of its event.
    pub seq: u64,
    /// Its event.
    pub event: EventId,
    /// Its rule.
    pub rule: RuleId,
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
