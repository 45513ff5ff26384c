//! The copy that is kept when another version of stanch takes a journal over, so that the way back does not depend on
//! somebody's having made one before the upgrade.
//!
//! A newer version may write what an older one cannot read, or change the schema, so the copy is made before anything is
//! written; and after the whole journal was read, so that a version that cannot read it makes none. Where it cannot be
//! made that is said, and the daemon starts all the same: its port is closed meanwhile, and what is pushed to a closed
//! port is lost.
//!
//! The file of the journal is never opened here: SQLite reads it, on the connection that has it open. To close any other
//! descriptor of it would take away the locks that SQLite holds on it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OptionalExtension};

/// How many such copies are kept beside the journal: of this upgrade and of the one before it.
const COPIES_MAX: usize = 2;
/// Bytes that must be left on the disk beside a copy: the journal has to go on growing.
const KEEP_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// Pages that are copied between two signs that the work goes on: 16 MiB, of which a slow disk writes some in a second.
const PAGES_A_STEP: std::ffi::c_int = 2048;
/// What the name of a copy begins with; the version before whose start it was made follows.
const PREFIX: &str = "journal.before-";
/// What it ends with.
const SUFFIX: &str = ".db";
/// What it ends with until it is whole, and what the names of the files end with that SQLite puts beside it.
const UNFINISHED: [&str; 3] = [".part", ".part-wal", ".part-shm"];

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoCopy {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("its {need} bytes would leave less than {KEEP_FREE_BYTES} of the {free} that are free")]
    NoRoom { need: u64, free: u64 },
    #[error("another program keeps the journal locked")]
    Busy,
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NoCopy {
    let path = path.to_owned();
    move |source| NoCopy::Io { doing, path, source }
}

