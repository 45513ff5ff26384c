//! The servers that are measured, each a process of its own in a folder of its own.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The secret of the measured daemon.
pub(crate) const TOKEN: &str = "a-secret-for-the-bench-only";
/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
pub(crate) struct Daemon {
    pub(crate) addr: SocketAddr,
    child: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// The baseline.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child =
            Command::new(std::env::current_exe().unwrap()).arg("bare-warp").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { addr: line.trim().parse().unwrap(), child, folder }
    }

    /// `stanch serve` with these rules and these lines of config, logging as it does by default.
    pub(crate) fn start(rules: &str, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["rules", "scripts", "stamps"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        let secret = path("token");
        std::fs::write(&secret, TOKEN).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(path("rules/rules.yaml"), rules).unwrap();
        let addr = free_addr();
        let text = format!(
            "listen: {addr}\nsources:\n  - name: flashduty\n    path: /flashduty\n    auth: {{ header: X-Stanch-Token, secret: {{ file: token }} }}\n{config}"
        );
        std::fs::write(path("stanch.yaml"), text).unwrap();
        let log = std::fs::File::create(path("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_stanch"))
            .args(["serve", "-c"])
            .arg(path("stanch.yaml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let daemon = Self { addr, child, folder };
        daemon.wait(|| std::net::TcpStream::connect(addr).is_ok(), "to listen");
        daemon
    }

    /// The folder for the files of [`super::stamp`].
    pub(crate) fn stamps(&self) -> PathBuf {
        self.folder.path().join("stamps")
    }

    /// Resident memory in megabytes.
    pub(crate) fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// Waits until no push is undecided, and says how long that took.
    pub(crate) fn wait_until_decided(&self) -> Duration {
        let begun = Instant::now();
        let undecided = "SELECT (SELECT max(seq) FROM record WHERE kind = 'received') -
            (SELECT coalesce(max(json_extract(data, '$.to_seq')), 0) FROM record WHERE kind = 'decided' AND seq >
             (SELECT max(seq) FROM record) - 20000)";
        self.wait(|| self.query(undecided) == Some(0), "to decide on every push");
        begun.elapsed()
    }

    /// Waits until so many runs have succeeded; returns how many did.
    pub(crate) fn wait_for_runs(&self, runs: usize) -> usize {
        let succeeded =
            "SELECT count(*) FROM record WHERE kind = 'run-ended' AND json_extract(data, '$.end') = 'succeeded'";
        let ended = "SELECT count(*) FROM record WHERE seq > 0 AND kind = 'run-ended'";
        self.wait(|| self.query(ended) >= i64::try_from(runs).ok(), "to end every run");
        usize::try_from(self.query(succeeded).unwrap()).unwrap()
    }

    fn query(&self, sql: &str) -> Option<i64> {
        let path = self.folder.path().join("data/journal.db");
        let db = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        db.query_row(sql, [], |row| row.get(0)).ok()
    }

    fn wait(&self, done: impl Fn() -> bool, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !done() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the daemon took too long {what}:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn free_addr() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Rules for the events of [`super::push`] that differ in one label, which no push has.
pub(crate) fn rules_that_never_match(count: usize) -> String {
    let mut text = String::from("rules:\n");
    for number in 0..count {
        write!(
            text,
            "  - id: rule-{number}\n    match:\n      events: [i_new, i_reopen]\n      channels: [\"*\"]\n      labels: {{ check: disk full, resource: other-{number} }}\n    steps: [ {{ run: [/bin/true] }} ]\n"
        )
        .unwrap();
    }
    text
}

/// A rule that runs a command for every push.
pub(crate) fn rule_that_runs(extra: &str) -> String {
    format!(
        "rules:\n  - id: run\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    target: \"{{{{ labels.resource }}}}\"\n    guards: {{ rate: {{ max: 1000000, per: 1h }} }}\n    steps:\n      - run: [/bin/true]\n{extra}"
    )
}

/// A rule whose command tells when it started.
pub(crate) fn rule_that_stamps() -> String {
    let program = std::env::current_exe().unwrap();
    // The program knows its folder by its working directory's `stamps`.
    format!(
        "rules:\n  - id: stamp\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    target: \"{{{{ labels.resource }}}}\"\n    guards: {{ rate: {{ max: 1000000, per: 1h }} }}\n    steps:\n      - run: [{}, stamp, stamps, \"{{{{ target }}}}\"]\n        stdin: none\n",
        program.display()
    )
}
