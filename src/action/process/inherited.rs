//! Descriptors that the daemon was started with.

use std::fs;

/// The first descriptor that is not a standard stream.
const FIRST: i32 = 3;
/// The flag of a descriptor that no program inherits, as `/proc` shows it (`O_CLOEXEC`).
const CLOSES_ON_EXEC: u32 = 0o2_000_000;

/// Closes what whoever started this process left open for it beyond the standard streams, since every program that
/// is started here would inherit it too. All that this process opens itself is closed on exec, and is not touched.
///
/// Call it first of all in `serve`. Gives the descriptors that were closed.
pub fn close_inherited() -> Vec<i32> {
    let mut inherited = open_for_programs();
    inherited.retain(|fd| match nix::unistd::close(*fd) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(fd, %error, "an inherited descriptor could not be closed");
            false
        }
    });
    inherited
}

/// The descriptors beyond the standard streams that programs would inherit.
pub(super) fn open_for_programs() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc/self/fdinfo") else { return Vec::new() };
    let open = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut open: Vec<i32> = open.filter(|fd| *fd >= FIRST && stays_open(*fd)).collect();
    open.sort_unstable();
    open
}

fn stays_open(fd: i32) -> bool {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & CLOSES_ON_EXEC == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs this very test again with a descriptor left open for it.
    #[test]
    fn what_was_left_open_is_closed() {
        const AGAIN: &str = "STANCH_TEST_INHERITED";
        if std::env::var_os(AGAIN).is_some() {
            assert!(open_for_programs().contains(&7));
            assert!(close_inherited().contains(&7));
            assert_eq!(open_for_programs(), Vec::<i32>::new());
            return;
        }
        let own = std::env::current_exe().expect("it is known");
        #[expect(clippy::disallowed_methods, reason = "the test needs a process of its own")]
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", "exec 7</dev/null; exec \"$0\" --exact \"$1\""])
            .arg(own)
            .arg("action::process::inherited::tests::what_was_left_open_is_closed")
            .env(AGAIN, "1")
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.expect("it starts").success());
    }
}
