//! A look at a host for people who ask whether `ssh` steps will get through to it. Nothing is done there.
//!
//! OpenSSH is asked as a step would ask it: the same config, and the same rules for host keys. Unless a login is wanted, it is
//! told to use no way of proving who it is, so that it stops where it has checked the host's key.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::{Destination, SSH, SshSettings, agent, arguments};

/// How long one look may take: the time for a connection, and as much again for a jump host on the way and a login.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes that are read of what OpenSSH says. Its errors are a few lines; a banner of the host may come before them.
const SAID_BYTES_MAX: u64 = 64 * 1024;
/// By this OpenSSH says that the host refused it: its key was found good before.
const REFUSED: &str = "Permission denied";
/// What is run where a login is wanted.
const NOTHING: &str = "true";

/// Connects to a host and checks its key; with `login` it also logs in and runs `true`.
///
/// # Errors
/// What OpenSSH said, or why it could not be asked.
pub(crate) async fn probe(
    settings: &SshSettings,
    host: &str,
    user: Option<&str>,
    port: Option<u16>,
    login: bool,
) -> Result<(), String> {
    let to = Destination { host, user, port };
    let more: &[&str] = if login { &[] } else { &["-o", "PreferredAuthentications=none"] };
    let mut args = arguments(settings, None, more, &to);
    args.push(NOTHING.to_owned());
    #[expect(clippy::disallowed_methods, reason = "it belongs to no run, and is ended with this future")]
    let mut command = tokio::process::Command::new(Path::new(SSH));
    command.args(args).env_clear().envs(agent(settings)).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| format!("cannot start {SSH}: {error}; it is in the package openssh-client"))?;
    let stderr = child.stderr.take();
    let look = async {
        let mut said = Vec::new();
        if let Some(stderr) = stderr {
            stderr.take(SAID_BYTES_MAX).read_to_end(&mut said).await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, said))
    };
    let (status, said) = match tokio::time::timeout(PROBE_TIMEOUT, look).await {
        Err(_) => return Err(format!("it did not come to an end within {PROBE_TIMEOUT:?}")),
        Ok(Err(error)) => return Err(format!("{SSH} could not be waited for: {error}")),
        Ok(Ok(looked)) => looked,
    };
    let said = String::from_utf8_lossy(&said);
    let last = said.trim().lines().next_back().unwrap_or("ssh said nothing");
    if status.success() || (!login && last.contains(REFUSED)) { Ok(()) } else { Err(last.trim().to_owned()) }
}
