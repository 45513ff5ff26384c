//! A daemon to test against: the real binary, in a folder of its own, on a free port, ended when the test ends.

mod http;
mod samples;

pub(crate) use http::{admin, post, post_to, try_post};
pub(crate) use samples::{incident, marking_rule, records, with};

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The webhook's secret in tests.
pub(crate) const TOKEN: &str = "the-secret-of-the-tests-0123456789";
/// How long a condition may take to come true. Generous: it bounds a failure, not a success.
const PATIENCE: Duration = Duration::from_secs(30);

/// Rules that no push of these tests concerns.
pub(crate) const UNCONCERNED: &str = "rules:\n  - id: none\n    match: { events: [i_merge], channels: [Nowhere] }\n    steps: [ { run: [/bin/true] } ]\n";

/// The binary under test.
pub(crate) fn stanch() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stanch"));
    command.env("NO_COLOR", "1");
    command
}

/// A working folder.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    pub(crate) addr: SocketAddr,
    env: Vec<(String, String)>,
    args: Vec<String>,
    cgroup: Option<PathBuf>,
    tracing: Vec<String>,
}

impl Folder {
    /// A folder with these rules.
    pub(crate) fn with_rules(rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addr = free_address();
        let made = Self { folder, addr, env: Vec::new(), args: Vec::new(), cgroup: None, tracing: Vec::new() };
        for name in ["rules", "scripts", "secrets"] {
            fs::create_dir(made.path(name)).unwrap();
        }
        made.write("secrets/token", TOKEN, 0o600);
        made.write("rules/rules.yaml", rules, 0o644);
        made.config("")
    }

    /// Writes the config anew with `extra` lines at its end.
    pub(crate) fn config(self, extra: &str) -> Self {
        let text = format!(
            "listen: {}\nsources:\n  - name: flashduty\n    path: /flashduty\n    auth: {{ header: X-Stanch-Token, secret: {{ file: secrets/token }} }}\n{extra}",
            self.addr
        );
        self.write("stanch.yaml", &text, 0o644);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Takes the arguments of `serve` away again.
    pub(crate) fn without_args(mut self) -> Self {
        self.args.clear();
        self
    }

    /// Starts the daemon under strace from now on, with these options; with none, without it.
    pub(crate) fn traced(mut self, options: &[&str]) -> Self {
        self.tracing = options.iter().map(|option| (*option).to_owned()).collect();
        self
    }

    /// Adds an executable script.
    pub(crate) fn script(self, name: &str, text: &str) -> Self {
        self.write(&format!("scripts/{name}"), text, 0o755);
        self
    }

    /// Writes an executable script anew.
    pub(crate) fn script_now(&self, name: &str, text: &str) {
        self.write(&format!("scripts/{name}"), text, 0o755);
    }

    /// Starts daemons inside this cgroup.
    pub(crate) fn inside(mut self, cgroup: &Path) -> Self {
        self.cgroup = Some(cgroup.to_owned());
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A file's text; empty where it is not there.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Runs a command of the command line to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        stanch().args(args).arg("-c").arg(self.path("stanch.yaml")).output().unwrap()
    }

    /// Runs a command that prints JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--format", "json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts the daemon and waits until it is ready.
    pub(crate) fn start(self) -> Daemon {
        let daemon = self.start_unasked();
        daemon.wait_until_ready();
        daemon
    }

    /// Starts the daemon, which may end before it is ready.
    pub(crate) fn start_unasked(self) -> Daemon {
        let child = self.spawn();
        Daemon { folder: self, child }
    }

    /// Starts the daemon and waits for its end, for those that must not start.
    pub(crate) fn start_in_vain(&self) -> Output {
        let mut command = self.serve();
        command.envs(self.env.iter().map(|(name, value)| (name, value))).output().unwrap()
    }

    fn serve(&self) -> Command {
        let mut command = match &self.cgroup {
            None => stanch(),
            // A shell enters the cgroup and becomes the daemon.
            Some(cgroup) => {
                let mut command = Command::new("/bin/sh");
                let enter = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
                command.args(["-c", enter]).arg(cgroup).arg(env!("CARGO_BIN_EXE_stanch"));
                command
            }
        };
        if !self.tracing.is_empty() {
            // `-D` keeps the daemon our own child, so that its end and its exit code are seen as without strace.
            command = Command::new("strace");
            command.env("NO_COLOR", "1").args(["-D", "-f", "-qq", "-o", "/dev/null"]);
            command.args(&self.tracing).arg(env!("CARGO_BIN_EXE_stanch"));
        }
        command.args(["serve", "-c"]).arg(self.path("stanch.yaml")).args(&self.args);
        command
    }

    fn spawn(&self) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.serve();
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    pub(crate) folder: Folder,
    child: Child,
}

impl Daemon {
    fn wait_until_ready(&self) {
        wait_for("the daemon to be ready", || {
            let ready = admin(&self.folder.path("data/stanch.sock"), "GET", "/readyz", "");
            ready.filter(|(status, _)| *status == 200).map(drop).ok_or_else(|| self.folder.read("log"))
        });
    }

    /// Posts a push and returns the status and the answer.
    pub(crate) fn push(&self, body: &Value) -> (u16, Value) {
        post(self.folder.addr, TOKEN, body.to_string().as_bytes())
    }

