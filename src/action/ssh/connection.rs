//! Connections that steps share: OpenSSH in the background, with a socket in the folder `data`.
//!
//! OpenSSH itself ends a connection that nobody has used for [`IDLE`], so none outlives a daemon that was killed for
//! long. Its process carries a mark of its own where those of a run carry the run's: ending a run, or what a crash left
//! of one, never ends a connection that other runs use.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{Destination, SSH, SshSettings, agent, arguments};
use crate::action::process::{self, Manner, Order, StartTime, Starter};
use crate::action::{Attempt, ended, failed};
use crate::clock::Stopwatch;
use crate::journal::record::{RunId, StepEnd, StepResult};
use crate::plan::{ProcessCall, StdinCall};

/// How long a connection stays open after its last use: the time from one step of an incident to the next.
pub(super) const IDLE: Duration = Duration::from_secs(60);
/// How long a host may take to answer at all.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent host is asked whether it is there.
pub(super) const ALIVE_EVERY: Duration = Duration::from_secs(5);
/// How many answers it may owe before the connection counts as lost.
pub(super) const ALIVE_MISSED_MAX: u32 = 3;
/// The longest path of a socket. The kernel takes 107 bytes, and OpenSSH first makes it under a name with 17 more.
pub(super) const SOCKET_PATH_BYTES_MAX: usize = 90;
/// What begins the mark of a connection's process.
const MARK: &str = "ssh-";

/// The destinations to which a connection is being opened, so that two steps never open two.
#[derive(Debug, Default)]
pub(in crate::action) struct Connections {
    turns: Mutex<HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>,
}

impl Connections {
    /// The socket of a connection to `to`, which is opened if there is none. `None` where the path of a socket would be
    /// too long, so that each step makes a connection of its own.
    pub(super) async fn open(
        &self,
        starter: &Starter,
        to: &Destination<'_>,
        attempt: &Attempt<'_>,
    ) -> Result<Option<PathBuf>, Box<StepResult>> {
        let watch = Stopwatch::start();
        let settings = &attempt.settings.ssh;
        let socket = settings.sockets.join(name(settings, to));
        if socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX || socket.as_os_str().as_encoded_bytes().contains(&b'$') {
            tracing::warn!(socket = %socket.display(), "connections are not shared: the path of `data` is too long, or holds a `$`");
            return Ok(None);
        }
        prepare(&settings.sockets).map_err(|why| Box::new(failed(why)))?;
        let turn = self.turn(&socket);
        let _turn = tokio::select! {
            biased;
            turn = turn.lock() => turn,
            reason = attempt.stop.stopped() => {
                return Err(Box::new(ended(StepEnd::Cancelled, Some(reason.to_string()))));
            }
            () = tokio::time::sleep(attempt.timeout) => {
                let error = format!("no connection to {to} within {:?}: another step was opening it", attempt.timeout);
                return Err(Box::new(ended(StepEnd::TimedOut, Some(error))));
            }
        };
        if stands(&socket).await {
            return Ok(Some(socket));
        }
        if let Err(error) = fs::remove_file(&socket)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(Box::new(failed(format!("cannot remove the old socket {}: {error}", socket.display()))));
        }
        let left = attempt.timeout.saturating_sub(watch.elapsed());
        connect(starter, to, &socket, &Attempt { timeout: left, ..*attempt }).await?;
        Ok(Some(socket))
    }

    /// The turn of those who want a connection by this socket.
    fn turn(&self, socket: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(socket).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(socket.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

/// Whether a connection listens on the socket.
pub(super) async fn stands(socket: &Path) -> bool {
    tokio::net::UnixStream::connect(socket).await.is_ok()
}

/// Ends every connection in the folder: at the end of the daemon nobody is there to use them.
pub(in crate::action) async fn end_all(settings: &SshSettings) {
    let Ok(entries) = fs::read_dir(&settings.sockets) else { return };
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        // Connections are in no cgroup of a run.
        let (_, left) = process::end_leftovers(&mark(&name), StartTime::MAX, None).await;
        if left > 0 {
            tracing::warn!(
                left,
                socket = name,
                "a connection could not be ended; it ends when it was idle for a minute"
            );
        } else if let Err(error) = fs::remove_file(entry.path()) {
            tracing::debug!(%error, socket = name, "the socket of a connection was gone already");
        }
    }
}

async fn connect(
    starter: &Starter,
    to: &Destination<'_>,
    socket: &Path,
    attempt: &Attempt<'_>,
) -> Result<(), Box<StepResult>> {
    let settings = &attempt.settings.ssh;
    let persist = format!("ControlPersist={}", IDLE.as_secs());
    let args = arguments(settings, Some(socket), &["-N", "-M", "-o", &persist], to);
    // Nothing of the event is in the environment of a process that outlives the run.
    let plain = ["PATH", "LANG", "HOME"].iter().filter_map(|name| attempt.environment.get_key_value(*name));
    let environment = plain.map(|(name, value)| (name.clone(), value.clone())).collect();
    let name = socket.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let process = ProcessCall {
        env: agent(settings),
        stdin: StdinCall::None,
        cwd: PathBuf::from("/"),
        user: None,
        exit_codes: vec![0],
        allow_sudo: false,
    };
    let order = Order { program: Path::new(SSH), args, call: &process, manner: Manner::Background };
    let as_connection = Attempt { run: &mark(name), environment: &environment, traceparent: None, ..*attempt };
    let mut result = starter.run(order, &as_connection).await;
    let why = match result.end {
        StepEnd::Succeeded => return Ok(()),
        StepEnd::Failed => result.stderr.trim().lines().next_back().unwrap_or("ssh said nothing").to_owned(),
        _ => result.error.take().unwrap_or_default(),
    };
    result.error = Some(format!("cannot connect to {to}: {why}; nothing was started there"));
    // The code is OpenSSH's own, and no command has one.
    result.exit_code = None;
    Err(Box::new(result))
}

/// Makes the folder of the sockets, which nobody else may use: whoever can connect to a socket can run commands.
fn prepare(folder: &Path) -> Result<(), String> {
    let refuse = |why: String| Err(format!("cannot use {} for connections: {why}", folder.display()));
    if let Err(error) = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        return refuse(error.to_string());
    }
    match fs::symlink_metadata(folder) {
        Ok(found) if !found.is_dir() => refuse("it is not a folder".into()),
        Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => refuse("it belongs to another user".into()),
        Ok(found) if found.mode() & 0o077 != 0 => refuse("others can reach it; `chmod 700` it".into()),
        Ok(_) => Ok(()),
        Err(error) => refuse(error.to_string()),
    }
}

