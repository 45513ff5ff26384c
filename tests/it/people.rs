//! What people say to runs: who and why is on record, and what they say is held against the state of then.

use serde_json::{Value, json};

use crate::support::{Daemon, Folder, incident, marking_rule, wait_for, with};

fn asking(extra: &str) -> String {
    format!("rules:\n{}", marking_rule("mark", &format!("    mode: approve\n{extra}")))
}

fn run_of(daemon: &Daemon, event: &str) -> String {
    daemon.decided(event)["runs"][0]["run"]["run"].as_str().unwrap().to_owned()
}

#[track_caller]
fn ok(daemon: &Daemon, args: &[&str]) {
    let output = daemon.folder.run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn refused(daemon: &Daemon, args: &[&str], why: &str) {
    let output = daemon.folder.run(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
    assert!(said.contains(why), "{said}");
}

#[track_caller]
fn ended_by(daemon: &Daemon, event: &str, state: &str, why: &str) {
    let run = daemon.ended(event);
    assert_eq!(run["run"]["state"], state, "{run}");
    assert!(run["run"]["error"].as_str().unwrap_or_default().contains(why), "{run}");
}

#[test]
fn who_said_what_and_why_is_on_record() {
    let daemon = Folder::with_rules(&asking("")).start();
    for event in ["e1", "e2", "e3"] {
        daemon.accept(&incident(event, event));
    }
    let run = run_of(&daemon, "e1");
    ok(&daemon, &["runs", "approve", &run, "--reason", "looked at it"]);
    let story = daemon.ended("e1");
    let said = story["said"][0]["what"].as_str().unwrap();
    assert!(said.starts_with("approved by ") && said.ends_with(": looked at it"), "{said}");
    let shown = daemon.folder.run(&["runs", "show", &run]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("looked at it"));
    ok(&daemon, &["runs", "deny", &run_of(&daemon, "e2"), "--reason", "too risky"]);
    ended_by(&daemon, "e2", "denied", ": too risky");
    ok(&daemon, &["runs", "cancel", &run_of(&daemon, "e3"), "--reason", "by hand"]);
    ended_by(&daemon, "e3", "cancelled", ": by hand");
    let exported = daemon.folder.run(&["audit", "export"]);
    let exported = String::from_utf8_lossy(&exported.stdout).into_owned();
    assert!(exported.contains("looked at it") && exported.contains("too risky"), "{exported}");
}

#[test]
fn nobody_answers_in_time_and_the_slot_is_free_again() {
    let daemon = Folder::with_rules(&asking("    guards: { max_wait: 400ms }\n")).start();
    daemon.accept(&incident("e1", "i1"));
    let run = run_of(&daemon, "e1");
    ended_by(&daemon, "e1", "expired", "it waited until");
    refused(&daemon, &["runs", "approve", &run], "no run");
    daemon.accept(&incident("e2", "i1"));
    assert_eq!(daemon.outcome("e2").0, "awaiting-approval");
}

#[test]
fn an_approval_of_what_has_closed_since_does_nothing() {
    let daemon = Folder::with_rules(&asking("")).start();
    daemon.accept(&incident("e1", "i1"));
    let closed = [("/event_type", json!("i_rslv")), ("/incident/progress", json!("Closed"))];
    daemon.accept(&with(incident("close", "i1"), &closed));
    daemon.decided("close");
    ok(&daemon, &["runs", "approve", &run_of(&daemon, "e1")]);
    ended_by(&daemon, "e1", "cancelled", "has closed since");
    assert_eq!(daemon.stop().read("runs"), "");
}

#[test]
fn an_approval_is_of_the_plan_that_was_shown() {
    let daemon = Folder::with_rules(&asking("")).start();
    daemon.accept(&incident("e1", "i1"));
    let run = run_of(&daemon, "e1");
    daemon.folder.write("rules/rules.yaml", &asking("").replace("shell: echo", "shell: echo other; echo"), 0o644);
    ok(&daemon, &["reload"]);
    ok(&daemon, &["runs", "approve", &run]);
    ended_by(&daemon, "e1", "cancelled", "no longer what was approved");
    assert_eq!(daemon.stop().read("runs"), "");
}

#[test]
fn a_reload_that_changes_nothing_leaves_an_approval_as_it_is() {
    let daemon = Folder::with_rules(&asking("")).start();
    daemon.accept(&incident("e1", "i1"));
    ok(&daemon, &["reload"]);
    ok(&daemon, &["runs", "approve", &run_of(&daemon, "e1")]);
    assert_eq!(daemon.end_of("e1"), "succeeded");
}

#[test]
fn guards_are_asked_again_when_an_approved_run_acts() {
    let daemon = Folder::with_rules(&asking("    guards: { cooldown: 1h }\n")).start();
    daemon.accept(&incident("e1", "i1"));
    daemon.accept(&incident("e2", "i2"));
    let second = run_of(&daemon, "e2");
    ok(&daemon, &["runs", "approve", &run_of(&daemon, "e1")]);
    assert_eq!(daemon.end_of("e1"), "succeeded");
    ok(&daemon, &["runs", "approve", &second]);
    ended_by(&daemon, "e2", "cancelled", "cooldown objects");
}

/// The stories of all runs of an event.
fn runs_of(daemon: &Daemon, event: &str) -> Vec<Value> {
    daemon.folder.json(&["events", "show", event])["runs"].as_array().unwrap().clone()
}

fn wait_for_second(daemon: &Daemon, event: &str, state: &str) -> Value {
    wait_for("the second run", || {
        let runs = runs_of(daemon, event);
        match runs.get(1) {
            Some(run) if run["run"]["state"] == state => Ok(run.clone()),
            _ => Err(format!("{runs:?}")),
        }
    })
}

#[test]
fn a_run_is_done_again_as_a_new_one_with_the_person_on_record() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).start();
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    let first = run_of(&daemon, "e1");
    let done = daemon.folder.json(&["runs", "rerun", &first, "--reason", "once more"]);
    let second = wait_for_second(&daemon, "e1", "succeeded");
    assert_eq!(second["run"]["run"], done["run"]);
    assert_ne!(second["run"]["run"], json!(first));
    let said = second["said"][0]["what"].as_str().unwrap();
    assert!(said.contains(&format!("run {first} done again by")) && said.ends_with(": once more"), "{said}");
    // The slot is still the first run's.
    daemon.accept(&incident("e2", "i1"));
    assert!(daemon.outcome("e2").1.contains(&first));
    // What was done again can be done again, and outlives a restart as a record.
    let daemon = daemon.kill().start();
    ok(&daemon, &["runs", "rerun", done["run"].as_str().unwrap()]);
    wait_for("the third run", || match runs_of(&daemon, "e1").len() {
        3 => Ok(()),
        other => Err(other.to_string()),
    });
    let verified = daemon.stop();
    assert!(verified.run(&["audit", "verify"]).status.success());
}

