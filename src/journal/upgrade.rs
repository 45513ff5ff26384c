//! The copy that is kept when another version of stanch takes a journal over, so that the way back does not depend on
//! somebody's having made one before the upgrade.
//!
//! A newer version may write what an older one cannot read, or change the schema, so the copy is made before anything is
//! written. Where it cannot be made that is said, and the daemon starts all the same: pushes wait for it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

/// How many such copies are kept beside the journal: of this upgrade and of the one before it.
const COPIES_MAX: usize = 2;
/// Bytes that must be left on the disk beside a copy: the journal has to go on growing.
const KEEP_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// What the name of a copy begins with; the version before whose start it was made follows.
const PREFIX: &str = "journal.before-";
/// What it ends with.
const SUFFIX: &str = ".db";

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoCopy {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("its {need} bytes would leave less than {KEEP_FREE_BYTES} of the {free} that are free")]
    NoRoom { need: u64, free: u64 },
    #[error("somebody reads the journal, so that it cannot be brought into one file")]
    Busy,
}

/// Keeps a copy of the journal that `db` has open at `path`, if the version that started on it last is not `version`.
pub(super) fn keep_copy(db: &Connection, path: &Path, version: &str) {
    match copy(db, path, version) {
        Ok(None) => {}
        Ok(Some((copy, before))) => tracing::info!(
            copy = %copy.display(),
            before,
            "another version of stanch wrote this journal: a copy is kept, from which `stanch restore` takes the way back"
        ),
        Err(error) => tracing::warn!(
            %error,
            "another version of stanch wrote this journal, and no copy of it could be kept: the way back is a backup only"
        ),
    }
}

fn copy(db: &Connection, path: &Path, version: &str) -> Result<Option<(PathBuf, String)>, NoCopy> {
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| NoCopy::Io { doing, path, source }
    };
    let sql = "SELECT json_extract(data, '$.version') FROM record WHERE kind = 'started' ORDER BY seq DESC LIMIT 1";
    let before = match db.query_row(sql, [], |row| row.get::<_, String>(0)).optional()? {
        // Nothing ever started on it, so there is nothing to go back to.
        None => return Ok(None),
        Some(before) if before == version => return Ok(None),
        Some(before) => before,
    };
    let Some(folder) = path.parent() else { return Ok(None) };
    if db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))? != 0 {
        return Err(NoCopy::Busy);
    }
    let need = fs::metadata(path).map_err(io("look at", path))?.len();
    let space = rustix::fs::statvfs(folder).map_err(|error| io("look at the disk of", folder)(error.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < need.saturating_add(KEEP_FREE_BYTES) {
        return Err(NoCopy::NoRoom { need, free });
    }
    let to = folder.join(format!("{PREFIX}{version}{SUFFIX}"));
    let part = folder.join(format!("{PREFIX}{version}.part"));
    // The mode of the journal, which is nobody else's business, goes with it.
    fs::copy(path, &part).map_err(io("copy the journal to", &part))?;
    File::open(&part).and_then(|file| file.sync_all()).map_err(io("sync", &part))?;
    fs::rename(&part, &to).map_err(io("rename the copy to", &to))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync", folder))?;
    let_go(folder)?;
    Ok(Some((to, before)))
}

/// Removes all but the newest copies.
fn let_go(folder: &Path) -> Result<(), NoCopy> {
    let io = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| NoCopy::Io { doing, path, source }
    };
    let mut copies = Vec::new();
    for entry in fs::read_dir(folder).map_err(io("list", folder))?.flatten() {
        let is_copy = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if is_copy && let Ok(made) = entry.metadata().and_then(|metadata| metadata.modified()) {
            copies.push((made, entry.path()));
        }
    }
    copies.sort();
    let surplus = copies.len().saturating_sub(COPIES_MAX);
    copies.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path).map_err(io("remove the old copy", path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal on which `version` started last.
    fn journal(folder: &Path, version: &str) -> (Connection, PathBuf) {
        let path = folder.join("journal.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY, kind, data)",
        )
        .unwrap();
        let data = serde_json::json!({ "version": version }).to_string();
        db.execute("INSERT INTO record (kind, data) VALUES ('started', ?1)", [data]).unwrap();
        (db, path)
    }

    fn copies(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut copies: Vec<_> = names.filter(|name| name.starts_with(PREFIX)).collect();
        copies.sort();
        copies
    }

    #[test]
    fn a_copy_is_kept_when_the_version_changes_and_has_what_was_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = journal(folder.path(), "1.0.0");
        assert!(copy(&db, &path, "1.0.0").unwrap().is_none());
        assert!(copies(folder.path()).is_empty());
        let (kept, before) = copy(&db, &path, "1.1.0").unwrap().unwrap();
        assert_eq!((copies(folder.path()), before.as_str()), (vec!["journal.before-1.1.0.db".to_owned()], "1.0.0"));
        let count: i64 =
            Connection::open(kept).unwrap().query_row("SELECT count(*) FROM record", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
    }

    #[test]
    fn only_the_newest_copies_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = journal(folder.path(), "1.0.0");
        for (age, name) in [(3, "1.1.0"), (2, "1.2.0"), (1, "1.3.0")] {
            let (kept, _) = copy(&db, &path, name).unwrap().unwrap();
            let file = File::options().write(true).open(kept).unwrap();
            let made = file.metadata().unwrap().modified().unwrap();
            file.set_modified(made - std::time::Duration::from_secs(age * 60)).unwrap();
        }
        copy(&db, &path, "1.4.0").unwrap().unwrap();
        assert_eq!(copies(folder.path()), ["journal.before-1.3.0.db", "journal.before-1.4.0.db"]);
    }

    #[test]
    fn a_journal_that_nothing_started_on_needs_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = journal(folder.path(), "1.0.0");
        db.execute("DELETE FROM record", []).unwrap();
        assert!(copy(&db, &path, "1.1.0").unwrap().is_none());
    }
}
