//! The process table, read from `/proc`. What cannot be read, because it is another's or is gone, is left out.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::RUN_MARK;

/// The longest environment that is searched for the mark. Ours is among the first entries that the kernel copies;
/// the kernel's own limit on arguments and environment together is a few MiB.
const ENVIRON_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) zombie: bool,
    /// Clock ticks from boot to its start: with the id, this names a process for as long as the host is up.
    pub(super) started: u64,
}

/// All processes.
pub(super) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(read).collect()
}

/// The process with this id.
pub(super) fn read(pid: i32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads a line of `/proc/PID/stat` (see proc(5)). The name, in parentheses, may itself hold any character.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Process {
        pid,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// The run by which a process is marked.
pub(super) fn mark(pid: i32) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut environ = Vec::new();
    fs::File::open(format!("/proc/{pid}/environ")).ok()?.take(ENVIRON_BYTES_MAX).read_to_end(&mut environ).ok()?;
    environ
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(RUN_MARK.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec))
}

/// The name of the file that a process executes, also where that was replaced since.
pub(super) fn program_name(pid: i32) -> Option<OsString> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = path.file_name()?.as_bytes();
    Some(OsStr::from_bytes(name.strip_suffix(b" (deleted)").unwrap_or(name)).to_owned())
}

/// Whether a process other than a copy of ourselves (a child between fork and exec still has our descriptors) holds
/// one of the pipes with these inode numbers.
pub(super) fn holds_pipe(pid: i32, inodes: &[u64]) -> bool {
    let program = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
    if inodes.is_empty() || program(&pid.to_string()) == program("self") {
        return false;
    }
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).any(|link| {
        let link = link.as_os_str().as_bytes();
        inodes.iter().any(|inode| link == format!("pipe:[{inode}]").as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_shift_the_fields() {
        let stat = "7 (a) S 1 2) R 5 6 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        let process = Process { pid: 7, parent: 5, group: 6, zombie: false, started: 4242 };
        assert_eq!(parse(7, stat), Some(process));
        assert_eq!(parse(7, "7 (x"), None);
        assert_eq!(parse(7, "7 (x) S 1"), None);
    }

    #[test]
    fn this_process_is_in_the_table() {
        let own = i32::try_from(std::process::id()).expect("it fits");
        assert!(all().iter().any(|process| process.pid == own && !process.zombie));
    }
}
