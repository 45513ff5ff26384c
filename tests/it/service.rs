//! The daemon as a service: what systemd is told, and whether the shipped unit and config are right.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::support::{Folder, UNCONCERNED, admin, incident, marking_rule, wait_for, with};
use super::versions::{append, started_by};

/// The most that `systemd-analyze security` may find, in tenths of its points (0 is a sealed box, 100 an open one).
const EXPOSURE_MAX: &str = "15";

fn shipped(name: &str) -> String {
    std::fs::read_to_string(format!("{}/packaging/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What the daemon tells systemd.
struct Told(UnixDatagram);

impl Told {
    fn of(folder: Folder) -> (Self, Folder) {
        let path = folder.path("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        (Self(socket), folder.env("NOTIFY_SOCKET", path.to_str().unwrap()))
    }

    fn next(&self) -> String {
        let mut message = [0; 512];
        let length = self.0.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    }
}

#[test]
fn systemd_is_told_when_the_daemon_is_ready_alive_and_stopping() {
    let (told, folder) = Told::of(Folder::with_rules(UNCONCERNED));
    let daemon = folder.env("WATCHDOG_USEC", "300000").start();
    let ready = told.next();
    assert!(ready.contains("READY=1") && ready.contains("STATUS=1 rules, mode auto"), "{ready}");
    for _ in 0..3 {
        assert!(told.next().contains("WATCHDOG=1"));
    }
    daemon.stop();
    wait_for("the daemon to say that it stops", || {
        let message = told.next();
        if message.contains("STOPPING=1") { Ok(()) } else { Err(message) }
    });
}

#[test]
fn a_start_that_takes_its_time_asks_systemd_for_it() {
    let folder = Folder::with_rules(UNCONCERNED).start().stop();
    append(&folder, "started", &started_by("0.0.9"));
    let (told, folder) = Told::of(folder);
    let daemon = folder.start();
    let mut before = Vec::new();
    wait_for("the daemon to be ready", || {
        let message = told.next();
        if message.contains("READY=1") {
            return Ok(());
        }
        before.push(message.clone());
        Err(message)
    });
    assert!(daemon.folder.read("log").contains("a copy is kept"));
    assert!(
        !before.is_empty() && before.iter().all(|said| said.trim() == "EXTEND_TIMEOUT_USEC=60000000"),
        "{before:?}"
    );
}

/// The names of the calls in a group of systemd's.
fn calls(group: &str) -> BTreeSet<String> {
    let output = Command::new("systemd-analyze").args(["syscall-filter", "--no-pager", group]).output().unwrap();
    assert!(output.status.success(), "{group}");
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).skip(1);
    names.flat_map(|name| if name.starts_with('@') { calls(name) } else { [name.to_owned()].into() }).collect()
}

#[test]
fn the_daemon_makes_no_call_that_its_unit_refuses() {
    let mut allowed = BTreeSet::new();
    let mut refused = BTreeSet::new();
    for line in shipped("systemd/stanch.service").lines() {
        let Some(filter) = line.strip_prefix("SystemCallFilter=") else { continue };
        let (refuses, names) = filter.strip_prefix('~').map_or((false, filter), |names| (true, names));
        let of = |name: &str| if name.starts_with('@') { calls(name) } else { [name.to_owned()].into() };
        for name in names.split(' ').flat_map(of) {
            let (into, from) = if refuses { (&mut refused, &mut allowed) } else { (&mut allowed, &mut refused) };
            from.remove(&name);
            into.insert(name);
        }
    }
    assert!(refused.contains("sched_setscheduler") && allowed.contains("openat"));
    // SQLite gives its files the journal's owner where it is root, which it is not in the unit.
    refused.retain(|name| !["fchown", "fchown32"].contains(&name.as_str()));
    let trace = format!("trace={}", refused.iter().map(|name| format!("?{name}")).collect::<Vec<_>>().join(","));
    let rules = format!("rules:\n{}", marking_rule("mark", ""));
    let folder = Folder::with_rules(&rules);
    let log = folder.path("refused.log");
    let daemon = folder.traced(&["-e", "signal=none", "-e", &trace, "-o", log.to_str().unwrap()]).start();
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    let socket = daemon.folder.path("data/stanch.sock");
    let (status, answer) = admin(&socket, "GET", "/api/v1/backtest", "").unwrap();
    assert_eq!(status, 200, "{answer}");
    let folder = daemon.stop();
    assert_eq!(std::fs::read_to_string(folder.path("refused.log")).unwrap(), "");
}

#[test]
fn the_shipped_unit_is_valid_and_a_closed_box() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("stanch.service");
    // The program must exist for systemd to call the unit valid.
    let text = shipped("systemd/stanch.service").replace("/usr/bin/stanch", env!("CARGO_BIN_EXE_stanch"));
    std::fs::write(&unit, text).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let own: Vec<&str> = said.lines().filter(|line| line.contains("stanch.service")).collect();
    assert!(own.is_empty(), "{own:#?}");

    let mut analyze = Command::new("systemd-analyze");
    let judged = analyze.args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE_MAX]).arg(&unit);
    let output = judged.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_shipped_config_and_rule_pass_their_checks() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let config = shipped("etc/stanch.yaml").replace("/etc/stanch", root).replace("/var/lib/stanch", root);
    std::fs::write(folder.path().join("stanch.yaml"), config).unwrap();
    for name in ["rules", "scripts", "credentials"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("credentials/webhook-token"), "as systemd hands it to the unit").unwrap();
    std::fs::write(folder.path().join("rules/hello.yaml"), shipped("etc/example-rule.yaml")).unwrap();
    // In the unit, and by hand, where there are no credentials to look at.
    for (args, in_unit) in
        [(&["check", "--deny", "warnings"][..], true), (&["check", "--deny", "warnings"], false), (&["test"], false)]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stanch"));
        if in_unit {
            command.env("CREDENTIALS_DIRECTORY", folder.path().join("credentials"));
        }
        let output = command.args(args).arg("-c").arg(folder.path().join("stanch.yaml")).output().unwrap();
        let said = [&*output.stdout, &*output.stderr].concat();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn journald_learns_the_level_of_each_line_and_what_is_left_is_json() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::with_rules(UNCONCERNED);
    // What the daemon writes to is this file, so its device and inode are what systemd would name.
    std::fs::write(folder.path("log"), "").unwrap();
    let log = std::fs::metadata(folder.path("log")).unwrap();
    let stream = format!("{}:{}", log.dev(), log.ino());
    let daemon = folder.env("JOURNAL_STREAM", &stream).start();
    let bad = with(incident("e-1", "inc-1"), &[("/event_id", json!("\u{202e}\u{1b}[31m"))]);
    assert_eq!(daemon.push(&bad).0, 400);
    daemon.accept(&with(incident("e-2", "inc-2"), &[("/incident/title", json!("\u{202e}\u{9b}31m<3>{\n"))]));
    let log = daemon.stop().read("log");
    let mut levels = std::collections::BTreeSet::new();
    for line in log.lines() {
        let (level, text) =
            line.strip_prefix('<').and_then(|rest| rest.split_once('>')).unwrap_or_else(|| panic!("{line}"));
        let told: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(!text.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)), "{line}");
        levels.insert((level.to_owned(), told["level"].as_str().unwrap().to_owned()));
    }
    let pairs = [("4", "WARN"), ("6", "INFO")].map(|(level, word)| (level.to_owned(), word.to_owned()));
    assert_eq!(levels.into_iter().collect::<Vec<_>>(), pairs);
    // Where standard error is something else, no line begins with a level.
    let elsewhere = Folder::with_rules(UNCONCERNED).env("JOURNAL_STREAM", "1:1").start().stop().read("log");
    assert!(elsewhere.lines().all(|line| line.starts_with('{')), "{elsewhere}");
}
