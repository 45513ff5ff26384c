//! The daemon as a service: what systemd is told, and whether the shipped unit and config are right.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use super::support::{Folder, UNCONCERNED, wait_for};

/// The most that `systemd-analyze security` may find, in tenths of its points (0 is a sealed box, 100 an open one).
const EXPOSURE_MAX: &str = "15";

fn shipped(name: &str) -> String {
    std::fs::read_to_string(format!("{}/packaging/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn systemd_is_told_when_the_daemon_is_ready_alive_and_stopping() {
    let folder = Folder::with_rules(UNCONCERNED);
    let path = folder.path("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let told = || {
        let mut message = [0; 512];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let daemon = folder.env("NOTIFY_SOCKET", path.to_str().unwrap()).env("WATCHDOG_USEC", "300000").start();
    let ready = told();
    assert!(ready.contains("READY=1") && ready.contains("STATUS=1 rules, mode auto"), "{ready}");
    for _ in 0..3 {
        assert!(told().contains("WATCHDOG=1"));
    }
    daemon.stop();
    wait_for("the daemon to say that it stops", || {
        let message = told();
        if message.contains("STOPPING=1") { Ok(()) } else { Err(message) }
    });
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
    for args in [&["check", "--deny", "warnings"][..], &["test"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stanch"));
        command.env("CREDENTIALS_DIRECTORY", folder.path().join("credentials"));
        let output = command.args(args).arg("-c").arg(folder.path().join("stanch.yaml")).output().unwrap();
        let said = [&*output.stdout, &*output.stderr].concat();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said));
    }
}
