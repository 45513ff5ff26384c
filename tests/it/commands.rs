//! The command line: what commands print, and how they exit.

use crate::support::{Folder, incident, marking_rule, stanch, with};
use serde_json::json;

fn folder() -> Folder {
    Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", "")))
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let folder = folder();
    assert_eq!(folder.run(&["check"]).status.code(), Some(0));
    assert_eq!(folder.run(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(folder.run(&["runs"]).status.code(), Some(4), "no daemon runs");
    let missing = folder.run(&["audit", "verify", "--format", "json"]);
    assert_eq!(missing.status.code(), Some(5), "there is no journal");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("the daemon makes it when it starts"), "what to do");
    let daemon = folder.start();
    assert_eq!(daemon.folder.run(&["runs", "show", "r-none"]).status.code(), Some(1));
    assert_eq!(daemon.folder.run(&["events", "show", "none"]).status.code(), Some(1));
    let folder = daemon.stop();
    folder.write("stanch.yaml", "listen: 127.0.0.1:1\nsources: []\nnonsense: 1\n", 0o644);
    assert_eq!(folder.run(&["check"]).status.code(), Some(3));
}

#[test]
fn what_stays_on_this_machine_needs_no_certificates() {
    let daemon = folder().start();
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    let folder = &daemon.folder;
    folder.write("push.json", &incident("e2", "i2").to_string(), 0o644);
    folder.write("none.pem", "", 0o644);
    let push = folder.path("push.json");
    let push = push.to_str().unwrap();
    let run = |args: &[&str]| {
        let none = folder.path("none.pem");
        let mut command = stanch();
        command.env("SSL_CERT_FILE", &none).env("SSL_CERT_DIR", folder.path("scripts"));
        let output = command.args(args).arg("-c").arg(folder.path("stanch.yaml")).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    for args in [&["events", "list"][..], &["runs"], &["reload"], &["send", push]] {
        let (code, said) = run(args);
        assert_eq!(code, Some(0), "{args:?}: {said}");
    }
    // What does need them says so.
    let (code, said) = run(&["send", push, "--url", "https://127.0.0.1:1/"]);
    assert!(code != Some(0) && said.contains("CA certificates"), "{said}");
}

#[test]
fn check_says_what_it_found_and_denies_warnings_when_asked() {
    let folder =
        Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", "").replace("[i_new]", "[i_new, i_nwe]")));
    let output = folder.run(&["check"]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("1 rule in 1 file") && said.contains("i_new"), "{said}");
    let warned = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(warned.contains("unknown-event-type") && warned.contains("rules.yaml:3:"), "{warned}");
    assert_eq!(folder.run(&["check", "--deny", "warnings"]).status.code(), Some(1));
    let github = folder.run(&["check", "--format", "github"]);
    assert!(String::from_utf8_lossy(&github.stdout).starts_with("::warning file="), "{github:?}");
}

#[test]
fn explain_tells_each_clause_for_a_file_and_for_a_recorded_event() {
    let daemon = folder().start();
    let other = with(incident("f1", "i9"), &[("/event_type", json!("i_ack"))]);
    daemon.folder.write("push.json", &other.to_string(), 0o644);
    let path = daemon.folder.path("push.json");
    let answer = daemon.folder.json(&["explain", path.to_str().unwrap()]);
    let rule = &answer["current"]["rules"][0];
    assert_eq!((&rule["rule"], &rule["outcome"]), (&json!("mark"), &json!("not-matched")));
    let clause = &rule["clauses"][0];
    assert_eq!((&clause["clause"], &clause["holds"]), (&json!("match.events"), &json!(false)));
    assert_eq!((&clause["expected"], &clause["seen"]), (&json!("i_new"), &json!("\"i_ack\"")));

    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    // On the history just before it the rule would run again; on today's it would not.
    let then = daemon.folder.json(&["explain", "--event", "e1", "--rule", "mark"]);
    assert_eq!(then["recorded"]["rules"][0]["outcome"], "run");
    assert_eq!(then["current"]["rules"][0]["outcome"], "run");
    let plan = &then["current"]["rules"][0]["plan"]["steps"][0];
    assert!(plan["shell"].as_str().unwrap().starts_with("echo"), "{plan}");
    daemon.accept(&incident("e2", "i1"));
    daemon.decided("e2");
    let now = daemon.folder.json(&["explain", "--event", "e2", "--now"]);
    assert_eq!(now["current"]["rules"][0]["outcome"], "suppressed");
    assert_eq!(daemon.folder.run(&["explain", "--event", "e1", "--rule", "none"]).status.code(), Some(1));
    assert_eq!(daemon.folder.run(&["explain"]).status.code(), Some(2));
}

#[test]
fn runs_are_listed_and_shown_with_their_output() {
    let rules = "rules:\n  - id: fail\n    match: { events: [i_new], channels: [\"*\"] }\n    steps:\n      - name: complain\n        shell: echo out; echo err >&2; exit 3\n    on_failure: [ { run: [/bin/echo, --, \"{{ run.error }}\"] } ]\n";
    let daemon = Folder::with_rules(rules).start();
    daemon.accept(&incident("e1", "i1"));
    let run = daemon.ended("e1")["run"]["run"].as_str().unwrap().to_owned();
    let list = String::from_utf8(daemon.folder.run(&["runs"]).stdout).unwrap();
    assert!(list.contains(&run) && list.contains("failed"), "{list}");
    let shown = String::from_utf8(daemon.folder.run(&["runs", "show", &run]).stdout).unwrap();
    for part in ["complain", "exit code 3", "out | out", "err | err", "on incident:i1: failed"] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let story = daemon.ended("e1");
    assert_eq!(story["steps"][1]["phase"], "on-failure");
    let said = story["steps"][1]["result"]["stdout"].as_str().unwrap();
    assert!(said.contains("exit") || said.contains("3"), "{story}");
}

#[test]
fn the_journal_is_exported_as_lines_of_json() {
    let daemon = folder().start();
    daemon.accept(&incident("e1", "i1"));
    daemon.ended("e1");
    let text = String::from_utf8(daemon.folder.run(&["audit", "export"]).stdout).unwrap();
    let kinds: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["record"]["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    for kind in ["started", "received", "decided", "run-intended", "step-started", "step-ended", "run-ended"] {
        assert!(kinds.iter().any(|one| one == kind), "{kind} is not in {kinds:?}");
    }
}

#[test]
fn completions_and_the_man_page_are_printed() {
    let output = stanch().args(["completions", "bash"]).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("stanch"));
    let output = stanch().arg("man").output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains(".TH stanch"));
}