#[test]
fn a_rerun_asks_the_guards_the_mode_and_the_newest_state() {
    let daemon =
        Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", "    guards: { cooldown: 1h }\n"))).start();
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    let run = run_of(&daemon, "e1");
    refused(&daemon, &["runs", "rerun", &run], "cooldown");
    refused(&daemon, &["runs", "rerun", "r-0000"], "there is no run");

    daemon.folder.write("rules/rules.yaml", &asking(""), 0o644);
    ok(&daemon, &["reload"]);
    ok(&daemon, &["runs", "rerun", &run]);
    let again = wait_for_second(&daemon, "e1", "awaiting-approval");
    ok(&daemon, &["runs", "approve", again["run"]["run"].as_str().unwrap()]);
    wait_for_second(&daemon, "e1", "succeeded");

    ok(&daemon, &["pause"]);
    refused(&daemon, &["runs", "rerun", &run], "paused");
    ok(&daemon, &["resume"]);
    let closed = [("/event_type", json!("i_rslv")), ("/incident/progress", json!("Closed"))];
    daemon.accept(&with(incident("close", "i1"), &closed));
    daemon.decided("close");
    refused(&daemon, &["runs", "rerun", &run], "has closed since");
    assert_eq!(daemon.stop().read("runs").lines().count(), 2);
}

#[test]
fn what_never_started_can_be_asked_for_again() {
    let daemon = Folder::with_rules(&asking("")).start();
    daemon.accept(&incident("e1", "i1"));
    let run = run_of(&daemon, "e1");
    refused(&daemon, &["runs", "rerun", &run], "has not ended yet");
    ok(&daemon, &["runs", "deny", &run]);
    assert_eq!(daemon.end_of("e1"), "denied");
    ok(&daemon, &["runs", "rerun", &run]);
    let again = wait_for_second(&daemon, "e1", "awaiting-approval");
    ok(&daemon, &["runs", "approve", again["run"]["run"].as_str().unwrap()]);
    wait_for_second(&daemon, "e1", "succeeded");
}
