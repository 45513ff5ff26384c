//! The threads that start children, and the list of those that are alive.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustix::process::{Pid, Signal};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};

/// Threads that start children with `no_new_privs`. More than one, since a start lasts until the program is loaded: one
/// on a dead network file system must not hold up all others.
const THREADS: usize = 4;
/// Threads that start children without it, for steps with `allow_sudo`. Few rules have any.
const THREADS_PRIVILEGED: usize = 2;
/// Orders that wait for a thread; whoever has a further one waits to hand it over.
const ORDERS_WAITING_MAX: usize = 64;

/// Held for reading from before a child exists until it is in [`LIVE`], so that the reaper, which writes, never takes
/// a child for an orphan in between.
pub(super) static STARTING: RwLock<()> = RwLock::new(());

/// The children that Tokio waits for, by process id, with the number of their start. Children belong to the whole
/// process, so this list does too.
static LIVE: Mutex<BTreeMap<i32, u64>> = Mutex::new(BTreeMap::new());
/// Numbers the starts, since process ids come again.
static STARTS: AtomicU64 = AtomicU64::new(0);

fn live() -> MutexGuard<'static, BTreeMap<i32, u64>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether Tokio waits for this child.
pub(super) fn is_live(pid: i32) -> bool {
    live().contains_key(&pid)
}

/// Processes cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare to start processes ({attempted}): {source}")]
pub struct StartError {
    attempted: &'static str,
    source: io::Error,
}

/// A command, complete.
#[derive(Debug)]
pub(super) struct Commandline {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) cwd: PathBuf,
    pub(super) has_stdin: bool,
    pub(super) may_gain_privileges: bool,
}

impl Commandline {
    /// Starts it. Takes nothing that `posix_spawn` could not do: no `pre_exec`, no `uid`, no search on a changed `PATH`.
    fn spawn(self) -> io::Result<Child> {
        #[expect(clippy::disallowed_methods, reason = "this is the place that starts processes")]
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(&self.environment)
            .current_dir(&self.cwd)
            .process_group(0)
            .stdin(if self.has_stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let _starting = STARTING.read().unwrap_or_else(PoisonError::into_inner);
        let inner = command.spawn()?;
        let pid = inner
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the process has no id"))?;
        let start = STARTS.fetch_add(1, Ordering::Relaxed);
        live().insert(pid.as_raw_nonzero().get(), start);
        Ok(Child { inner, pid, start, ended: false })
    }
}

/// A child. Its whole process group is ended if it is let go of before it ended.
#[derive(Debug)]
pub(super) struct Child {
    inner: tokio::process::Child,
    pid: Pid,
    start: u64,
    ended: bool,
}

/// Our ends of a child's pipes.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

impl Child {
    /// Its process id, which is also the id of its process group.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it was waited for, so that its process id may belong to something else by now.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn take_pipes(&mut self) -> Pipes {
        Pipes { stdin: self.inner.stdin.take(), stdout: self.inner.stdout.take(), stderr: self.inner.stderr.take() }
    }

    /// Waits for its end. May be called again, and left off in between.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.inner.wait().await?;
        self.note_end();
        Ok(status)
    }

    fn note_end(&mut self) {
        if !self.ended {
            self.ended = true;
            let pid = self.pid.as_raw_nonzero().get();
            let mut live = live();
            if live.get(&pid) == Some(&self.start) {
                live.remove(&pid);
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.ended {
            if let Err(error) = rustix::process::kill_process_group(self.pid, Signal::KILL) {
                tracing::warn!(%error, pid = %self.pid, "an abandoned process could not be ended");
            }
            self.note_end();
        }
    }
}

type Reply = oneshot::Sender<io::Result<Child>>;
type Orders = mpsc::Sender<(Commandline, Reply)>;

/// The threads; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Threads {
    confined: Orders,
    privileged: Orders,
}

impl Threads {
    pub(super) fn start() -> Result<Self, StartError> {
        let failed = |attempted| move |source: io::Error| StartError { attempted, source };
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|error| failed("finding the runtime")(io::Error::other(error)))?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| failed("adopting orphaned descendants")(error.into()))?;
        let start = |count: usize, confined: bool| {
            let (orders, waiting) = mpsc::channel(ORDERS_WAITING_MAX);
            let waiting = Arc::new(Mutex::new(waiting));
            for _ in 0..count {
                let (waiting, runtime) = (Arc::clone(&waiting), runtime.clone());
                std::thread::Builder::new()
                    .name("spawn".into())
                    .spawn(move || serve(&waiting, &runtime, confined))
                    .map_err(failed("starting a thread"))?;
            }
            Ok::<Orders, StartError>(orders)
        };
        Ok(Self { confined: start(THREADS, true)?, privileged: start(THREADS_PRIVILEGED, false)? })
    }

    /// Has a child started. One whose start is not waited for any more is ended at once.
    pub(super) async fn spawn(&self, commandline: Commandline) -> io::Result<Child> {
        let orders = if commandline.may_gain_privileges { &self.privileged } else { &self.confined };
        let (reply, child) = oneshot::channel();
        let gone = || io::Error::other("the threads that start processes have ended");
        orders.send((commandline, reply)).await.map_err(|_| gone())?;
        child.await.map_err(|_| gone())?
    }
}

fn serve(waiting: &Mutex<mpsc::Receiver<(Commandline, Reply)>>, runtime: &tokio::runtime::Handle, confined: bool) {
    let _entered = runtime.enter();
    // Children inherit it from the thread that starts them, and can never shed it.
    let confinement = if confined { rustix::thread::set_no_new_privs(true) } else { Ok(()) };
    loop {
        let order = waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some((commandline, reply)) = order else { return };
        let child = match confinement {
            Ok(()) if reply.is_closed() => continue,
            Ok(()) => commandline.spawn(),
            Err(error) => Err(io::Error::other(format!("no_new_privs cannot be set: {error}"))),
        };
        if let Err(unwanted) = reply.send(child) {
            drop(unwanted);
        }
    }
}
