//! A cgroup of its own for each step's processes, where the kernel and whoever started the daemon allow it.
//!
//! What is in a cgroup cannot leave it, whatever it does to its session, group, environment and parents, and
//! `cgroup.kill` ends all of it at once. Without cgroups the tree is found as [`super::belonging`] tells.
//!
//! Only below a cgroup that the daemon was put into is anything made: systemd does that with `Delegate=yes`. In the root
//! cgroup of a host a daemon has no business.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::journal::record::RunId;

/// Tells the cgroups of one run's steps apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);
/// How many names are tried for a new cgroup; those in the way were left by an earlier daemon.
const NAMES_TRIED_MAX: u32 = 64;

/// The cgroup below which those of steps are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    root: PathBuf,
}

impl Cgroups {
    /// The cgroup for the runs of the daemon whose data lies in `data`, if this process may make one and the kernel can
    /// end it as a whole (Linux 5.14). The same daemon finds the same one after a restart.
    pub fn find(data: &Path) -> Option<Arc<Self>> {
        let own = own_cgroup(&fs::read_to_string("/proc/self/cgroup").ok()?)?;
        let mount = mount_point(&fs::read_to_string("/proc/self/mountinfo").ok()?)?;
        let digest = blake3::hash(data.as_os_str().as_encoded_bytes()).to_hex();
        let root = mount.join(own).join(format!("stanch-{}", digest.get(..12)?));
        match fs::create_dir(&root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                tracing::debug!(%error, root = %root.display(), "steps get no cgroup of their own");
                return None;
            }
            _ => {}
        }
        root.join("cgroup.kill").exists().then(|| Arc::new(Self { root }))
    }

    /// A new cgroup for processes of this run.
    pub(super) fn make(&self, run: &RunId) -> io::Result<RunCgroup> {
        if run.as_str().contains(['/', '\0']) || run.as_str().starts_with('.') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the run's id cannot be the name of a folder"));
        }
        let mut tried = 0;
        loop {
            let path = self.root.join(format!("{run}.{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(RunCgroup { path }),
                Err(error) if tried >= NAMES_TRIED_MAX => return Err(error),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => tried += 1,
                // A reload lets go of the cgroup that was found before, and it goes where nothing is in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tried += 1;
                    fs::create_dir_all(&self.root)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The cgroups that a crash left of this run.
    pub(super) fn left_of(&self, run: &RunId) -> Vec<RunCgroup> {
        let prefix = format!("{run}.");
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        let is_of_run = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&prefix);
        entries.flatten().filter(is_of_run).map(|entry| RunCgroup { path: entry.path() }).collect()
    }

    /// Takes away what earlier daemons left empty. Call it before anything is started.
    pub fn clean(&self) {
        let Ok(entries) = fs::read_dir(&self.root) else { return };
        for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
            drop(RunCgroup { path: entry.path() });
        }
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // It stays where something of a run outlives the daemon, as a service does that a step started.
        fs::remove_dir(&self.root).ok();
    }
}

/// The cgroup of one step's processes. It goes when this does, unless something in it lives on.
#[derive(Debug)]
pub(super) struct RunCgroup {
    path: PathBuf,
}

impl RunCgroup {
    /// Its folder, into which a process writes itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many processes are in it.
    pub(super) fn len(&self) -> usize {
        fs::read_to_string(self.path.join("cgroup.procs")).map_or(0, |text| text.lines().count())
    }

    /// Kills all that is in it.
    pub(super) fn kill(&self) {
        if let Err(error) = fs::write(self.path.join("cgroup.kill"), "1") {
            tracing::warn!(%error, cgroup = %self.path.display(), "a cgroup could not be killed");
        }
    }
}

impl Drop for RunCgroup {
    fn drop(&mut self) {
        fs::remove_dir(&self.path).ok();
    }
}

/// The cgroup of this process below the mount point, from `/proc/self/cgroup`; `None` for the root.
fn own_cgroup(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (!path.is_empty() && !path.contains("..")).then(|| PathBuf::from(path))
}

/// Where cgroup v2 is mounted, from `/proc/self/mountinfo` (see proc(5)).
fn mount_point(text: &str) -> Option<PathBuf> {
    text.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        // A part of the tree that is mounted elsewhere would need its paths translated.
        (after.starts_with("cgroup2 ") && root == "/" && !mount.contains('\\')).then(|| PathBuf::from(mount))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_cgroup_is_left_alone() {
        assert_eq!(own_cgroup("0::/\n"), None);
        assert_eq!(
            own_cgroup("4:memory:/x\n0::/system.slice/stanch.service\n"),
            Some("system.slice/stanch.service".into())
        );
        assert_eq!(own_cgroup("0::/../outside\n"), None);
        assert_eq!(own_cgroup("4:memory:/x\n"), None);
    }

    #[test]
    fn the_mount_point_is_found_among_others() {
        let text =
            "25 30 0:23 / /sys rw - sysfs sysfs rw\n30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(text), Some("/sys/fs/cgroup".into()));
        assert_eq!(mount_point("30 25 0:26 /a /mnt rw - cgroup2 cgroup2 rw\n"), None);
        assert_eq!(mount_point("30 25 0:26 / /mnt rw - cgroup cgroup rw\n"), None);
    }
}
