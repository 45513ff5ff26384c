//! Is the chain whole, and is a record that cannot be read damaged or only newer.

use rusqlite::OptionalExtension;

use super::super::chain::{Content, Head, link};
use super::super::record::Record;
use super::{Store, StoreError, Verified, failed, to_hash};

impl Store {
    /// Why a record cannot be read back. One whose digest fits was written so, by a version that knows more.
    pub(super) fn why_unread(&self, seq: u64, error: &serde_json::Error) -> StoreError {
        let look = || -> rusqlite::Result<(String, bool)> {
            let sql = "SELECT at, kind, event, run, entity, data, digest FROM record WHERE seq = ?1";
            self.db.query_row(sql, [seq], |row| {
                let text = |index| row.get_ref(index)?.as_str_or_null().map_err(rusqlite::Error::from);
                let kind = text(1)?.unwrap_or_default();
                let content = Content {
                    at_ms: row.get(0)?,
                    kind,
                    event: text(2)?,
                    run: text(3)?,
                    entity: text(4)?,
                    data: text(5)?.unwrap_or_default(),
                };
                Ok((kind.to_owned(), content.digest().as_slice() == row.get_ref(6)?.as_blob()?))
            })
        };
        match look() {
            Ok((kind, true)) => {
                let sql = "SELECT json_extract(data, '$.version') FROM record
                           WHERE kind = 'started' AND seq <= ?1 ORDER BY seq DESC LIMIT 1";
                let writer = self.db.query_row(sql, [seq], |row| row.get::<_, String>(0));
                let writer = writer.map_or_else(|_| "another version".into(), |version| format!("stanch {version}"));
                StoreError::NotUnderstood { path: self.path.clone(), seq, kind, why: error.to_string(), writer }
            }
            Ok((_, false)) => self.damaged(format!("record {seq} cannot be read back: {error}")),
            Err(source) => failed("read", &self.path, source),
        }
    }

    /// Goes through the whole chain and checks every digest and hash, and that SQLite's own structures are sound, the
    /// indexes by which records are found among them. Returns what is left of the chain.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let fail = |source| failed("read", &self.path, source);
        // The first complaint is enough; without the limit a damaged file brings a hundred.
        let complaint: String = self.db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(fail)?;
        if complaint != "ok" {
            return Err(self.damaged(complaint));
        }
        let mut head = self
            .db
            .query_row("SELECT seq, hash FROM anchor ORDER BY seq DESC LIMIT 1", [], |row| {
                Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()
            .map_err(fail)?
            .map_or(Ok(Head::EMPTY), |(seq, hash)| {
                to_hash(&hash).map(|hash| Head { seq, hash }).ok_or_else(|| self.damaged_hash(seq))
            })?;
        let mut statement = self
            .db
            .prepare("SELECT seq, at, kind, event, run, entity, data, payload, digest, hash FROM record ORDER BY seq")
            .map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        let dropped = head.seq;
        while let Some(row) = rows.next().map_err(fail)? {
            head = self.verify_row(row, &head)?;
        }
        Ok(Verified { dropped, head })
    }

    fn verify_row(&self, row: &rusqlite::Row<'_>, before: &Head) -> Result<Head, StoreError> {
        let fail = |source| failed("read", &self.path, source);
        let seq: u64 = row.get(0).map_err(fail)?;
        if seq != before.seq + 1 {
            return Err(self.damaged(format!("record {} is followed by record {seq}", before.seq)));
        }
        let text = |index| row.get_ref(index).map_err(fail)?.as_str_or_null().map_err(|error| fail(error.into()));
        let (data, payload) = (text(6)?.unwrap_or_default(), text(7)?);
        let digest: Vec<u8> = row.get(8).map_err(fail)?;
        let digest = to_hash(&digest).ok_or_else(|| self.damaged_hash(seq))?;
        let content = Content {
            at_ms: row.get(1).map_err(fail)?,
            kind: text(2)?.unwrap_or_default(),
            event: text(3)?,
            run: text(4)?,
            entity: text(5)?,
            data,
        };
        // A body whose time is over was dropped; its hash still stands in the record.
        let is_body_intact = payload.is_none_or(|payload| body_hash_in(data).is_some_and(|hash| hash == hex(payload)));
        if content.digest() != digest || !is_body_intact {
            return Err(self.damaged(format!("the content of record {seq} was changed after it was written")));
        }
        let hash = link(&before.hash, seq, &digest);
        let stored: Vec<u8> = row.get(9).map_err(fail)?;
        if stored != hash {
            return Err(self.damaged(format!("the hash of record {seq} does not follow from the record before it")));
        }
        Ok(Head { seq, hash })
    }
}

/// The hash of the body that a record of a push names.
fn body_hash_in(data: &str) -> Option<String> {
    match serde_json::from_str(data) {
        Ok(Record::Received { body_hash, .. }) => Some(body_hash),
        _ => None,
    }
}

fn hex(payload: &str) -> String {
    blake3::hash(payload.as_bytes()).to_hex().to_string()
}
