//! Processes: the only place that starts any.
//!
//! # Theory of operation
//!
//! Children are started by two threads of their own, because `no_new_privs` belongs to a thread and is inherited from
//! it: one has set it, the other has not and serves steps with `allow_sudo`. Nothing in the command asks for more than
//! `posix_spawn` can do, since the fork that std falls back to copies the page tables of the daemon.
//!
//! A child gets a cleared environment, its own process group, and pipes for its output, which is read to its end but
//! kept only in part. After the child has exited its pipes get a moment more; whoever still holds them then is part
//! of the tree that is ended. A child that exited cleanly, with its pipes at their end and nobody left in its group,
//! costs no look at `/proc`; so a process that left the group and let go of the pipes, as a proper daemon does,
//! outlives a step that succeeded. It does not outlive one that was ended at its time limit.
//!
//! What is of a tree is told in `belonging`, how all of it is ended in `tree`. Where the daemon was given a cgroup to make
//! others in, each step's processes are in one of their own (`cgroup`), which nothing can leave. That, the limits of the
//! config and the account of the step are seen to by our own binary, which then becomes the program.

mod belonging;
mod capture;
mod cgroup;
mod inherited;
mod leftovers;
mod limits;
mod spawn;
mod table;
mod tree;

pub(super) use capture::Capture;
pub use cgroup::Cgroups;
pub use inherited::close_inherited;
pub use leftovers::{StartTime, end_leftovers};
pub use limits::{StepLimits, forbid_core_dumps};
pub use spawn::StartError;
pub use tree::reap_adopted;

use std::ffi::OsString;
use std::future::Future;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;

use super::exec_shim::Exec;
use super::live::{self, Output};
use super::{Attempt, ended, failed};
use crate::journal::record::{StepEnd, StepResult};
use crate::plan::{ProcessCall, StdinCall};
use cgroup::RunCgroup;
use spawn::{Child, Commandline};
use tree::Tree;

/// The variable that marks every process of a run, by which they are found again.
pub const RUN_MARK: &str = "STANCH_RUN_ID";

/// How long the output of a child may stay open after the child has exited, before whoever holds it is ended.
const DRAIN: Duration = Duration::from_secs(1);
/// How long the output may take to end once all that could hold it was ended.
const DRAIN_AFTER_END: Duration = Duration::from_millis(200);
/// Read at a time from each stream. More than a pipe holds (64 KiB) would never be filled.
const CHUNK_BYTES: usize = 16 * 1024;

/// Starts processes.
#[derive(Debug)]
pub struct Starter {
    threads: spawn::Threads,
}

/// What to start.
#[derive(Debug)]
pub(super) struct Order<'a> {
    /// The program, absolute. It is also its own first argument.
    pub(super) program: &'a Path,
    /// Its further arguments.
    pub(super) args: Vec<String>,
    /// Where and how it runs.
    pub(super) call: &'a ProcessCall,
    /// What it is to the step.
    pub(super) manner: Manner,
}

/// What a process is to the step that starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// The step itself.
    Step,
    /// The near end of a step on another host. Its standard input stays open to its end, by which the far end knows that
    /// we are there.
    Remote,
    /// It succeeds by going on in the background; what it leaves there is not ended.
    Background,
}

/// What made a process come to its end.
enum Ending {
    Exited(std::io::Result<ExitStatus>),
    TimedOut,
    Stopped(super::StopReason),
}

impl Starter {
    /// Starts the threads, on whose runtime (the one this is called in) children are then waited for, and makes
    /// orphaned descendants children of this process, so that they can be found.
    ///
    /// # Errors
    /// When a thread cannot be started or the kernel refuses.
    pub fn new() -> Result<Self, StartError> {
        Ok(Self { threads: spawn::Threads::start()? })
    }

