//! Secrets: named in the config, read at start and at reload, never printed.
//!
//! A secret stands in a file, an environment variable or a systemd credential, never in the config itself. What
//! cannot be a secret (absent, empty, short, changeable by others) is an error, so that a daemon never starts
//! with a door that anybody can open. This module never writes to a log: what deserves a warning is returned.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

/// The least number of bytes of a secret: 128 bits of even a poor encoding cannot be guessed over the network.
pub const MIN_BYTES: usize = 16;
/// The largest number of bytes of a secret. It must fit into one header beside the others; a bigger file is the
/// wrong file.
pub const MAX_BYTES: usize = 4096;
/// The variable in which systemd names the folder of a unit's credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// Where systemd keeps those of the package's unit while it runs, for root and the unit's account alone. So commands that
/// people type, such as `send` and `doctor`, use the secrets that the daemon uses.
const OF_THE_UNIT: &str = "/run/credentials/stanch.service";

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// A file; surrounding white space is cut.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential: a file in `$CREDENTIALS_DIRECTORY`; where that is not set, one of the package's unit while it
    /// runs.
    Credential(String),
}

impl fmt::Display for SecretRef {
    /// The place, for messages; never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Credential(name) => write!(f, "systemd credential {name}"),
        }
    }
}

impl SecretRef {
    /// Reads the secret. White space at both ends is cut, since no header could carry it.
    ///
    /// # Errors
    ///
    /// Where the place cannot be read, where what it holds cannot be a secret (see [`MIN_BYTES`] and
    /// [`MAX_BYTES`]; text without control characters), or where others than its owner can change the file.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        self.resolve_in(|name| std::env::var_os(name), Path::new(OF_THE_UNIT))
    }

    fn resolve_in(&self, environment: impl Fn(&str) -> Option<OsString>, unit: &Path) -> Result<Secret, SecretError> {
        let fail = |problem| SecretError { place: self.clone(), problem };
        let (text, readable_by_others) = match self {
            Self::File(path) => read_file(path).map_err(fail)?,
            Self::Env(name) => {
                let value = environment(name).ok_or_else(|| fail(Problem::Unset))?;
                (value.into_string().map_err(|_| fail(Problem::NotText))?, None)
            }
            Self::Credential(name) => {
                let is_plain_name = !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', '\0']);
                if !is_plain_name {
                    return Err(fail(Problem::NotAName));
                }
                let path = match environment(CREDENTIALS_DIRECTORY) {
                    Some(folder) => Path::new(&folder).join(name),
                    None => Some(unit.join(name))
                        .filter(|path| path.exists())
                        .ok_or_else(|| fail(Problem::NoCredentials))?,
                };
                read_file(&path).map_err(fail)?
            }
        };
        let text = text.trim();
        check(text).map_err(fail)?;
        Ok(Secret { value: SecretString::from(text), readable_by_others })
    }
}

fn check(text: &str) -> Result<(), Problem> {
    match text.len() {
        0 => Err(Problem::Empty),
        bytes if bytes < MIN_BYTES => Err(Problem::Short { bytes }),
        bytes if bytes > MAX_BYTES => Err(Problem::Long),
        // A second line means that the file holds something else than one secret; no header can carry it.
        _ if text.chars().any(char::is_control) => Err(Problem::ControlCharacters),
        _ => Ok(()),
    }
}

/// The text of a secret file, and the path if others can read it.
fn read_file(path: &Path) -> Result<(String, Option<PathBuf>), Problem> {
    // Asked before opening: opening a FIFO would wait for a writer.
    if !std::fs::metadata(path).map_err(Problem::Unreadable)?.is_file() {
        return Err(Problem::NotAFile);
    }
    let file = File::open(path).map_err(Problem::Unreadable)?;
    // Asked of the open file, so that the mode is that of what is read.
    let mode = file.metadata().map_err(Problem::Unreadable)?.permissions().mode();
    if mode & 0o022 != 0 {
        return Err(Problem::WritableByOthers { mode: mode & 0o7777 });
    }
    let mut bytes = Vec::new();
    // One byte more than may be, so that a longer file is seen to be longer; white space may stand around it.
    file.take(2 * MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(Problem::Unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| Problem::NotText)?;
    Ok((text, (mode & 0o004 != 0).then(|| path.to_owned())))
}

/// A secret that was read. `Debug` does not show it, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret {
    value: SecretString,
    readable_by_others: Option<PathBuf>,
}

impl Secret {
    /// The secret itself. Whoever asks must not print, log or journal it.
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }

    /// The file of the secret if every user of the machine can read it, which deserves a warning.
    pub fn readable_by_others(&self) -> Option<&Path> {
        self.readable_by_others.as_deref()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("readable_by_others", &self.readable_by_others).finish_non_exhaustive()
    }
}

/// Why a secret could not be read. Never holds any part of the secret.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the secret in {place}: {problem}")]
pub struct SecretError {
    /// Where it should be.
    pub place: SecretRef,
    /// What is wrong.
    #[source]
    pub problem: Problem,
}