    /// Posts a push that has to be accepted.
    pub(crate) fn accept(&self, body: &Value) {
        let (status, answer) = self.push(body);
        assert_eq!((status, &answer["status"]), (200, &json!("accepted")), "{answer}");
    }

    /// What `stanch events show` says, once the event is decided.
    pub(crate) fn decided(&self, event: &str) -> Value {
        wait_for(&format!("event {event} to be decided"), || {
            let story = self.folder.json(&["events", "show", event]);
            if story["event"]["decision"].is_null() { Err(story.to_string()) } else { Ok(story) }
        })
    }

    /// The outcome of the only rule that an event concerns, with its reason.
    pub(crate) fn outcome(&self, event: &str) -> (String, String) {
        let story = self.decided(event);
        let rules = story["event"]["decision"]["rules"].as_array().unwrap().clone();
        let Some(rule) = rules.first() else { return (String::new(), story.to_string()) };
        (rule["outcome"].as_str().unwrap().to_owned(), rule["reason"].as_str().unwrap_or_default().to_owned())
    }

    /// The story of the only run of an event, once it has ended.
    pub(crate) fn ended(&self, event: &str) -> Value {
        wait_for(&format!("the run of {event} to end"), || {
            let story = self.decided(event);
            let run = &story["runs"][0];
            let is_live = matches!(
                run["run"]["state"].as_str(),
                None | Some("queued" | "held" | "running" | "awaiting-approval")
            );
            if is_live { Err(story.to_string()) } else { Ok(run.clone()) }
        })
    }

    /// The word for how the only run of an event ended.
    pub(crate) fn end_of(&self, event: &str) -> String {
        self.ended(event)["run"]["state"].as_str().unwrap().to_owned()
    }

    /// Whether the daemon answers that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        let ready = admin(&self.folder.path("data/stanch.sock"), "GET", "/readyz", "");
        ready.is_some_and(|(status, _)| status == 200)
    }

    /// Whether the daemon's process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until the daemon ends by itself, and gives its exit code and its folder back.
    pub(crate) fn end_by_itself(mut self) -> (Option<i32>, Folder) {
        let status =
            wait_for("the daemon to end", || self.child.try_wait().unwrap().ok_or_else(|| self.folder.read("log")));
        (status.code(), self.into_folder())
    }

    /// Lets every call of `calls` fail with `error` from now on, until the fault is dropped.
    pub(crate) fn fault(&self, calls: &str, error: &str) -> Fault {
        let pid = self.pid().to_string();
        let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:error={error}"));
        let tracer = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, "-p", &pid])
            .spawn()
            .unwrap();
        wait_for("strace to have every thread of the daemon", || {
            let mut free = Vec::new();
            for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
                let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
                free.extend(status.lines().find(|line| *line == "TracerPid:\t0").map(str::to_owned));
            }
            if free.is_empty() { Ok(()) } else { Err(format!("{} threads are not traced", free.len())) }
        });
        Fault(tracer)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Posts a push that the daemon may not live to answer.
    pub(crate) fn push_into_the_dark(&self, body: &Value) {
        try_post(self.folder.addr, TOKEN, body.to_string().as_bytes()).ok();
    }

    /// Ends the daemon as a power cut would, and gives its folder back.
    pub(crate) fn kill(mut self) -> Folder {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.into_folder()
    }

    /// Asks the daemon to stop, waits for it, and gives its folder back.
    pub(crate) fn stop(mut self) -> Folder {
        self.signal("TERM");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.folder.read("log"));
        self.into_folder()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    fn into_folder(mut self) -> Folder {
        let empty = Folder {
            folder: tempfile::tempdir().unwrap(),
            addr: self.folder.addr,
            env: vec![],
            args: vec![],
            cgroup: None,
            tracing: vec![],
        };
        std::mem::replace(&mut self.folder, empty)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A fault of the system under a daemon; over when dropped.
pub(crate) struct Fault(Child);

impl Drop for Fault {
    fn drop(&mut self) {
        // Asked like this, strace lets go of the daemon; it may have ended with it already.
        Command::new("kill").args(["-s", "INT", &self.0.id().to_string()]).stderr(Stdio::null()).status().ok();
        self.0.wait().ok();
    }
}

/// Says a line past the test harness, which keeps what a test prints to itself.
pub(crate) fn say_aloud(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Says aloud that something was not tested. Where `STANCH_TEST_EVERYTHING` is set nothing may go untested.
pub(crate) fn not_tested(name: &str, why: &str) {
    assert!(std::env::var_os("STANCH_TEST_EVERYTHING").is_none(), "{name} has to be tested: {why}");
    say_aloud(&format!("NOT TESTED: {name}, because {why}"));
}

/// Waits until `look` finds what it looks for; fails with what it saw last.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "waited in vain for {what}; saw: {seen}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An address that stays free until a daemon listens on it, also while it restarts: below the ports that the kernel hands
/// out, since any connection of any other test could come to have one of those meanwhile.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    // Test binaries that run beside each other begin at places of their own.
    let begin = u16::try_from(u64::from(std::process::id()) * 211 % u64::from(COUNT)).unwrap();
    loop {
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (begin.wrapping_add(nth)) % COUNT;
        if let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}