/// The name of the socket for a destination, of a length that does not depend on it.
fn name(settings: &SshSettings, to: &Destination<'_>) -> String {
    let mut hasher = blake3::Hasher::new();
    // The folder is in it so that two daemons on one host never take each other's connections for their own.
    for part in
        [settings.sockets.as_os_str().as_encoded_bytes(), to.host.as_bytes(), to.user.unwrap_or_default().as_bytes()]
    {
        hasher.update(part).update(&[0]);
    }
    hasher.update(&to.port.unwrap_or_default().to_be_bytes());
    if let Some(config) = &settings.config {
        hasher.update(config.as_os_str().as_encoded_bytes());
    }
    hasher.finalize().to_hex().chars().take(16).collect()
}

/// The mark of the process behind a socket.
fn mark(socket_name: &str) -> RunId {
    RunId::new(format!("{MARK}{socket_name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_told_apart_by_where_they_lead() {
        let settings = SshSettings { sockets: "/data/ssh".into(), ..SshSettings::default() };
        let to = |host, user, port| name(&settings, &Destination { host, user, port });
        let all = [
            to("a", None, None),
            to("b", None, None),
            to("a", Some("root"), None),
            to("a", None, Some(22)),
            to("a", Some("roo"), Some(29696)),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
        assert_eq!(to("a", None, None), all[0]);
    }

    #[test]
    fn a_folder_that_others_can_reach_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let sockets = folder.path().join("ssh");
        prepare(&sockets).expect("it is made");
        assert_eq!(fs::metadata(&sockets).expect("it is there").mode() & 0o777, 0o700);
        fs::set_permissions(&sockets, fs::Permissions::from_mode(0o755)).expect("it is ours");
        assert!(prepare(&sockets).expect_err("it is open").contains("chmod 700"));
    }
}
