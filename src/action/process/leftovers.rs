//! What a crash left running.

use std::time::Duration;

use rustix::process::Signal;

use super::belonging::{Belonging, Scope};
use super::cgroup::{Cgroups, RunCgroup};
use super::tree::{in_background, reap_adopted};
use crate::journal::record::RunId;

/// How often SIGKILL is sent to what is found before it is given up.
const ROUNDS_MAX: u32 = 40;
/// The pause between two rounds.
const ROUND: Duration = Duration::from_millis(25);

/// When a process started, in the kernel's own count since boot. Setting the clock does not change it, and whatever
/// is in the process table has started since this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StartTime(u64);

impl StartTime {
    /// The end of time: leaves nothing out.
    pub const MAX: Self = Self(u64::MAX);
}

/// Ends what is left of the process tree of a run that a crash cut off, and says how many processes were found first
/// and how many could not be ended.
///
/// They are found by the cgroups of the run, where it had any, and by the run's id in their environment, never by a process id from the journal: the crash can have
/// come before one was written, and ids come again. Only what started before `started_before` counts. The start of
/// this process is no good bound: start times come in ticks of 10 ms, and a daemon may be back within one. What
/// another daemon on this host started is left alone.
pub async fn end_leftovers(run: &RunId, started_before: StartTime, cgroups: Option<&Cgroups>) -> (usize, usize) {
    let scope = Scope::Leftovers { started_before: started_before.0 };
    let belonging = Belonging { run: run.clone(), scope, group: None, pipes: Vec::new() };
    let left_cgroups = cgroups.map(|cgroups| cgroups.left_of(run)).unwrap_or_default();
    let mut found_first = None;
    let mut left = 0;
    for _ in 0..ROUNDS_MAX {
        let belonging = belonging.clone();
        // Counted before they are killed. The mark and the cgroup find the same ones, mostly.
        let inside: usize = left_cgroups.iter().map(RunCgroup::len).sum();
        left = in_background(move || belonging.signal(Signal::KILL, None)).await.unwrap_or(0).max(inside);
        left_cgroups.iter().for_each(RunCgroup::kill);
        found_first.get_or_insert(left);
        if left == 0 {
            break;
        }
        tokio::time::sleep(ROUND).await;
    }
    in_background(reap_adopted).await;
    (found_first.unwrap_or(0), left)
}

#[cfg(test)]
impl StartTime {
    /// When another process started.
    pub(super) fn of(pid: i32) -> Option<Self> {
        super::table::read(pid).map(|process| Self(process.started))
    }
}
