//! The hash chain over the records, and its head kept outside the database.
//!
//! Each record has a digest of its content, and a hash of the hash before it, its number and that digest. So a
//! body may be dropped when its time is over while the chain stays verifiable, and nothing can be changed, left
//! out or put in between unnoticed.
//!
//! SQLite drops the commits behind a damaged byte of its write-ahead log and calls what is left intact. The head
//! file notices that: the journal must be at least as long as it says.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;

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

impl fmt::Display for Head {
    /// `SEQ:HASH`, the hash in hexadecimal: the form in which it can be kept elsewhere and compared later.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, blake3::Hash::from(self.hash))
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "a head is SEQ:HASH, as `stanch audit verify` prints it".to_owned();
        let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
        let hash = blake3::Hash::from_hex(hash).map_err(|_| wrong())?;
        Ok(Self { seq: seq.parse().map_err(|_| wrong())?, hash: *hash.as_bytes() })
    }
}

const HEAD_BYTES: usize = 8 + 32 + 32;

/// What is known of the chain's head outside the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// There is no file, or it is empty.
    Missing,
    /// The file's content is not a head: a write was cut off, or somebody changed it.
    Torn,
    /// The head that was noted last.
    Known(Head),
}

impl Outside {
    /// Why the file says nothing; `None` where it does.
    pub fn why_unknown(&self) -> Option<&'static str> {
        match self {
            Self::Missing => Some("is missing or empty"),
            Self::Torn => Some("is torn"),
            Self::Known(_) => None,
        }
    }
}

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

    /// What the file at `path` says, without making it.
    pub fn read_only(path: &Path) -> io::Result<Outside> {
        match File::open(path) {
            Ok(file) => Self(file).read(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Outside::Missing),
            Err(error) => Err(error),
        }
    }

    /// What the file says.
    pub fn read(&self) -> io::Result<Outside> {
        if self.0.metadata()?.len() == 0 {
            return Ok(Outside::Missing);
        }
        let mut bytes = [0; HEAD_BYTES];
        match self.0.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(decode(&bytes).map_or(Outside::Torn, Outside::Known)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Outside::Torn),
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
        assert_eq!(file.read().unwrap(), Outside::Missing);
        let head = Head { seq: 7, hash: [9; 32] };
        file.write(&head).unwrap();
        assert_eq!(HeadFile::open(&path).unwrap().read().unwrap(), Outside::Known(head));
        file.0.write_all_at(&[1], 3).unwrap();
        assert_eq!(file.read().unwrap(), Outside::Torn);
        file.0.set_len(40).unwrap();
        assert_eq!(file.read().unwrap(), Outside::Torn);
    }

    #[test]
    fn a_head_is_read_as_it_is_printed() {
        let head = Head { seq: 7, hash: [9; 32] };
        assert_eq!(head.to_string().parse(), Ok(head));
        for text in ["", "7", "7:", "x:00", "7:zz", &head.to_string()[..20]] {
            assert!(text.parse::<Head>().is_err(), "{text}");
        }
    }

    #[test]
    fn contents_that_differ_only_in_where_a_field_ends_have_different_digests() {
        let content = |event, run| Content { at_ms: 1, kind: "k", event, run, entity: None, data: "{}" }.digest();
        assert_ne!(content(Some("ab"), Some("c")), content(Some("a"), Some("bc")));
        assert_ne!(content(Some(""), None), content(None, Some("")));
    }
}
