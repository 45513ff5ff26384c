//! `stanch __exec`: enters a cgroup, takes limits upon itself, becomes another account, then the program.
//!
//! Doing that between fork and exec would take the slow fork path of the parent, so the daemon starts its own binary
//! instead, which does it here. Runs in a process of its own, never in the daemon.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use nix::unistd::{setgid, setuid};

use super::nss::Account;
use super::process::StepLimits;

/// The hidden command by which the daemon calls itself.
pub const COMMAND: &str = "__exec";

/// The exit code where the program could not be started, as shells have it: 70 could be the program's own.
pub const EXIT_CANNOT_EXEC: u8 = 126;

/// What to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// The account; that of the daemon unless one is given.
    pub user: Option<String>,
    /// Whether the account's home is to be `HOME`; not where the step declares one.
    pub set_home: bool,
    /// The folder of the cgroup to enter.
    pub cgroup: Option<PathBuf>,
    /// The limits to take on.
    pub limits: StepLimits,
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// Why the program was not started.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The command line is not what the daemon writes.
    #[error("{COMMAND} is called by the daemon alone, as `{COMMAND} [OPTIONS] -- PROGRAM ARGS…`")]
    Usage,
    /// The cgroup cannot be entered, or the limits cannot be set.
    #[error("cannot confine the program ({step}): {source}")]
    Confine {
        /// The call that failed.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
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
    pub(super) fn to_args(&self) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec![COMMAND.into()];
        if let Some(user) = &self.user {
            all.extend(["--user".into(), user.into()]);
        }
        if self.set_home {
            all.push("--set-home".into());
        }
        if let Some(cgroup) = &self.cgroup {
            all.extend(["--cgroup".into(), cgroup.into()]);
        }
        all.extend(self.limits.to_args());
        all.extend(["--".into(), OsString::from(&self.program)]);
        all.extend(self.args.iter().cloned());
        all
    }

    /// Reads what follows `__exec` on the command line.
    ///
    /// # Errors
    /// When it is not what the daemon writes.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, ExecError> {
        let mut args = args.into_iter();
        let (mut user, mut set_home, mut cgroup, mut limits) = (None, false, None, StepLimits::default());
        loop {
            let mut next = || args.next().ok_or(ExecError::Usage);
            match next()?.to_str() {
                Some("--user") => user = Some(next()?.into_string().map_err(|_| ExecError::Usage)?),
                Some("--set-home") => set_home = true,
                Some("--cgroup") => cgroup = Some(PathBuf::from(next()?)),
                Some("--limit") if limits.read(next()?.to_str().unwrap_or_default()) => {}
                Some("--") => {
                    let program = PathBuf::from(next()?);
                    return Ok(Self { user, set_home, cgroup, limits, program, args: args.collect() });
                }
                _ => return Err(ExecError::Usage),
            }
        }
    }
}

/// Enters the cgroup, takes on the limits, becomes the account with all its groups, then the program. The environment
/// stays, but for the names and the home of the account; the folder and the descriptors stay.
///
/// # Errors
/// Comes back only where something failed; the program was not started then.
pub fn run(exec: &Exec) -> Result<Infallible, ExecError> {
    if let Some(cgroup) = &exec.cgroup {
        // 0 means the process that writes it.
        std::fs::write(cgroup.join("cgroup.procs"), "0")
            .map_err(|source| ExecError::Confine { step: "entering its cgroup", source })?;
    }
    exec.limits.set().map_err(|error| ExecError::Confine { step: "setting its limits", source: error.into() })?;
    #[expect(clippy::disallowed_methods, reason = "this replaces the process, it starts none")]
    let mut command = std::process::Command::new(&exec.program);
    if let Some(name) = &exec.user {
        let user = become_user(name)?;
        command.env("USER", name).env("LOGNAME", name);
        if exec.set_home {
            command.env("HOME", user.home);
        }
    }
    let source = command.args(&exec.args).exec();
    Err(ExecError::Exec { program: exec.program.clone(), source })
}

fn become_user(name: &str) -> Result<Account, ExecError> {
    let failed =
        |step: &'static str| move |source: io::Error| ExecError::Become { user: name.to_owned(), step, source };
    let account = Account::named(name)
        .map_err(failed("reading the accounts"))?
        .ok_or_else(|| ExecError::NoSuchUser(name.to_owned()))?;
    if account.uid != nix::unistd::geteuid() {
        // In this order: without root's identity the groups could not be changed any more.
        account.take_groups().map_err(failed("setting its groups"))?;
        setgid(account.gid).map_err(|errno| failed("setting its group")(errno.into()))?;
        setuid(account.uid).map_err(|errno| failed("setting its identity")(errno.into()))?;
    }
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Exec, ExecError> {
        Exec::parse(args.iter().map(OsString::from))
    }

    fn exec(user: Option<&str>) -> Exec {
        Exec {
            user: user.map(str::to_owned),
            set_home: user.is_some(),
            cgroup: Some("/sys/fs/cgroup/x".into()),
            limits: StepLimits { files: Some(64), ..StepLimits::default() },
            program: "/bin/echo".into(),
            args: vec!["--".into(), "--user".into(), "".into()],
        }
    }

    #[test]
    fn what_the_daemon_writes_is_read_back() {
        for exec in [exec(None), exec(Some("nobody"))] {
            assert_eq!(Exec::parse(exec.to_args().into_iter().skip(1)).expect("it parses"), exec);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for args in [
            &[][..],
            &["--user"],
            &["--user", "x", "prog"],
            &["--user", "x", "--"],
            &["prog"],
            &["--limit", "files=x", "--", "prog"],
        ] {
            assert!(matches!(parse(args), Err(ExecError::Usage)), "{args:?}");
        }
    }

    #[test]
    fn an_unknown_account_is_named() {
        let exec = Exec { cgroup: None, limits: StepLimits::default(), ..exec(Some("no-such-account")) };
        let error = run(&exec).expect_err("there is no such account");
        assert!(error.to_string().contains("no-such-account"));
    }

    #[test]
    fn a_cgroup_that_is_not_there_keeps_the_program_from_starting() {
        let exec = Exec { cgroup: Some("/no/such/cgroup".into()), ..exec(None) };
        assert!(matches!(run(&exec), Err(ExecError::Confine { .. })));
    }
}