    /// Runs a process to its end, and ends what is left of its tree.
    pub(super) async fn run(&self, order: Order<'_>, attempt: &Attempt<'_>) -> StepResult {
        // What goes on in the background belongs to no run, and so to no run's cgroup.
        let cgroup = if order.manner == Manner::Background { None } else { cgroup_for(attempt) };
        let commandline = match commandline(&order, attempt, cgroup.as_ref()) {
            Ok(commandline) => commandline,
            Err(error) => return failed(error),
        };
        // The limit covers the start too: a program on a dead network file system can hang in exec.
        let mut limit = pin!(tokio::time::sleep(attempt.timeout));
        let child = tokio::select! {
            biased;
            child = self.threads.spawn(commandline) => child,
            reason = attempt.stop.stopped() => return ended(StepEnd::Cancelled, Some(reason.to_string())),
            () = &mut limit => return timed_out(attempt, " while it was being started"),
        };
        match child {
            Ok(child) => supervise(child, cgroup, limit, &order, attempt).await,
            Err(error) => failed(format!("cannot start {}: {error}", order.program.display())),
        }
    }
}

fn timed_out(attempt: &Attempt<'_>, when: &str) -> StepResult {
    let error = format!("ended at its time limit of {:?}{when}; raise `timeout` if it needs longer", attempt.timeout);
    ended(StepEnd::TimedOut, Some(error))
}

/// A cgroup for a step's processes, where they get one. Without it they are found as in `belonging`.
fn cgroup_for(attempt: &Attempt<'_>) -> Option<RunCgroup> {
    let cgroups = attempt.settings.isolation.cgroups.as_ref()?;
    match cgroups.make(attempt.run) {
        Ok(cgroup) => Some(cgroup),
        Err(error) => {
            tracing::warn!(run = %attempt.run, %error, "a step gets no cgroup of its own");
            None
        }
    }
}