/// What is wrong with a secret.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("{0}; create it, or let the daemon's user read it")]
    Unreadable(#[source] io::Error),
    /// The path is a folder, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// Group or others can change the file.
    #[error("its mode {mode:04o} lets others than its owner change it; use `chmod 600`")]
    WritableByOthers {
        /// The permission bits.
        mode: u32,
    },
    /// The environment variable is not set.
    #[error("it is not set")]
    Unset,
    /// The credential's name would leave the folder of credentials.
    #[error("a credential is named by a plain file name")]
    NotAName,
    /// Not started by systemd with credentials.
    #[error(
        "$CREDENTIALS_DIRECTORY is not set, and the unit stanch.service does not run with it where this account may look; use LoadCredential= in the unit"
    )]
    NoCredentials,
    /// Not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// Nothing but white space.
    #[error("it is empty")]
    Empty,
    /// Shorter than [`MIN_BYTES`].
    #[error(
        "it has {bytes} bytes, fewer than the {MIN_BYTES} that are needed; `openssl rand -hex 32` makes a good one"
    )]
    Short {
        /// How many it has.
        bytes: usize,
    },
    /// Longer than [`MAX_BYTES`].
    #[error("it is longer than {MAX_BYTES} bytes")]
    Long,
    /// Control characters, a line break for instance, in the middle.
    #[error("it contains control characters or several lines")]
    ControlCharacters,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdef0123456789abcdef";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
            let path = self.0.path().join("token");
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    fn from_file(content: impl AsRef<[u8]>, mode: u32) -> Result<Secret, SecretError> {
        let folder = Folder::new();
        SecretRef::File(folder.file(content, mode)).resolve()
    }

    fn problem(result: Result<Secret, SecretError>) -> Problem {
        result.unwrap_err().problem
    }

    #[test]
    fn a_file_is_read_without_the_white_space_around_it() {
        let secret = from_file(format!("  {GOOD}\r\n\n"), 0o600).unwrap();
        assert_eq!(secret.expose(), GOOD);
        assert_eq!(secret.readable_by_others(), None);
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused() {
        assert!(matches!(problem(from_file("", 0o600)), Problem::Empty));
        assert!(matches!(problem(from_file(" \n\t", 0o600)), Problem::Empty));
        assert!(matches!(problem(from_file("fifteen-bytes!!", 0o600)), Problem::Short { bytes: 15 }));
        assert!(from_file("sixteen-bytes!!!", 0o600).is_ok());
        assert!(matches!(problem(from_file(format!("{GOOD}\n{GOOD}"), 0o600)), Problem::ControlCharacters));
        assert!(matches!(problem(from_file([0xff; 40], 0o600)), Problem::NotText));
        assert!(from_file("x".repeat(MAX_BYTES), 0o600).is_ok());
        assert!(matches!(problem(from_file("x".repeat(MAX_BYTES + 1), 0o600)), Problem::Long));
        assert!(matches!(problem(from_file("x".repeat(1 << 20), 0o600)), Problem::Long));
    }

    #[test]
    fn a_file_that_others_can_change_is_refused_and_one_they_can_read_is_pointed_out() {
        for mode in [0o620, 0o602, 0o666, 0o660] {
            assert!(matches!(problem(from_file(GOOD, mode)), Problem::WritableByOthers { mode: seen } if seen == mode));
        }
        assert!(from_file(GOOD, 0o604).unwrap().readable_by_others().is_some());
        assert!(from_file(GOOD, 0o640).unwrap().readable_by_others().is_none());
    }

    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        let folder = Folder::new();
        assert!(matches!(problem(SecretRef::File(folder.0.path().into()).resolve()), Problem::NotAFile));
        assert!(matches!(problem(SecretRef::File(folder.0.path().join("none")).resolve()), Problem::Unreadable(_)));
        let fifo = folder.0.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(matches!(problem(SecretRef::File(fifo).resolve()), Problem::NotAFile));
    }

    #[test]
    fn the_environment_and_credentials_are_read() {
        let folder = Folder::new();
        folder.file(GOOD, 0o400);
        let environment = |name: &str| match name {
            "TOKEN" => Some(OsString::from(GOOD)),
            "SHORT" => Some(OsString::from("short")),
            CREDENTIALS_DIRECTORY => Some(folder.0.path().into()),
            _ => None,
        };
        let resolve = |place: SecretRef| place.resolve_in(environment, Path::new("/nowhere"));
        assert_eq!(resolve(SecretRef::Env("TOKEN".into())).unwrap().expose(), GOOD);
        assert!(matches!(problem(resolve(SecretRef::Env("SHORT".into()))), Problem::Short { .. }));
        assert!(matches!(problem(resolve(SecretRef::Env("NONE".into()))), Problem::Unset));
        assert_eq!(resolve(SecretRef::Credential("token".into())).unwrap().expose(), GOOD);
        for name in ["", "..", "../token", "a/b"] {
            assert!(matches!(problem(resolve(SecretRef::Credential(name.into()))), Problem::NotAName));
        }
        // By hand there is no such variable: then it is that of the unit, while it runs with one.
        let by_hand = |unit: &str| SecretRef::Credential("token".into()).resolve_in(|_| None, Path::new(unit));
        assert!(matches!(problem(by_hand("/nowhere")), Problem::NoCredentials));
        assert_eq!(by_hand(folder.0.path().to_str().unwrap()).unwrap().expose(), GOOD);
    }

    #[test]
    fn neither_debug_nor_errors_show_the_secret() {
        let secret = from_file(GOOD, 0o600).unwrap();
        assert!(!format!("{secret:?} {secret:#?}").contains(GOOD));
        let error = from_file("short-secret", 0o600).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("short-secret"));
    }
}
