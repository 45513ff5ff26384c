//! A run's process tree, and ending all of it.
//!
//! A process is of a tree if it carries the run's mark in its environment, or is in the process group of the child
//! that was started, or is an orphan that holds one of the child's pipes, or descends from one that is. The mark of
//! another run rules it out. Orphans become children of this process, which asked the kernel for that, so none gets
//! away to init. What has cleared its environment, left the group, let go of the pipes and lost its parents cannot be
//! told from the orphans of other runs, and is left alone.
//!
//! Signals go to the child's group as long as the child was not waited for (its id cannot have come again), to all
//! others through a pidfd whose process was compared with the table after it was opened.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::PoisonError;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};

use super::spawn::{Child, Pipes, STARTING, is_live};
use super::table::{self, Process};
use crate::journal::record::RunId;

/// How long a tree has between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// How often it is looked whether a tree has gone.
const POLL: Duration = Duration::from_millis(50);
/// How often SIGKILL is sent to what is found, before it is given up. What survives sleeps in the kernel.
const ROUNDS_MAX: u32 = 40;
/// The pause between two rounds: the kernel needs a moment to take a process away.
const ROUND: Duration = Duration::from_millis(10);

/// What a process must be to be of a tree.
#[derive(Debug, Clone)]
pub(super) struct Belonging {
    pub(super) run: RunId,
    /// The process group of the child.
    pub(super) group: Option<i32>,
    /// The inode numbers of the child's pipes.
    pub(super) pipes: Vec<u64>,
    /// Only what started before this many ticks after boot.
    pub(super) started_before: Option<u64>,
}

impl Belonging {
    /// All that belong, zombies left out.
    pub(super) fn members(&self) -> Vec<Process> {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let early = |process: &Process| self.started_before.is_none_or(|before| process.started < before);
        let mut others: Vec<Process> = Vec::new();
        let mut members: Vec<Process> = Vec::new();
        for process in table::all().into_iter().filter(|process| process.pid != own && !process.zombie) {
            match table::mark(process.pid) {
                Some(mark) if mark == self.run.as_str().as_bytes() && early(&process) => members.push(process),
                Some(_) => {}
                None if self.group == Some(process.group) => members.push(process),
                None if process.parent == own
                    && !is_live(process.pid)
                    && table::holds_pipe(process.pid, &self.pipes) =>
                {
                    members.push(process);
                }
                None => others.push(process),
            }
        }
        let mut parents: HashSet<i32> = members.iter().map(|process| process.pid).collect();
        loop {
            let (children, rest): (Vec<_>, Vec<_>) =
                others.into_iter().partition(|process| parents.contains(&process.parent));
            if children.is_empty() {
                return members;
            }
            parents.extend(children.iter().map(|process| process.pid));
            members.extend(children);
            others = rest;
        }
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

/// The tree of one child.
#[derive(Debug)]
pub(super) struct Tree {
    belonging: Belonging,
    leader: Pid,
    survivors: usize,
}

impl Tree {
    pub(super) fn of(child: &Child, run: &RunId, pipes: &Pipes) -> Self {
        let inodes = [
            pipes.stdin.as_ref().and_then(inode),
            pipes.stdout.as_ref().and_then(inode),
            pipes.stderr.as_ref().and_then(inode),
        ];
        let leader = child.pid();
        let belonging = Belonging {
            run: run.clone(),
            group: Some(leader.as_raw_nonzero().get()),
            pipes: inodes.into_iter().flatten().collect(),
            started_before: None,
        };
        Self { belonging, leader, survivors: 0 }
    }

    /// Whether the process group still has members. A cheap question, asked after every child.
    pub(super) fn has_group(&self) -> bool {
        rustix::process::test_kill_process_group(self.leader) != Err(rustix::io::Errno::SRCH)
    }

    /// How many processes could not be ended.
    pub(super) fn survivors(&self) -> usize {
        self.survivors
    }

    /// Ends the whole tree: asks it to end and gives it `grace` for that, then kills until nothing is left.
    pub(super) async fn end(&mut self, child: &mut Child, grace: Duration) {
        if !grace.is_zero() {
            self.signal(child, Signal::TERM).await;
            let gone = async {
                wait(child).await;
                while !self.members().await.is_empty() {
                    tokio::time::sleep(POLL).await;
                }
            };
            if tokio::time::timeout(grace, gone).await.is_err() {
                tracing::debug!(run = %self.belonging.run, "processes did not end when asked to, they are killed");
            }
        }
        for _ in 0..ROUNDS_MAX {
            self.survivors = self.signal(child, Signal::KILL).await;
            if child.has_ended() && self.survivors == 0 {
                break;
            }
            if child.has_ended() {
                tokio::time::sleep(ROUND).await;
            } else if tokio::time::timeout(ROUND, wait(child)).await.is_err() {
                self.survivors = self.survivors.max(1);
            }
        }
        in_background(reap_adopted).await;
    }

    async fn signal(&self, child: &Child, signal: Signal) -> usize {
        if !child.has_ended()
            && let Err(error) = rustix::process::kill_process_group(self.leader, signal)
        {
            tracing::debug!(%error, pid = %self.leader, "the process group could not be signalled");
        }
        let belonging = self.belonging.clone();
        // Members of the group were told to end by the group's signal; a second one could find them half done.
        let told = (signal == Signal::TERM).then_some(belonging.group).flatten();
        // Where nobody could look, at least the child counts as left.
        in_background(move || belonging.signal(signal, told)).await.unwrap_or(1)
    }

    async fn members(&self) -> Vec<Process> {
        let belonging = self.belonging.clone();
        in_background(move || belonging.members()).await.unwrap_or_default()
    }
}

fn inode(pipe: &impl AsFd) -> Option<u64> {
    rustix::fs::fstat(pipe).ok().map(|stat| stat.st_ino)
}

async fn wait(child: &mut Child) {
    if let Err(error) = child.wait().await {
        tracing::warn!(%error, pid = %child.pid(), "a process could not be waited for");
    }
}

/// Looks at `/proc` where that blocks nobody. `None` if the look failed.
pub(super) async fn in_background<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(look).await {
        Ok(out) => Some(out),
        Err(error) => {
            tracing::error!(%error, "looking at the process table failed");
            None
        }
    }
}

/// Takes away the zombies of orphaned descendants, which are this process's since it adopted them. Leaves alone the
/// children that Tokio waits for, and those that others started, which are in our own process group.
///
/// Reads `/proc`; call it where blocking is allowed, after trees were ended and now and then.
pub fn reap_adopted() {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let own_group = rustix::process::getpgrp().as_raw_nonzero().get();
    let dead = table::all()
        .into_iter()
        .filter(|process| process.zombie && process.parent == own && process.group != own_group);
    for process in dead {
        // While a child is being started it is in no list yet. A start that hangs must not make this hang too: the
        // next call finds what this one passes over.
        let _none_starts = match STARTING.try_write() {
            Ok(guard) => guard,
            Err(std::sync::TryLockError::Poisoned(error)) => PoisonError::into_inner(error),
            Err(std::sync::TryLockError::WouldBlock) => return,
        };
        if let Some(pid) = Pid::from_raw(process.pid).filter(|_| !is_live(process.pid))
            && let Err(error) = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG)
        {
            tracing::debug!(%error, %pid, "an orphan was taken away by somebody else");
        }
    }
}
