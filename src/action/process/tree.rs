//! Ending all of a child's process tree, and taking away what died of it.
//!
//! Signals go to the child's group as long as the child was not waited for (its id cannot have come again), to all
//! others through a pidfd whose process was compared with the table after it was opened.

use std::os::fd::AsFd;
use std::sync::PoisonError;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};

use super::belonging::{Belonging, Scope};
use super::cgroup::RunCgroup;
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

/// The tree of one child.
#[derive(Debug)]
pub(super) struct Tree {
    belonging: Belonging,
    leader: Pid,
    cgroup: Option<RunCgroup>,
    survivors: usize,
}

impl Tree {
    pub(super) fn of(child: &Child, run: &RunId, pipes: &Pipes, cgroup: Option<RunCgroup>) -> Self {
        let inodes = [
            pipes.stdin.as_ref().and_then(inode),
            pipes.stdout.as_ref().and_then(inode),
            pipes.stderr.as_ref().and_then(inode),
        ];
        let leader = child.pid();
        let belonging = Belonging {
            run: run.clone(),
            scope: Scope::Descendants,
            group: Some(leader.as_raw_nonzero().get()),
            pipes: inodes.into_iter().flatten().collect(),
        };
        Self { belonging, leader, cgroup, survivors: 0 }
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
            if let Some(cgroup) = &self.cgroup {
                cgroup.kill();
                self.survivors = self.survivors.max(cgroup.len());
            }
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
