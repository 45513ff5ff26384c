//! Copies of the journal: taken while the daemon writes, and put back in its place.
//!
//! A copy is one file. SQLite makes it from a single state of the journal, so the chain in it is whole; it is checked
//! from its first record to its last before it gets its name, and again before it is put back.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::chain::{Head, HeadFile};
use super::store::{Store, StoreError, failed};
use super::{FILE_NAME, HEAD_NAME};

/// Why there is no copy, or why it was not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The journal or the copy cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be made, moved or read.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something is in the way. Nothing is ever overwritten.
    #[error("{path} exists already: nothing is overwritten; choose another name, or move it away first", path = .0.display())]
    InTheWay(PathBuf),
    /// The daemon runs.
    #[error("the daemon runs on {path}: stop it before a journal is put back", path = .0.display())]
    InUse(PathBuf),
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { doing, path, source }
}

/// Copies the journal in the folder `data` to the new file `to`, mode 0600, beside a daemon that may be writing.
/// Returns the head of the copy's chain, every record of which was checked.
///
/// # Errors
/// A journal that cannot be read or is damaged, a file that is there already, and a disk that is full; a copy that was
/// begun is removed.
pub fn back_up(data: &Path, to: &Path) -> Result<Head, BackupError> {
    if to.exists() {
        return Err(BackupError::InTheWay(to.to_owned()));
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    // Made first, so that it has its mode before there is anything in it.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
    made.map_err(io_error("create", &part))?;
    let copied = copy(&data.join(FILE_NAME), &part).and_then(|head| {
        std::fs::hard_link(&part, to).map_err(io_error("create", to))?;
        Ok(head)
    });
    // Gone either way: what has its name stays under it.
    std::fs::remove_file(&part).map_err(io_error("remove", &part))?;
    let head = copied?;
    sync_folder(to)?;
    Ok(head)
}

fn copy(from: &Path, to: &Path) -> Result<Head, BackupError> {
    let store = Store::open_read_only(from)?;
    let to_text = to.to_string_lossy();
    store.db().execute("VACUUM INTO ?1", [&*to_text]).map_err(|source| failed("copy", from, source))?;
    let head = Store::open_read_only(to)?.verify()?.head;
    File::open(to).and_then(|file| file.sync_all()).map_err(io_error("sync", to))?;
    Ok(head)
}

/// Puts the copy `from` into the folder `data`, which must have no journal. Returns the head of its chain. What it makes
/// belongs to the owner of the folder, so that root can put back the journal of a daemon that is another account's.
///
/// # Errors
/// A copy that is damaged, a journal in the way, and a daemon that runs there.
pub fn restore(from: &Path, data: &Path) -> Result<Head, BackupError> {
    let head = Store::open_read_only(from)?.verify()?.head;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(io_error("create", data))?;
    let lock_path = data.join("lock");
    let lock = File::create(&lock_path).map_err(io_error("open", &lock_path))?;
    match super::take(&lock) {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(BackupError::InUse(data.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => return Err(io_error("lock", &lock_path)(error)),
    }
    let (journal, head_path) = (data.join(FILE_NAME), data.join(HEAD_NAME));
    // A write-ahead log without its journal would be taken for the copy's.
    let wal = data.join(format!("{FILE_NAME}-wal"));
    for path in [&journal, &head_path, &wal] {
        if path.exists() {
            return Err(BackupError::InTheWay(path.clone()));
        }
    }
    let mut source = File::open(from).map_err(io_error("read", from))?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&journal);
    let mut target = made.map_err(io_error("create", &journal))?;
    io::copy(&mut source, &mut target).and_then(|_| target.sync_all()).map_err(io_error("write", &journal))?;
    let outside = HeadFile::open(&head_path).map_err(io_error("create", &head_path))?;
    outside.write(&head).map_err(io_error("write", &head_path))?;
    let owner = std::fs::metadata(data).map_err(io_error("look at", data))?;
    for path in [&lock_path, &journal, &head_path] {
        let file = File::open(path).map_err(io_error("open", path))?;
        let found = file.metadata().map_err(io_error("look at", path))?;
        if (found.uid(), found.gid()) != (owner.uid(), owner.gid()) {
            fchown(&file, Some(owner.uid()), Some(owner.gid())).map_err(io_error("give the folder's owner", path))?;
        }
    }
    sync_folder(&journal)?;
    Ok(head)
}

/// Makes the name of a new file durable.
fn sync_folder(file: &Path) -> Result<(), BackupError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}