/// Keeps a copy of the journal that `db` has open at `path`, if the version that started on it last is not `version`.
/// `working` is called while it is made.
pub(super) fn keep_copy(db: &Connection, path: &Path, version: &str, working: fn()) {
    match copy(db, path, version, working) {
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

fn copy(db: &Connection, path: &Path, version: &str, working: fn()) -> Result<Option<(PathBuf, String)>, NoCopy> {
    let Some(folder) = path.parent() else { return Ok(None) };
    // What is copied is one state of the journal, its write-ahead log included, whatever another program does to it.
    let reading = db.unchecked_transaction()?;
    let sql = "SELECT json_extract(data, '$.version') FROM record WHERE kind = 'started' ORDER BY seq DESC LIMIT 1";
    let before = match reading.query_row(sql, [], |row| row.get::<_, String>(0)).optional()? {
        // Nothing ever started on it, so there is nothing to go back to.
        None => return Ok(None),
        Some(before) if before == version => return Ok(None),
        Some(before) => before,
    };
    remove_unfinished(folder)?;
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let need: u64 = reading.query_row(sql, [], |row| row.get(0))?;
    let space = rustix::fs::statvfs(folder).map_err(|error| io("look at the disk of", folder)(error.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < need.saturating_add(KEEP_FREE_BYTES) {
        return Err(NoCopy::NoRoom { need, free });
    }
    let to = folder.join(format!("{PREFIX}{version}{SUFFIX}"));
    let part = folder.join(format!("{PREFIX}{version}{}", UNFINISHED[0]));
    let made =
        write(&reading, &part, working).and_then(|()| fs::rename(&part, &to).map_err(io("rename the copy to", &to)));
    if let Err(error) = made {
        // Part of a copy is of no use, and takes the room that the journal may be short of.
        remove_unfinished(folder)?;
        return Err(error);
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync", folder))?;
    let_go(folder)?;
    Ok(Some((to, before)))
}

/// Copies the journal to the new file `part`, some pages at a time, so that there are signs of it. `VACUUM INTO` gives none,
/// and takes longer.
fn write(db: &Connection, part: &Path, working: fn()) -> Result<(), NoCopy> {
    // Made first, so that it has its mode before there is anything in it.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part);
    drop(file.map_err(io("create", part))?);
    let open = || {
        let copy = Connection::open(part)?;
        // It is synced once, when it is whole, and removed if it does not become so.
        copy.pragma_update(None, "synchronous", "OFF")?;
        Ok::<_, rusqlite::Error>(copy)
    };
    let mut copy = open()?;
    copy.query_row("PRAGMA journal_mode = OFF", [], |_| Ok(()))?;
    let backup = Backup::new(db, &mut copy)?;
    loop {
        working();
        match backup.step(PAGES_A_STEP)? {
            StepResult::More => {}
            StepResult::Done => break,
            _ => return Err(NoCopy::Busy),
        }
    }
    drop(backup);
    drop(copy);
    // A file in this mode is read from a folder that cannot be written, too.
    open()?.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    File::open(part).and_then(|file| file.sync_all()).map_err(io("sync", part))?;
    working();
    Ok(())
}

/// Removes what is left of copies that were not finished.
fn remove_unfinished(folder: &Path) -> Result<(), NoCopy> {
    let unfinished = |name: &str| UNFINISHED.iter().any(|suffix| name.ends_with(suffix));
    let found = beside(folder, unfinished)?;
    found
        .iter()
        .try_for_each(|entry| fs::remove_file(entry.path()).map_err(io("remove the unfinished copy", &entry.path())))
}

/// Removes all but the newest copies.
fn let_go(folder: &Path) -> Result<(), NoCopy> {
    let mut copies = Vec::new();
    for entry in beside(folder, |name| name.ends_with(SUFFIX))? {
        if let Ok(made) = entry.metadata().and_then(|metadata| metadata.modified()) {
            copies.push((made, entry.path()));
        }
    }
    copies.sort();
    let surplus = copies.len().saturating_sub(COPIES_MAX);
    copies.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path).map_err(io("remove the old copy", path)))
}

/// Files of the folder that are named like a copy and end as asked.
fn beside(folder: &Path, ends: impl Fn(&str) -> bool) -> Result<Vec<fs::DirEntry>, NoCopy> {
    let entries = fs::read_dir(folder).map_err(io("list", folder))?.flatten();
    let asked = |name: &str| name.starts_with(PREFIX) && ends(name);
    Ok(entries.filter(|entry| entry.file_name().to_str().is_some_and(asked)).collect())
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
        assert!(copy(&db, &path, "1.0.0", || {}).unwrap().is_none());
        assert!(copies(folder.path()).is_empty());
        let (kept, before) = copy(&db, &path, "1.1.0", || {}).unwrap().unwrap();
        assert_eq!((copies(folder.path()), before.as_str()), (vec!["journal.before-1.1.0.db".to_owned()], "1.0.0"));
        let kept = Connection::open(kept).unwrap();
        let count: i64 = kept.query_row("SELECT count(*) FROM record", [], |row| row.get(0)).unwrap();
        let mode: String = kept.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!((count, mode.as_str()), (1, "delete"));
    }

    #[test]
    fn only_the_newest_copies_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = journal(folder.path(), "1.0.0");
        for (age, name) in [(3, "1.1.0"), (2, "1.2.0"), (1, "1.3.0")] {
            let (kept, _) = copy(&db, &path, name, || {}).unwrap().unwrap();
            let file = File::options().write(true).open(kept).unwrap();
            let made = file.metadata().unwrap().modified().unwrap();
            file.set_modified(made - std::time::Duration::from_secs(age * 60)).unwrap();
        }
        copy(&db, &path, "1.4.0", || {}).unwrap().unwrap();
        assert_eq!(copies(folder.path()), ["journal.before-1.3.0.db", "journal.before-1.4.0.db"]);
    }

    #[test]
    fn what_is_left_of_an_unfinished_copy_goes_and_a_copy_that_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = journal(folder.path(), "1.0.0");
        for left in ["journal.before-1.0.9.part", "journal.before-1.1.0.part", "journal.before-1.1.0.part-wal"] {
            fs::write(folder.path().join(left), "cut off").unwrap();
        }
        copy(&db, &path, "1.1.0", || {}).unwrap().unwrap();
        assert_eq!(copies(folder.path()), ["journal.before-1.1.0.db"]);
        // Where its name is taken by a folder, the copy is whole and cannot be given its name.
        fs::create_dir(folder.path().join("journal.before-1.2.0.db")).unwrap();
        assert!(copy(&db, &path, "1.2.0", || {}).is_err());
        assert_eq!(copies(folder.path()), ["journal.before-1.1.0.db", "journal.before-1.2.0.db"]);
    }

    #[test]
    fn somebody_who_reads_the_journal_is_no_reason_to_keep_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = journal(folder.path(), "1.0.0");
        let reader = Connection::open(&path).unwrap();
        let reading = reader.unchecked_transaction().unwrap();
        reading.query_row("SELECT count(*) FROM record", [], |_| Ok(())).unwrap();
        assert!(copy(&db, &path, "1.1.0", || {}).unwrap().is_some());
    }

    #[test]
    fn a_journal_that_nothing_started_on_needs_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = journal(folder.path(), "1.0.0");
        db.execute("DELETE FROM record", []).unwrap();
        assert!(copy(&db, &path, "1.1.0", || {}).unwrap().is_none());
    }
}
