//! `ssh`: a program or script on another host, through the system's own OpenSSH.
//!
//! # Theory of operation
//!
//! The first step to a host opens a connection of its own ([`connection`]), which the following ones share. So a
//! connection that cannot be made is told apart from a command that fails, and repeated steps pay for one handshake. The
//! config of the SSH client decides about names, keys, jump hosts and agents; what it says about host keys, prompts and
//! forwardings is overruled: an unknown or changed key fails, and nobody is ever asked.
//!
//! What is to be done over there ([`far`]) is sent as text on standard input: no event text stands in a command line, and
//! the far login shell, whichever it is, sees one constant line. Standard input then stays open as long as the step may
//! go on. When it ends, for whatever reason, the far side ends what it started.

mod connection;
mod far;
mod probe;

pub(super) use connection::{Connections, end_all};
pub(crate) use probe::probe;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::process::{Manner, Order, Starter};
use super::{Attempt, failed};
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::journal::record::{StepEnd, StepResult};
use crate::plan::{ProcessCall, SshCall, StdinCall};

/// OpenSSH, by its absolute path: it must not be looked up.
const SSH: &str = "/usr/bin/ssh";
/// The exit code by which OpenSSH says that it failed itself. The far command may exit with it too.
const EXIT_SSH_FAILED: i32 = 255;

/// What of the config `ssh` steps need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshSettings {
    /// The SSH client's config; its own default ones where there is none.
    pub config: Option<PathBuf>,
    /// The folder of the sockets by which connections are shared; made when it is first needed.
    pub sockets: PathBuf,
    /// The socket of an agent, which processes would not see otherwise.
    pub agent: Option<String>,
}

impl SshSettings {
    /// What the config and the environment of this process say.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            config: config.ssh_config.clone(),
            sockets: config.data.join("ssh"),
            agent: std::env::var("SSH_AUTH_SOCK").ok(),
        }
    }
}

/// Where a step goes, as OpenSSH is told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Destination<'a> {
    host: &'a str,
    user: Option<&'a str>,
    port: Option<u16>,
}

impl std::fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(self.host),
        }
    }
}

pub(super) async fn act(
    starter: &Starter,
    connections: &Connections,
    call: &SshCall,
    attempt: &Attempt<'_>,
) -> StepResult {
    let watch = Stopwatch::start();
    let to = Destination { host: &call.host, user: call.user.as_deref(), port: call.port };
    let socket = match connections.open(starter, &to, attempt).await {
        Ok(socket) => socket,
        Err(result) => return *result,
    };
    let left = attempt.timeout.saturating_sub(watch.elapsed());
    let script = far::script(call, attempt, left);
    let mut args = arguments(&attempt.settings.ssh, socket.as_deref(), &["-o", "ControlMaster=no"], &to);
    args.push(far::bootstrap(script.len()));
    let process = ProcessCall {
        env: agent(&attempt.settings.ssh),
        stdin: StdinCall::Text(script),
        cwd: PathBuf::from("/"),
        user: None,
        exit_codes: call.exit_codes.clone(),
        allow_sudo: false,
    };
    let order = Order { program: Path::new(SSH), args, call: &process, manner: Manner::Remote };
    let mut result = starter.run(order, &Attempt { timeout: left, ..*attempt }).await;
    if result.exit_code == Some(EXIT_SSH_FAILED) {
        judge_255(&mut result, &to, socket.as_deref()).await;
    } else if let Some(error) = &mut result.error {
        *error = format!("on {to}: {error}");
    }
    if result.end == StepEnd::TimedOut {
        // The limit that counts is the step's, whatever of it the connection took.
        result.error = Some(format!(
            "on {to}: ended at its time limit of {:?}, there too; raise `timeout` if it needs longer",
            attempt.timeout
        ));
    }
    result
}

/// Whether 255 is OpenSSH's word or the far command's. A connection that still stands did not fail.
async fn judge_255(result: &mut StepResult, to: &Destination<'_>, socket: Option<&Path>) {
    let stands = match socket {
        Some(socket) => connection::stands(socket).await,
        None => false,
    };
    if stands {
        if let Some(error) = &mut result.error {
            *error = format!("on {to}: {error}");
        }
    } else {
        let said = result.stderr.trim().lines().next_back().unwrap_or("ssh said nothing");
        let error = format!("the connection to {to} failed: {said}; what it had started there is ended");
        *result = StepResult {
            exit_code: None,
            stdout: std::mem::take(&mut result.stdout),
            stderr: std::mem::take(&mut result.stderr),
            dropped_bytes: result.dropped_bytes,
            ..failed(error)
        };
    }
}

/// The arguments of OpenSSH up to the destination, which is behind `--`.
fn arguments(settings: &SshSettings, socket: Option<&Path>, more: &[&str], to: &Destination<'_>) -> Vec<String> {
    /// What holds whatever the client's config says: the first value that OpenSSH gets is the one that counts.
    const ALWAYS: &[&str] = &[
        "BatchMode=yes",
        "NumberOfPasswordPrompts=0",
        "StrictHostKeyChecking=yes",
        "VerifyHostKeyDNS=no",
        "NoHostAuthenticationForLocalhost=no",
        "UpdateHostKeys=no",
        "ClearAllForwardings=yes",
        "ForwardAgent=no",
        "ForwardX11=no",
        "Tunnel=no",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
        "RequestTTY=no",
        "LogLevel=ERROR",
        "ConnectionAttempts=1",
    ];
    let mut args: Vec<String> = Vec::new();
    if let Some(config) = &settings.config {
        args.extend(["-F".to_owned(), config.display().to_string()]);
    }
    args.push("-T".to_owned());
    for option in ALWAYS {
        args.extend(["-o".to_owned(), (*option).to_owned()]);
    }
    args.extend(["-o".to_owned(), format!("ConnectTimeout={}", connection::CONNECT_TIMEOUT.as_secs())]);
    args.extend(["-o".to_owned(), format!("ServerAliveInterval={}", connection::ALIVE_EVERY.as_secs())]);
    args.extend(["-o".to_owned(), format!("ServerAliveCountMax={}", connection::ALIVE_MISSED_MAX)]);
    match socket {
        // A `%` begins a token there.
        Some(socket) => args.extend(["-S".to_owned(), socket.display().to_string().replace('%', "%%")]),
        None => args.extend(["-S".to_owned(), "none".to_owned()]),
    }
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    if let Some(user) = to.user {
        args.extend(["-l".to_owned(), user.to_owned()]);
    }
    if let Some(port) = to.port {
        args.extend(["-p".to_owned(), port.to_string()]);
    }
    args.extend(["--".to_owned(), to.host.to_owned()]);
    args
}

/// What the environment of OpenSSH needs besides.
fn agent(settings: &SshSettings) -> BTreeMap<String, String> {
    settings.agent.iter().map(|socket| ("SSH_AUTH_SOCK".to_owned(), socket.clone())).collect()
}
