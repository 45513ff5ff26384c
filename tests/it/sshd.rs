//! A real sshd on loopback, with keys of its own, for the steps that go to other hosts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::wait_for;

/// An sshd that is ended with the test.
pub(crate) struct Sshd {
    folder: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Sshd {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        key(&path("host_key"));
        key(&path("user_key"));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {user}.pub\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             LogLevel VERBOSE\nMaxStartups 200\nMaxSessions 20\n",
            host = path("host_key").display(),
            user = path("user_key").display(),
        );
        fs::write(path("sshd_config"), config).unwrap();
        if Path::new("/run").metadata().is_ok_and(|run| !run.permissions().readonly()) {
            // As root sshd wants its empty folder, which the service would have made; others do without.
            fs::create_dir_all("/run/sshd").ok();
        }
        let log = fs::File::create(path("log")).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let sshd = Self { folder, child, port };
        wait_for("sshd to listen", || {
            let log = fs::read_to_string(sshd.path("log")).unwrap_or_default();
            if log.contains("Server listening") { Ok(()) } else { Err(log) }
        });
        let known = fs::read_to_string(sshd.path("host_key.pub")).unwrap();
        sshd.know(&format!("far {known}"));
        sshd
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the client knows of host keys.
    pub(crate) fn know(&self, lines: &str) {
        fs::write(self.path("known_hosts"), lines).unwrap();
    }

    /// A key that is not the host's.
    pub(crate) fn other_key(&self) -> String {
        key(&self.path("other_key"));
        fs::read_to_string(self.path("other_key.pub")).unwrap()
    }

    /// A client's config by which every name leads here, with `extra` lines that come first.
    pub(crate) fn client_config(&self, extra: &str) -> String {
        format!(
            "Host *\n{extra}\n  HostName 127.0.0.1\n  Port {}\n  HostKeyAlias far\n  UserKnownHostsFile {}\n  \
             GlobalKnownHostsFile none\n  IdentityFile {}\n  IdentitiesOnly yes\n",
            self.port,
            self.path("known_hosts").display(),
            self.path("user_key").display()
        )
    }

    /// How many connections proved themselves so far.
    pub(crate) fn handshakes(&self) -> usize {
        fs::read_to_string(self.path("log")).unwrap().matches("Accepted publickey").count()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn key(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status().unwrap();
    assert!(made.success());
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
