//! Which processes are of a run's tree.
//!
//! A process is of a tree if it carries the run's mark in its environment, or is in the process group of the child
//! that was started, or is an orphan that holds one of the child's pipes, or descends from one that is. The mark of
//! another run rules it out. What has cleared its environment, left the group, let go of the pipes and lost its
//! parents cannot be told from the orphans of other runs, and is left alone.
//!
//! Two daemons on one host that get the same push for the same rule give their runs the same id. So the tree of a run
//! that goes on is looked for among the descendants of this process alone: orphans become its children, since it asked
//! the kernel for that. And what a crash left, which has become some other process's child, is looked for among all
//! but the descendants of other daemons.

use std::collections::HashSet;

use rustix::process::{Pid, PidfdFlags, Signal};

use super::spawn::is_live;
use super::table::{self, Process};
use crate::journal::record::RunId;

/// Where members of a tree are looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope {
    /// Among the descendants of this process.
    Descendants,
    /// Wherever a crash can have left them, if they started before this many ticks after boot.
    Leftovers {
        /// That many.
        started_before: u64,
    },
}

/// What a process must be to be of a tree.
#[derive(Debug, Clone)]
pub(super) struct Belonging {
    pub(super) run: RunId,
    pub(super) scope: Scope,
    /// The process group of the child.
    pub(super) group: Option<i32>,
    /// The inode numbers of the child's pipes.
    pub(super) pipes: Vec<u64>,
}

impl Belonging {
    /// All that belong, zombies left out.
    pub(super) fn members(&self) -> Vec<Process> {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let mut candidates = table::all();
        match self.scope {
            Scope::Descendants => candidates = descendants(candidates, [own]).0,
            Scope::Leftovers { started_before } => {
                let others = other_daemons(&candidates, own);
                candidates = descendants(candidates, others).1;
                candidates.retain(|process| process.pid != own && process.started < started_before);
            }
        }
        let mut members: Vec<Process> = Vec::new();
        let mut unmarked: Vec<Process> = Vec::new();
        for process in candidates.into_iter().filter(|process| !process.zombie) {
            match table::mark(process.pid) {
                Some(mark) if mark == self.run.as_str().as_bytes() => members.push(process),
                Some(_) => {}
                None if self.group == Some(process.group) || self.is_holding_orphan(&process, own) => {
                    members.push(process);
                }
                None => unmarked.push(process),
            }
        }
        let (below, _) = descendants(unmarked, members.iter().map(|process| process.pid).collect::<Vec<_>>());
        members.extend(below);
        members
    }

    fn is_holding_orphan(&self, process: &Process, own: i32) -> bool {
        process.parent == own && !is_live(process.pid) && table::holds_pipe(process.pid, &self.pipes)
    }

    /// Sends `signal` to all that belong, but not to the process group `told`; how many belong.
    pub(super) fn signal(&self, signal: Signal, told: Option<i32>) -> usize {
        let members = self.members();
        for process in members.iter().filter(|process| Some(process.group) != told) {
            if let Err(error) = send(process, signal) {
                tracing::warn!(pid = process.pid, %error, "a process could not be signalled");
            }
        }
        members.len()
    }
}

/// Parts `processes` into those that descend from `roots` and the rest. The roots themselves are in the rest.
fn descendants(processes: Vec<Process>, roots: impl IntoIterator<Item = i32>) -> (Vec<Process>, Vec<Process>) {
    let mut parents: HashSet<i32> = roots.into_iter().collect();
    let (mut below, mut rest) = (Vec::new(), processes);
    loop {
        let (children, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|process| parents.contains(&process.parent));
        rest = others;
        if children.is_empty() {
            return (below, rest);
        }
        parents.extend(children.iter().map(|process| process.pid));
        below.extend(children);
    }
}

/// Processes of our program that no run started: other daemons.
fn other_daemons(processes: &[Process], own: i32) -> Vec<i32> {
    let Some(program) = table::program_name(own) else { return Vec::new() };
    let is_daemon = |process: &&Process| {
        process.pid != own
            && table::program_name(process.pid).as_ref() == Some(&program)
            && table::mark(process.pid).is_none()
    };
    processes.iter().filter(is_daemon).map(|process| process.pid).collect()
}

/// Signals exactly this process, or nothing if it is gone.
fn send(process: &Process, signal: Signal) -> rustix::io::Result<()> {
    let Some(pid) = Pid::from_raw(process.pid) else { return Ok(()) };
    let gone = |error| if error == rustix::io::Errno::SRCH { Ok(()) } else { Err(error) };
    let handle = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(error) => return gone(error),
    };
    // The handle is for whatever has the id now; only if that started when ours did is it the same.
    if table::read(process.pid).is_none_or(|now| now.started != process.started) {
        return Ok(());
    }
    rustix::process::pidfd_send_signal(&handle, signal).or_else(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process { pid, parent, group: pid, zombie: false, started: 0 }
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let table = vec![process(9, 8), process(2, 1), process(8, 2), process(3, 1), process(7, 3)];
        let (below, rest) = descendants(table, [2]);
        assert_eq!(below.iter().map(|process| process.pid).collect::<Vec<_>>(), [8, 9]);
        assert_eq!(rest.iter().map(|process| process.pid).collect::<Vec<_>>(), [2, 3, 7]);
    }
}
