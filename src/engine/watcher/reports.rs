//! What the kernel reports of a set of folders (inotify).

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::Hint;
use super::inputs::Folder;

/// What is told of: a file that was finished, came, went, or changed its owner or mode. Each single write is left out,
/// since a log or a journal beside the config would report thousands of them a second; and reading, which we do
/// ourselves.
const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Reports, which a thread turns into hints until this is dropped.
#[derive(Debug)]
pub(super) struct Reports {
    /// Ends the thread.
    stop: Arc<OwnedFd>,
}

impl Reports {
    /// Asks for reports of these folders.
    ///
    /// # Errors
    ///
    /// Where the kernel has no inotify or no more watches (`fs.inotify.max_user_watches`), a folder may not be read, or
    /// no thread can be started.
    pub(super) fn of(folders: &BTreeSet<Folder>, hint: Hint) -> io::Result<Self> {
        let inotify = watch(folders)?;
        let stop = Arc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?);
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new().name("watcher".into()).spawn(move || follow(&inotify, &stopped, &hint))?;
        Ok(Self { stop })
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        // It fails only where the counter is full, and it is written to once.
        rustix::io::write(&self.stop, &1_u64.to_ne_bytes()).ok();
    }
}

fn watch(folders: &BTreeSet<Folder>) -> io::Result<OwnedFd> {
    let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    for folder in folders {
        match inotify::add_watch(&inotify, &folder.path, CHANGES) {
            // One that went away meanwhile shows as a difference at the next look.
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(inotify)
}

/// Gives a hint for all that is reported, until `stop` is written to.
fn follow(inotify: &OwnedFd, stop: &OwnedFd, hint: &Hint) {
    loop {
        let mut ready = [PollFd::new(inotify, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        match rustix::event::poll(&mut ready, None) {
            Ok(_) | Err(Errno::INTR) => {}
            // The looks from time to time are left.
            Err(_) => return,
        }
        if !ready[1].revents().is_empty() {
            return;
        }
        if take(inotify) {
            hint();
        }
    }
}

/// Reads all reports that are there. They are hints, so only whether there are any is of interest.
fn take(inotify: &OwnedFd) -> bool {
    let (mut buffer, mut any) = ([0; 4096], false);
    while rustix::io::read(inotify, &mut buffer).is_ok_and(|read| read > 0) {
        any = true;
    }
    any
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc::{TryRecvError, channel};
    use std::time::Duration;

    use super::super::Inputs;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_file_that_is_being_written_is_reported_once_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("stanch.yaml");
        fs::write(&config, "sources: [ { name: a, path: /a, auth: none } ]\n").unwrap();
        let log = folder.path().join("log");
        let mut open = File::create(&log).unwrap();
        let config = crate::config::load::load(&config).unwrap_or_else(|_| panic!("a valid config")).config;
        let inotify = watch(&Inputs::look(&config).folders).unwrap();
        open.write_all(b"one line of a log").unwrap();
        fs::read(&log).unwrap();
        assert!(!take(&inotify), "writing and reading are not reported");
        drop(open);
        assert!(take(&inotify), "a finished file is");
        fs::set_permissions(&log, Permissions::from_mode(0o600)).unwrap();
        assert!(take(&inotify), "another mode is");
        fs::rename(&log, folder.path().join("log.1")).unwrap();
        assert!(take(&inotify), "another name is");
        assert!(!take(&inotify), "and nothing is reported twice");
    }

    #[test]
    fn the_thread_gives_hints_and_ends_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("stanch.yaml");
        fs::write(&config, "sources: [ { name: a, path: /a, auth: none } ]\n").unwrap();
        let config = crate::config::load::load(&config).unwrap_or_else(|_| panic!("a valid config")).config;
        let (send, hints) = channel();
        let reports = Reports::of(
            &Inputs::look(&config).folders,
            Arc::new(move || {
                send.send(()).ok();
            }),
        )
        .unwrap();
        fs::write(folder.path().join("new.yaml"), "").unwrap();
        hints.recv_timeout(PATIENCE).expect("a hint");
        drop(reports);
        // The sender goes with the thread.
        while hints.recv_timeout(PATIENCE).is_ok() {}
        assert_eq!(hints.try_recv(), Err(TryRecvError::Disconnected));
    }
}
