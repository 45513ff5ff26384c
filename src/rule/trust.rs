//! Whether nobody else could have changed a file that is to be run: the check that sshd makes of its own files.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The mode bits by which others than the owner may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// The mode bit by which entries of a folder can be replaced by their owners only.
const STICKY: u32 = 0o1000;
/// The mode bits by which a file can be executed.
const EXECUTABLE: u32 = 0o111;

/// Why a file must not be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// It, or a folder above it, could not be looked at.
    Unreadable(PathBuf, String),
    /// It is not a regular file.
    NotAFile(PathBuf),
    /// Group or others can write to it.
    Writable(PathBuf),
    /// It belongs to somebody else.
    ForeignOwner(PathBuf, u32),
    /// It is not what it was when the rules were loaded.
    Changed(PathBuf),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, why) => write!(f, "{} could not be looked at: {why}", path.display()),
            Self::NotAFile(path) => write!(f, "{} is not a regular file", path.display()),
            Self::Writable(path) => {
                write!(f, "{} can be written by its group or by others", path.display())
            }
            Self::Changed(path) => write!(
                f,
                "{} is not what it was when the rules were loaded; `stanch reload` takes it as it is now",
                path.display()
            ),
            Self::ForeignOwner(path, uid) => {
                write!(f, "{} belongs to user {uid}, who is neither root nor this one", path.display())
            }
        }
    }
}

/// Checks a file and every folder above it, after following symbolic links: each must belong to root, to this
/// process's user or to the owner of `base`, and be writable by its owner alone. A sticky folder of root's passes.
pub fn check(path: &Path, base: &Path) -> Result<(), Distrust> {
    let unreadable = |path: &Path, error: &std::io::Error| Distrust::Unreadable(path.to_owned(), error.to_string());
    let real = path.canonicalize().map_err(|error| unreadable(path, &error))?;
    // Who owns the folder of the config decides what is run anyway.
    let base_owner = std::fs::metadata(base).map_err(|error| unreadable(base, &error))?.uid();
    let trusted = [0, rustix::process::geteuid().as_raw(), base_owner];
    for (depth, part) in real.ancestors().enumerate() {
        let meta = std::fs::metadata(part).map_err(|error| unreadable(part, &error))?;
        if depth == 0 && !meta.is_file() {
            return Err(Distrust::NotAFile(part.to_owned()));
        }
        if !trusted.contains(&meta.uid()) {
            return Err(Distrust::ForeignOwner(part.to_owned(), meta.uid()));
        }
        let passes_sticky = meta.is_dir() && meta.uid() == 0 && meta.mode() & STICKY != 0;
        if meta.mode() & WRITABLE_BY_OTHERS != 0 && !passes_sticky {
            return Err(Distrust::Writable(part.to_owned()));
        }
    }
    Ok(())
}

/// A file as it was checked when the rules were loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    path: PathBuf,
    base: PathBuf,
    digest: blake3::Hash,
}

impl Sealed {
    /// Checks a file as [`check`] does, and takes the digest of its content.
    ///
    /// # Errors
    /// Why it must not be run.
    pub fn of(path: &Path, base: &Path) -> Result<Self, Distrust> {
        check(path, base)?;
        let digest = digest(path)?;
        Ok(Self { path: path.to_owned(), base: base.to_owned(), digest })
    }

    /// Checks it again, and that its content is the same. Between this and the start only somebody who may change it
    /// anyway can change it: that is what [`check`] is for.
    ///
    /// # Errors
    /// Why it must not be run now.
    pub fn verify(&self) -> Result<(), Distrust> {
        check(&self.path, &self.base)?;
        if digest(&self.path)? == self.digest { Ok(()) } else { Err(Distrust::Changed(self.path.clone())) }
    }
}

fn digest(path: &Path) -> Result<blake3::Hash, Distrust> {
    let mut hasher = blake3::Hasher::new();
    let read = std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hasher));
    read.map_err(|error| Distrust::Unreadable(path.to_owned(), error.to_string()))?;
    Ok(hasher.finalize())
}

/// Whether a file exists, is regular and may be executed by somebody.
pub fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.mode() & EXECUTABLE != 0)
}
