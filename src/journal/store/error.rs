//! Why the journal's file cannot be used, and what to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::SCHEMA_VERSION;

/// Why the journal's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite, or the disk below it, refused.
    #[error("cannot {doing} the journal {path}: {source}", path = path.display())]
    Sqlite {
        /// What was attempted.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// A file beside it cannot be used.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is none.
    #[error("there is no journal at {path}: the daemon makes it when it starts; see that `-c` names its config, and `data` in it this folder", path = path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Another process has it open for writing.
    #[error("the journal {path} is in use by another stanch: stop that one, or give this one a `data` folder of its own", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a later version, which keeps it in another way.
    #[error("the journal {path} has schema version {found}, and this stanch ({own}) knows only {SCHEMA_VERSION}: a newer one wrote it. It was left as it is. Use the newer stanch; or, to go back, move the `data` folder away and put back a copy from before the upgrade: `stanch restore FILE`", path = path.display(), own = env!("CARGO_PKG_VERSION"))]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// A record is what was written, and this version does not know what it says.
    #[error("record {seq} of the journal {path}, of the kind `{kind}`, is intact, but this stanch ({own}) cannot read it ({why}): {writer} wrote it. Use that one; or, to go back, move the `data` folder away and put back a copy from before the upgrade: `stanch restore FILE`", path = path.display(), own = env!("CARGO_PKG_VERSION"))]
    NotUnderstood {
        /// The file.
        path: PathBuf,
        /// The record.
        seq: u64,
        /// Its kind.
        kind: String,
        /// What cannot be read.
        why: String,
        /// Who wrote it, as far as the journal tells.
        writer: String,
    },
    /// Its content is not what was written.
    #[error("the journal {path} is damaged: {what}. Restore it from a backup, or move the `data` folder away to begin anew; `stanch audit verify` shows how far it is intact", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
}

/// An SQLite error in the words of this module.
pub(in super::super) fn failed(doing: &'static str, path: &Path, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse { path: path.to_owned() },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { path: path.to_owned(), what: source.to_string() }
        }
        _ => StoreError::Sqlite { doing, path: path.to_owned(), source },
    }
}
