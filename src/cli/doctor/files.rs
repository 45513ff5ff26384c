//! Secrets, keys, and the folder of the journal.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::Finding;
use crate::config::Config;
use crate::config::secret::{Problem, SecretError, SecretRef};

/// The permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;
/// Less free space than this, in bytes, is worth a word: a day of a busy bastion's pushes.
const FREE_DOUBTFUL_BYTES: u64 = 1024 * 1024 * 1024;
/// Less than this, in bytes, is a disk that will soon take nothing more.
const FREE_BAD_BYTES: u64 = 64 * 1024 * 1024;
/// File systems over a network or in memory, by the magic number of statfs(2): their locks and syncs cannot be relied
/// upon, or do not outlive a restart.
const DOUBTFUL_FILE_SYSTEMS: &[(u64, &str)] =
    &[(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB"), (0x0102_1994, "tmpfs, which is memory")];

/// Each secret that the config names.
pub(super) fn secrets(config: &Config) -> Vec<Finding> {
    let look = |reference: &SecretRef| match reference.resolve() {
        Err(SecretError { problem: Problem::NoCredentials, .. }) => Finding::doubtful(
            "secret",
            format!("{reference} is for the daemon's unit alone, so it cannot be looked at from here"),
            "look at the unit's LoadCredential= and at its log, where a start without it fails",
        ),
        Err(error) => {
            Finding::bad("secret", error.to_string(), "give the daemon's account a readable one; see docs/config.md")
        }
        Ok(secret) => match secret.readable_by_others() {
            Some(path) => {
                let found = format!("{} can be read by others", path.display());
                Finding::doubtful("secret", found, format!("chmod 600 {}", path.display()))
            }
            None => Finding::good("secret", format!("{reference} is there")),
        },
    };
    config.secrets().into_iter().map(look).collect()
}

/// The key of the webhook listener.
pub(super) fn key(config: &Config) -> Option<Finding> {
    let key = &config.tls.as_ref()?.key;
    Some(match std::fs::metadata(key) {
        Err(error) => {
            let found = format!("{} cannot be read: {error}", key.display());
            Finding::bad("tls", found, "give the daemon's account a readable key, or take `tls` out of the config")
        }
        Ok(metadata) if metadata.mode() & OTHERS != 0 => {
            let found = format!("{} can be read by others", key.display());
            Finding::doubtful("tls", found, format!("chmod 600 {}", key.display()))
        }
        Ok(_) => Finding::good("tls", format!("{} is its owner's alone", key.display())),
    })
}

/// The folder `data` and the disk that it is on.
pub(super) fn data(config: &Config) -> Vec<Finding> {
    let data = &config.data;
    let metadata = match std::fs::metadata(data) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let found = format!("{} is not there yet", data.display());
            return vec![Finding::doubtful("data", found, "the daemon makes it at its first start")];
        }
        Err(error) => {
            let found = format!("{} cannot be looked at: {error}", data.display());
            return vec![Finding::bad("data", found, "run this as the daemon's account")];
        }
    };
    let mut findings = vec![if metadata.permissions().mode() & OTHERS == 0 {
        Finding::good("data", format!("{} is its owner's alone", data.display()))
    } else {
        let found =
            format!("{} is open to others: it holds the bodies of pushes and the output of steps", data.display());
        Finding::doubtful("data", found, format!("chmod 700 {}", data.display()))
    }];
    findings.push(disk(data));
    findings
}

fn disk(data: &Path) -> Finding {
    let (space, kind) = match (rustix::fs::statvfs(data), rustix::fs::statfs(data)) {
        (Ok(space), Ok(kind)) => (space, kind),
        (Err(error), _) | (_, Err(error)) => {
            let found = format!("the disk below {} cannot be asked: {error}", data.display());
            return Finding::doubtful("disk", found, "look at it with `df`");
        }
    };
    let kind = u64::try_from(kind.f_type).unwrap_or_default();
    if let Some((_, name)) = DOUBTFUL_FILE_SYSTEMS.iter().find(|(magic, _)| *magic == kind) {
        let found = format!("{} is on {name}", data.display());
        return Finding::doubtful("disk", found, "keep `data` on a local disk: only there 200 means durable");
    }
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let found = format!("{} MB are free below {}", free / 1_000_000, data.display());
    if free < FREE_BAD_BYTES {
        Finding::bad("disk", found, "make room: a full disk means that pushes are answered 503")
    } else if free < FREE_DOUBTFUL_BYTES {
        Finding::doubtful("disk", found, "make room, or shorten `retention`")
    } else {
        Finding::good("disk", found)
    }
}
