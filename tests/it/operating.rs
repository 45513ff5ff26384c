//! What an operator does with a running daemon: copies and puts back its journal, asks what ails it, watches it.

use serde_json::Value;

use super::flashduty::{APP_KEY, Vendor};
use super::sshd::Sshd;
use super::support::{Daemon, Folder, UNCONCERNED, incident, marking_rule};

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

#[test]
fn a_copy_is_not_put_back_where_a_daemon_keeps_the_lock() {
    let daemon = busy();
    let copy = daemon.folder.path("copy.db");
    let copy = copy.to_str().unwrap();
    assert_eq!(code(&daemon.folder, &["backup", copy]).0, 0);
    let folder = daemon.stop();
    std::fs::rename(folder.path("data"), folder.path("old-data")).unwrap();
    std::fs::create_dir(folder.path("data")).unwrap();
    let lock = std::fs::File::create(folder.path("data/lock")).unwrap();
    lock.lock().unwrap();
    let (refused, said) = code(&folder, &["restore", copy]);
    assert!(refused != 0 && said.contains("the daemon runs on"), "{refused}: {said}");
    assert!(!folder.path("data/journal.db").exists());
    drop(lock);
    assert_eq!(code(&folder, &["restore", copy]).0, 0);
    assert_eq!(code(&folder, &["audit", "verify"]).0, 0);
}

/// What `stanch doctor` finds of one thing, with what it says.
fn found(folder: &Folder, args: &[&str], about: &str) -> Vec<(String, String)> {
    let output = folder.run(&[&["doctor", "--format", "json"], args].concat());
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = findings.as_array().unwrap().iter().filter(|finding| finding["about"] == about);
    of.map(|one| (text(&one["health"]), format!("{} → {}", text(&one["found"]), text(&one["advice"])))).collect()
}

fn expect(found: &[(String, String)], expected: &[(&str, &str)]) {
    let fits = |((health, said), (expected, word)): (&(String, String), &(&str, &str))| {
        health == expected && said.contains(word)
    };
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(fits), "{found:#?}");
}

const SSH_RULES: &str = r#"rules:
  - id: a
    match: { events: [i_new], channels: ["*"] }
    target: "{{ labels.resource }}"
    steps:
      - ssh: { host: db-07, user: root, run: [uptime] }
      - ssh: { host: "{{ labels.resource }}", run: [uptime] }
  - id: b
    match: { events: [i_new], channels: ["*"] }
    steps:
      - each: { in: [web-1], steps: [ { ssh: { host: db-07, user: root, run: [uptime] } } ] }
"#;

#[test]
fn the_doctor_says_whether_hosts_of_rules_answer_and_whether_their_keys_are_known() {
    let sshd = Sshd::start();
    let folder = Folder::with_rules(SSH_RULES).config("ssh: { config: ssh_config }\n");
    folder.write("ssh_config", &sshd.client_config(""), 0o600);
    let later = ("good", "steps whose host comes from the event: 1");

    expect(&found(&folder, &[], "ssh"), &[later, ("good", "root@db-07 answers, and its key is known (for a, b)")]);
    assert_eq!(sshd.handshakes(), 0, "nobody logged in");
    expect(&found(&folder, &["--ssh"], "ssh"), &[later, ("good", "root@db-07 lets us in (for a, b)")]);
    assert_eq!(sshd.handshakes(), 1);

    folder.write("ssh_config", &sshd.client_config("  User nobody-here\n  PubkeyAuthentication no"), 0o600);
    expect(&found(&folder, &[], "ssh"), &[later, ("good", "its key is known")]);
    expect(&found(&folder, &["--ssh"], "ssh"), &[later, ("bad", "Permission denied")]);

    folder.write("ssh_config", &sshd.client_config(""), 0o600);
    for known in [String::new(), format!("far {}", sshd.other_key())] {
        sshd.know(&known);
        for args in [&[][..], &["--ssh"]] {
            expect(&found(&folder, args, "ssh"), &[later, ("bad", "add it to the known hosts")]);
        }
    }
    drop(sshd);
    expect(&found(&folder, &[], "ssh"), &[later, ("bad", "Connection refused")]);
}

#[test]
fn the_doctor_asks_flashduty_whether_it_takes_the_app_key_and_shows_the_key_to_nobody() {
    let vendor = Vendor::start();
    let folder = vendor.folder(UNCONCERNED, "");
    expect(&found(&folder, &[], "flashduty"), &[("good", "takes the app key")]);
    assert_eq!(vendor.calls(), [("/incident/list".to_owned(), 200)]);

    let wrong = "not-the-key-of-this-account-12345";
    folder.write("secrets/app-key", wrong, 0o600);
    expect(&found(&folder, &[], "flashduty"), &[("bad", "401")]);
    assert_eq!(vendor.calls().len(), 2, "it asks once");
    for args in [&["doctor"][..], &["doctor", "--format", "json"]] {
        let output = folder.run(args);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(said.contains("401") && !said.contains(wrong) && !said.contains(APP_KEY), "{said}");
    }
    // The secret's own finding says what is wrong with it; here it is told that the API can be reached at all.
    folder.write("secrets/app-key", "", 0o600);
    expect(&found(&folder, &[], "flashduty"), &[("good", "can be connected to; the app key was not tried")]);

    drop(vendor);
    folder.write("secrets/app-key", APP_KEY, 0o600);
    expect(&found(&folder, &[], "flashduty"), &[("bad", "was not reached")]);
}
