//! What an operator does with a running daemon: copies and puts back its journal, asks what ails it, watches it.

use serde_json::Value;

use super::support::{Daemon, Folder, incident, marking_rule};

fn busy() -> Daemon {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).start();
    for (event, id) in [("e1", "i1"), ("e2", "i2")] {
        daemon.accept(&incident(event, id));
        assert_eq!(daemon.end_of(event), "succeeded");
    }
    daemon
}

fn events(folder: &Folder) -> Vec<String> {
    let list = folder.json(&["events", "list"]);
    list.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

fn code(folder: &Folder, args: &[&str]) -> (i32, String) {
    let output = folder.run(args);
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_copy_taken_while_the_daemon_runs_can_be_put_back_and_gone_on_with() {
    let daemon = busy();
    let copy = daemon.folder.path("copy.db");
    let copy = copy.to_str().unwrap();
    assert_eq!(code(&daemon.folder, &["backup", copy]).0, 0);
    let (refused, said) = code(&daemon.folder, &["backup", copy]);
    assert!(refused == 1 && said.contains("exists already"), "{said}");
    daemon.accept(&incident("e3", "i3"));
    assert_eq!(daemon.end_of("e3"), "succeeded");
    let (refused, said) = code(&daemon.folder, &["restore", copy]);
    assert!(refused == 1 && said.contains("the daemon runs"), "{said}");

    let folder = daemon.stop();
    let (refused, said) = code(&folder, &["restore", copy]);
    assert!(refused == 1 && said.contains("exists already"), "{said}");
    std::fs::rename(folder.path("data"), folder.path("old-data")).unwrap();
    let (restored, said) = code(&folder, &["restore", copy]);
    assert_eq!(restored, 0, "{said}");
    assert_eq!(code(&folder, &["audit", "verify"]).0, 0);

    let daemon = folder.start();
    assert_eq!(events(&daemon.folder), ["e2", "e1"]);
    // What the copy knows is a duplicate; what came after it was taken is not known any more.
    let (_, answer) = daemon.push(&incident("e4", "i1"));
    assert_eq!(answer["status"], "accepted");
    assert_eq!(daemon.outcome("e4").0, "suppressed");
}

#[test]
fn a_damaged_copy_is_not_put_back() {
    let daemon = busy();
    let copy = daemon.folder.path("copy.db");
    assert_eq!(code(&daemon.folder, &["backup", copy.to_str().unwrap()]).0, 0);
    let folder = daemon.stop();
    std::fs::rename(folder.path("data"), folder.path("old-data")).unwrap();
    let mut bytes = std::fs::read(&copy).unwrap();
    let at = bytes.windows(6).rposition(|window| window == b"db-07 ".as_slice() || window == b"\"db-07").unwrap();
    bytes[at + 2] ^= 1;
    std::fs::write(&copy, bytes).unwrap();
    let (refused, said) = code(&folder, &["restore", copy.to_str().unwrap()]);
    assert!(refused == 5 && said.contains("damaged"), "{said}");
    assert!(!folder.path("data/journal.db").exists());
}

fn health(findings: &Value, about: &str) -> Vec<String> {
    let of = findings.as_array().unwrap().iter().filter(|finding| finding["about"] == about);
    of.map(|finding| finding["health"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_doctor_finds_a_healthy_daemon_well_and_says_what_ails_another() {
    let daemon = busy();
    let findings = daemon.folder.json(&["doctor"]);
    for about in ["config", "rules", "secret", "data", "journal", "pushes", "clock", "listener", "daemon"] {
        assert_eq!(health(&findings, about), ["good"], "{about}: {findings:#}");
    }
    assert_eq!(daemon.folder.run(&["pause", "--reason", "a change window"]).status.code(), Some(0));
    let findings = daemon.folder.json(&["doctor"]);
    assert_eq!(health(&findings, "paused"), ["doubtful"]);

    let folder = daemon.stop();
    folder.write("secrets/token", "a secret that anybody can read", 0o644);
    folder.write("rules/rules.yaml", "rules: [ { id: broken } ]\n", 0o644);
    let output = folder.run(&["doctor", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (about, expected) in [("rules", "bad"), ("secret", "doubtful"), ("listener", "bad"), ("daemon", "bad")] {
        assert_eq!(health(&findings, about), [expected], "{about}: {findings:#}");
    }
    std::fs::remove_file(folder.path("secrets/token")).unwrap();
    let output = folder.run(&["doctor", "--format", "json"]);
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(health(&findings, "secret"), ["bad"]);
}

#[test]
fn top_shows_runs_and_events_and_that_the_engine_is_paused() {
    let daemon = busy();
    assert_eq!(daemon.folder.run(&["pause", "--reason", "a change window"]).status.code(), Some(0));
    let output = daemon.folder.run(&["top", "--once"]);
    let picture = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["PAUSED: a change window", "mark", "db-07", "succeeded", "disk full on db-07", "mark: run"] {
        assert!(picture.contains(part), "no {part:?} in:\n{picture}");
    }
    assert!(!picture.contains('\u{1b}'), "plain where it is piped");
}
