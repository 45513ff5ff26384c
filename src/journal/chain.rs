//! The hash chain over the records, and its head kept outside the database.
//!
//! Each record has a digest of its content, and a hash of the hash before it, its number and that digest. So a
//! body may be dropped when its time is over while the chain stays verifiable, and nothing can be changed, left
//! out or put in between unnoticed.
//!
//! SQLite drops the commits behind a damaged byte of its write-ahead log and calls what is left intact. The head
//! file notices that: the journal must be at least as long as it says.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// The hash before the first record.
pub const GENESIS: Hash = [0; 32];

/// The content of a record, as the digest covers it.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The kind of record.
    pub kind: &'a str,
    /// The event that it is about.
    pub event: Option<&'a str>,
    /// The run that it is about.
    pub run: Option<&'a str>,
    /// What a push is about.
    pub entity: Option<&'a str>,
    /// The record as JSON. That of a push holds the hash of its body, so the body is covered too, and all else stays
    /// verifiable when the body is gone.
    pub data: &'a str,
}

impl Content<'_> {
    /// The digest: every field with its length before it, so that no two contents read the same.
    pub fn digest(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.at_ms.to_le_bytes());
        for field in [
            Some(self.kind.as_bytes()),
            self.event.map(str::as_bytes),
            self.run.map(str::as_bytes),
            self.entity.map(str::as_bytes),
            Some(self.data.as_bytes()),
        ] {
            match field {
                None => hasher.update(&u64::MAX.to_le_bytes()),
                Some(bytes) => hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes),
            };
        }
        *hasher.finalize().as_bytes()
    }
}

/// The hash of the record `seq` with this digest, after a record with the hash `previous`.
pub fn link(previous: &Hash, seq: u64, digest: &Hash) -> Hash {
    let mut bytes = [0; 72];
    bytes[..32].copy_from_slice(previous);
    bytes[32..40].copy_from_slice(&seq.to_le_bytes());
    bytes[40..].copy_from_slice(digest);
    *blake3::hash(&bytes).as_bytes()
}

/// The end of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the last record; 0 where there is none.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// The head of an empty chain.
    pub const EMPTY: Self = Self { seq: 0, hash: GENESIS };
}

const HEAD_BYTES: usize = 8 + 32 + 32;

/// The file that keeps the head. It is written after each commit and not synced: it lags behind the database
/// after a power loss, never ahead of it.
#[derive(Debug)]
pub struct HeadFile(File);

impl HeadFile {
    /// Opens or makes the file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        Ok(Self(file))
    }

    /// What the file at `path` says, without making it; `None` where it is not there or torn.
    pub fn read_only(path: &Path) -> io::Result<Option<Head>> {
        match File::open(path) {
            Ok(file) => Self(file).read(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the file says; `None` where it is new, or torn in the middle of a write.
    pub fn read(&self) -> io::Result<Option<Head>> {
        let mut bytes = [0; HEAD_BYTES];
        match self.0.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes a new head.
    pub fn write(&self, head: &Head) -> io::Result<()> {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(&head.seq.to_le_bytes());
        bytes[8..40].copy_from_slice(&head.hash);
        let check = *blake3::hash(&bytes[..40]).as_bytes();
        bytes[40..].copy_from_slice(&check);
        self.0.write_all_at(&bytes, 0)
    }
}

fn decode(bytes: &[u8; HEAD_BYTES]) -> Option<Head> {
    let check: Hash = bytes[40..].try_into().ok()?;
    if *blake3::hash(&bytes[..40]).as_bytes() != check {
        return None;
    }
    let seq = u64::from_le_bytes(bytes[..8].try_into().ok()?);
    let hash = bytes[8..40].try_into().ok()?;
    Some(Head { seq, hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_writing_and_a_torn_one_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("head");
        let file = HeadFile::open(&path).unwrap();
        assert_eq!(file.read().unwrap(), None);
        let head = Head { seq: 7, hash: [9; 32] };
        file.write(&head).unwrap();
        assert_eq!(HeadFile::open(&path).unwrap().read().unwrap(), Some(head));
        file.0.write_all_at(&[1], 3).unwrap();
        assert_eq!(file.read().unwrap(), None);
    }

    #[test]
    fn contents_that_differ_only_in_where_a_field_ends_have_different_digests() {
        let content = |event, run| Content { at_ms: 1, kind: "k", event, run, entity: None, data: "{}" }.digest();
        assert_ne!(content(Some("ab"), Some("c")), content(Some("a"), Some("bc")));
        assert_ne!(content(Some(""), None), content(None, Some("")));
    }
}