/// The command with its whole environment, or why there is none.
fn commandline(order: &Order<'_>, attempt: &Attempt<'_>, cgroup: Option<&RunCgroup>) -> Result<Commandline, String> {
    for (path, what) in [(order.program, "program"), (&*order.call.cwd, "cwd")] {
        if !path.is_absolute() {
            return Err(format!(
                "cannot start {}: its {what} {} is not absolute",
                order.program.display(),
                path.display()
            ));
        }
    }
    let mut environment = attempt.environment.clone();
    // Beside the variables of the language, and before those that the step declares.
    environment.extend(attempt.traceparent.map(|traceparent| ("TRACEPARENT".to_owned(), traceparent.to_owned())));
    environment.extend(order.call.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    environment.insert(RUN_MARK.into(), attempt.run.as_str().into());
    if let Some(name) = environment.keys().find(|name| name.is_empty() || name.contains('=')) {
        return Err(format!("cannot start {}: {name:?} cannot be the name of a variable", order.program.display()));
    }
    // Nor does it use up what a step may have.
    let limits =
        if order.manner == Manner::Background { StepLimits::default() } else { attempt.settings.isolation.limits };
    let exec = Exec {
        user: order.call.user.clone(),
        set_home: order.call.user.is_some() && !order.call.env.contains_key("HOME"),
        cgroup: cgroup.map(|cgroup| cgroup.path().to_owned()),
        limits,
        program: order.program.to_owned(),
        args: order.args.iter().map(OsString::from).collect(),
    };
    // What needs nothing of it is started without the detour.
    let is_plain = exec.user.is_none() && exec.cgroup.is_none() && exec.limits.is_empty();
    let (program, args) =
        if is_plain { (exec.program, exec.args) } else { (attempt.settings.own_program.clone(), exec.to_args()) };
    Ok(Commandline {
        program,
        args,
        environment,
        cwd: order.call.cwd.clone(),
        has_stdin: order.call.stdin != StdinCall::None,
        may_gain_privileges: order.call.allow_sudo,
    })
}

async fn supervise(
    mut child: Child,
    cgroup: Option<RunCgroup>,
    limit: Pin<&mut tokio::time::Sleep>,
    order: &Order<'_>,
    attempt: &Attempt<'_>,
) -> StepResult {
    let stdin = match &order.call.stdin {
        StdinCall::Event => attempt.event_body.clone(),
        StdinCall::None => Bytes::new(),
        StdinCall::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
    };
    let output = Output::new(attempt.settings.output_bytes, &attempt.settings.redactor);
    // What goes on in the background is not the step itself.
    let showing = (order.manner != Manner::Background).then(|| attempt.live.show(&output));
    let pipes = child.take_pipes();
    let mut tree = Tree::of(&child, attempt.run, &pipes, cgroup);
    let mut lifeline = None;
    let ending = {
        let mut pumping = pin!(async {
            let fed = async {
                let pipe = feed(pipes.stdin, stdin).await;
                lifeline = pipe.filter(|_| order.manner == Manner::Remote);
            };
            tokio::join!(fed, keep(pipes.stdout, &output.stdout), keep(pipes.stderr, &output.stderr));
        });
        let mut pumping = Pumping(Some(pumping.as_mut()));
        let ending = pumping
            .alongside(async {
                tokio::select! {
                    biased;
                    status = child.wait() => Ending::Exited(status),
                    reason = attempt.stop.stopped() => Ending::Stopped(reason),
                    () = limit => Ending::TimedOut,
                }
            })
            .await;
        match ending {
            Ending::Exited(ref status) => {
                let drained = tokio::time::timeout(DRAIN, pumping.done()).await.is_ok();
                let goes_on = order.manner == Manner::Background && status.as_ref().is_ok_and(ExitStatus::success);
                if !goes_on && (!drained || tree.has_group()) {
                    pumping.alongside(tree.end(&mut child, Duration::ZERO)).await;
                }
            }
            Ending::TimedOut | Ending::Stopped(_) => pumping.alongside(tree.end(&mut child, tree::GRACE)).await,
        }
        if tokio::time::timeout(DRAIN_AFTER_END, pumping.done()).await.is_err() {
            tracing::warn!(run = %attempt.run, "the output of a process is held open by something that is not of its run");
        }
        ending
    };
    drop(lifeline);
    let mut result = match ending {
        Ending::Exited(status) => judge(status, &order.call.exit_codes),
        Ending::TimedOut => timed_out(attempt, ""),
        Ending::Stopped(reason) => ended(StepEnd::Cancelled, Some(reason.to_string())),
    };
    if tree.survivors() > 0 {
        let error = result.error.take().map_or_else(String::new, |error| format!("{error}; "));
        result.error = Some(format!("{error}{} of its processes could not be ended", tree.survivors()));
    }
    drop(showing);
    (result.stdout, result.stderr, result.dropped_bytes) = output.take();
    result
}

/// What an exit means.
fn judge(status: std::io::Result<ExitStatus>, accepted: &[i32]) -> StepResult {
    use std::os::unix::process::ExitStatusExt;
    let status = match status {
        Ok(status) => status,
        Err(error) => return failed(format!("cannot learn how the process ended: {error}")),
    };
    let (exit_code, signal) = (status.code(), status.signal());
    let error = match (exit_code, signal) {
        (Some(code), _) if accepted.contains(&code) => None,
        (Some(code), _) => Some(format!("exited with code {code}; {accepted:?} would have been success")),
        (None, Some(signal)) => Some(format!("ended by signal {signal}")),
        (None, None) => Some("ended in an unknown way".into()),
    };
    let end = if error.is_none() { StepEnd::Succeeded } else { StepEnd::Failed };
    StepResult { exit_code, signal, ..ended(end, error) }
}

/// Writes standard input, and gives it back still open. A child need not read it, so a broken pipe is nothing to speak
/// of.
async fn feed(pipe: Option<ChildStdin>, content: Bytes) -> Option<ChildStdin> {
    let mut pipe = pipe?;
    if let Err(error) = pipe.write_all(&content).await {
        tracing::debug!(%error, "standard input was not read to its end");
    }
    Some(pipe)
}

/// Reads a stream to its end, whatever is kept of it, so that the child is never blocked by it.
async fn keep(pipe: Option<impl AsyncRead + Unpin>, capture: &Mutex<Capture>) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match pipe.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(count) => live::locked(capture).take(chunk.get(..count).unwrap_or_default()),
        }
    }
}

/// What reads and writes the pipes; may be waited for again after it is done, and left off in between.
struct Pumping<'f>(Option<Pin<&'f mut (dyn Future<Output = ()> + Send)>>);

impl Pumping<'_> {
    async fn done(&mut self) {
        if let Some(future) = &mut self.0 {
            future.as_mut().await;
            self.0 = None;
        }
    }

    /// Waits for `main` while the pipes go on beside it.
    async fn alongside<T>(&mut self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        tokio::select! {
            biased;
            out = main.as_mut() => return out,
            () = self.done() => {}
        }
        main.await
    }
}

#[cfg(test)]
mod tests;
