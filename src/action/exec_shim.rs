//! `stanch __exec`: becomes another account, then the program.
//!
//! Changing the account between fork and exec would take the slow fork path of the parent, so the daemon starts its
//! own binary instead, which does it here. Runs in a process of its own, never in the daemon.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, initgroups, setgid, setuid};

/// The hidden command by which the daemon calls itself.
pub const COMMAND: &str = "__exec";

/// The exit code where the program could not be started, as shells have it: 70 could be the program's own.
pub const EXIT_CANNOT_EXEC: u8 = 126;

/// What to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// The account.
    pub user: String,
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// Why the program was not started.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The command line is not `--user NAME -- PROGRAM ARGS…`.
    #[error("{COMMAND} is called by the daemon alone, as `{COMMAND} --user NAME -- PROGRAM ARGS…`")]
    Usage,
    /// There is no such account.
    #[error("cannot run as user {0:?}: this host has no such account; check `user` in the rule")]
    NoSuchUser(String),
    /// The accounts could not be read, or the change is not permitted.
    #[error("cannot become user {user:?} ({step}): {source}; the daemon must run as root for steps with `user`")]
    Become {
        /// The account.
        user: String,
        /// The call that failed.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The program could not be executed.
    #[error("cannot start {}: {source}", program.display())]
    Exec {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Exec {
    /// The arguments for our own binary.
    pub(super) fn to_args(user: &str, program: &Path, args: Vec<String>) -> Vec<OsString> {
        let mut all: Vec<OsString> = [COMMAND.into(), "--user".into(), user.into(), "--".into(), program.into()].into();
        all.extend(args.into_iter().map(OsString::from));
        all
    }

    /// Reads what follows `__exec` on the command line.
    ///
    /// # Errors
    /// When it is not what the daemon writes.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, ExecError> {
        let mut args = args.into_iter();
        let mut next = || args.next().ok_or(ExecError::Usage);
        if next()? != "--user" {
            return Err(ExecError::Usage);
        }
        let user = next()?.into_string().map_err(|_| ExecError::Usage)?;
        if next()? != "--" {
            return Err(ExecError::Usage);
        }
        let program = PathBuf::from(next()?);
        Ok(Self { user, program, args: args.collect() })
    }
}

/// Becomes the account with all its groups, then the program. The environment, the folder and the descriptors stay.
///
/// # Errors
/// Comes back only where something failed; the program was not started then.
pub fn run(exec: &Exec) -> Result<Infallible, ExecError> {
    let failed = |step: &'static str| {
        move |errno: nix::Error| ExecError::Become { user: exec.user.clone(), step, source: errno.into() }
    };
    let user = User::from_name(&exec.user)
        .map_err(failed("reading the accounts"))?
        .ok_or_else(|| ExecError::NoSuchUser(exec.user.clone()))?;
    let name = CString::new(exec.user.as_str()).map_err(|_| ExecError::NoSuchUser(exec.user.clone()))?;
    if user.uid != nix::unistd::geteuid() {
        // In this order: without root's identity the groups could not be changed any more.
        initgroups(&name, user.gid).map_err(failed("setting its groups"))?;
        setgid(user.gid).map_err(failed("setting its group"))?;
        setuid(user.uid).map_err(failed("setting its identity"))?;
    }
    #[expect(clippy::disallowed_methods, reason = "this replaces the process, it starts none")]
    let source = std::process::Command::new(&exec.program).args(&exec.args).exec();
    Err(ExecError::Exec { program: exec.program.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Exec, ExecError> {
        Exec::parse(args.iter().map(OsString::from))
    }

    #[test]
    fn what_the_daemon_writes_is_read_back() {
        let args = Exec::to_args("nobody", Path::new("/bin/echo"), vec!["--".into(), "--user".into(), "".into()]);
        let exec = Exec::parse(args.into_iter().skip(1)).expect("it parses");
        assert_eq!(exec.user, "nobody");
        assert_eq!(exec.program, Path::new("/bin/echo"));
        assert_eq!(exec.args, ["--", "--user", ""]);
    }

    #[test]
    fn anything_else_is_refused() {
        for args in [&[][..], &["--user"], &["--user", "x", "prog"], &["--user", "x", "--"], &["prog"]] {
            assert!(matches!(parse(args), Err(ExecError::Usage)), "{args:?}");
        }
    }

    #[test]
    fn an_unknown_account_is_named() {
        let exec = Exec { user: "no-such-account".into(), program: "/bin/true".into(), args: vec![] };
        let error = run(&exec).expect_err("there is no such account");
        assert!(error.to_string().contains("no-such-account"));
    }
}
