//! `stanch init` makes a folder that works at once, and overwrites nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::program::{Running, both, program, stanch, stderr, stdout};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_folder_passes_the_check_without_a_warning() {
    let place = tempfile::tempdir().unwrap();
    let output = stanch(place.path()).args(["init", "work"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert_eq!(stderr(&output), "");

    let checked =
        stanch(place.path()).args(["check", "-c", "work/stanch.yaml", "--deny", "warnings"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", both(&checked));
    assert!(stdout(&checked).contains("1 rule in 1 file, 3 tests"), "{}", both(&checked));

    let tested = stanch(place.path()).args(["test", "-c", "work/stanch.yaml"]).output().unwrap();
    assert_eq!(tested.status.code(), Some(0), "{}", both(&tested));
    assert!(stdout(&tested).ends_with("3 passed, 0 failed\n"), "{}", both(&tested));
}

#[test]
fn the_secret_is_long_private_new_and_not_shown_unasked() {
    let place = tempfile::tempdir().unwrap();
    let first = stanch(place.path()).args(["init", "one"]).output().unwrap();
    let second = stanch(place.path()).args(["init", "two", "--show-secret"]).output().unwrap();
    let secret = |folder: &str| fs::read_to_string(place.path().join(folder).join("secrets/webhook-token")).unwrap();

    assert_eq!(secret("one").trim().len(), 43, "32 bytes in base64url");
    assert_ne!(secret("one"), secret("two"));
    assert_eq!(mode(&place.path().join("one/secrets/webhook-token")), 0o600);
    assert_eq!(mode(&place.path().join("one/secrets")), 0o700);

    assert!(!both(&first).contains(secret("one").trim()));
    assert!(stdout(&second).contains(secret("two").trim()));
    for told in ["X-Stanch-Token", "one/secrets/webhook-token", "stanch check", "stanch serve", "stanch send"] {
        assert!(stdout(&first).contains(told), "no {told:?} in:\n{}", stdout(&first));
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_is_written_beside_it() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("secrets")).unwrap();
    fs::write(place.path().join("stanch.yaml"), "mine").unwrap();
    std::os::unix::fs::symlink("/nowhere", place.path().join("secrets/webhook-token")).unwrap();

    let output = stanch(place.path()).arg("init").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(stderr(&output).contains("stanch.yaml, secrets/webhook-token"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(place.path().join("stanch.yaml")).unwrap(), "mine");
    assert!(!place.path().join("rules").exists());
}

#[test]
fn a_generous_umask_lets_nobody_exchange_scripts() {
    let place = tempfile::tempdir().unwrap();
    let output = program(Path::new("/bin/sh"))
        .args(["-c", "umask 000; exec \"$0\" init", env!("CARGO_BIN_EXE_stanch")])
        .current_dir(place.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert_eq!(mode(&place.path().join("scripts")), 0o755);
    assert_eq!(mode(&place.path().join("scripts/disk-report.sh")), 0o755);
    assert_eq!(mode(&place.path().join("secrets/webhook-token")), 0o600);
}

#[test]
fn what_init_says_to_do_next_works() {
    let place = tempfile::tempdir().unwrap();
    let made = stanch(place.path()).arg("init").output().unwrap();
    assert_eq!(made.status.code(), Some(0), "{}", both(&made));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = place.path().join("stanch.yaml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("127.0.0.1:8080", &free)).unwrap();

    let daemon = stanch(place.path()).arg("serve").stderr(Stdio::null()).spawn().unwrap();
    let daemon = Running(daemon);
    let ask = |words: &[&str]| stanch(place.path()).args(words).output().unwrap();
    until(|| ask(&["runs"]).status.success());

    let sent = ask(&["send", "rules/fixtures/disk-full.json"]);
    assert_eq!(sent.status.code(), Some(0), "{}", both(&sent));
    until(|| stdout(&ask(&["runs"])).contains("succeeded"));
    let runs = stdout(&ask(&["runs"]));
    assert!(runs.contains("disk-full-report") && runs.contains("db-07"), "{runs}");

    let wrong = ask(&["send", "rules/fixtures/disk-full.json", "--header", "X-Stanch-Token: not-the-secret"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", both(&wrong));
    assert_eq!(daemon.interrupt().code(), Some(0));
}

/// Waits for a condition; each look at it takes the time that starting a program takes.
fn until(holds: impl Fn() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(std::time::Instant::now() < patience, "it did not come true within 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}
