//! Runs that wait: for their turn, for the end of a hold, for a person, for the end of a pause.

use serde_json::{Value, json};

use crate::support::{Daemon, Folder, incident, marking_rule, wait_for, with};

/// A rule whose run goes on until the file `go` is there.
fn slow(id: &str, extra: &str) -> String {
    format!(
        "  - id: {id}\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    target: \"{{{{ labels.resource }}}}\"\n    steps:\n      - shell: |\n          echo \"$STANCH_EVENT_ID starts\" >> log.txt\n          while [ ! -e go ] && [ -e stanch.yaml ]; do sleep 0.02; done\n          echo \"$STANCH_EVENT_ID ends\" >> log.txt\n{extra}"
    )
}

fn state(daemon: &Daemon, event: &str) -> String {
    daemon.decided(event)["runs"][0]["run"]["state"].as_str().unwrap_or("none").to_owned()
}

fn wait_for_state(daemon: &Daemon, event: &str, wanted: &str) {
    wait_for(&format!("{event} to be {wanted}"), || {
        let state = state(daemon, event);
        if state == wanted { Ok(()) } else { Err(state) }
    });
}

#[test]
fn a_second_run_on_a_target_waits_for_the_first_across_rules() {
    let rules = format!("rules:\n{}{}", slow("one", ""), slow("two", "").replace("[i_new]", "[i_reopen]"));
    let daemon = Folder::with_rules(&rules).start();
    daemon.accept(&incident("e1", "i1"));
    wait_for_state(&daemon, "e1", "running");
    daemon.accept(&with(incident("e2", "i2"), &[("/event_type", json!("i_reopen"))]));
    wait_for_state(&daemon, "e2", "queued");
    // Another target does not wait.
    daemon.accept(&with(incident("e3", "i3"), &[("/incident/labels/resource", json!("db-08"))]));
    wait_for_state(&daemon, "e3", "running");
    daemon.folder.write("go", "", 0o644);
    for event in ["e1", "e2", "e3"] {
        assert_eq!(daemon.end_of(event), "succeeded");
    }
    let log = daemon.stop().read("log.txt");
    let place = |line: &str| log.lines().position(|one| one == line).unwrap();
    assert!(place("e1 ends") < place("e2 starts"), "{log}");
}

#[test]
fn over_skip_suppresses_and_a_queue_outlives_a_kill() {
    let rules = format!(
        "rules:\n{}{}",
        slow("one", ""),
        slow("two", "    guards: { concurrency: { over: skip } }\n").replace("[i_new]", "[i_reopen]")
    );
    let daemon = Folder::with_rules(&rules).start();
    daemon.accept(&incident("e1", "i1"));
    wait_for_state(&daemon, "e1", "running");
    daemon.accept(&with(incident("e2", "i2"), &[("/event_type", json!("i_reopen"))]));
    assert!(daemon.outcome("e2").1.starts_with("concurrency: "));
    daemon.accept(&incident("e3", "i3"));
    wait_for_state(&daemon, "e3", "queued");
    let folder = daemon.kill();
    folder.write("go", "", 0o644);
    let daemon = folder.start();
    assert_eq!(daemon.end_of("e1"), "interrupted");
    assert_eq!(daemon.end_of("e3"), "succeeded");
}

#[test]
fn the_engine_does_only_so_many_runs_at_a_time() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", slow("one", ""))).config("limits: { runs: 2 }\n").start();
    for number in 1..=3 {
        let target = json!(format!("db-{number}"));
        daemon.accept(&with(
            incident(&format!("e{number}"), &format!("i{number}")),
            &[("/incident/labels/resource", target)],
        ));
    }
    wait_for_state(&daemon, "e3", "queued");
    wait_for_state(&daemon, "e2", "running");
    daemon.folder.write("go", "", 0o644);
    assert_eq!(daemon.end_of("e3"), "succeeded");
}

#[test]
fn a_held_run_acts_after_its_hold_and_is_called_off_by_an_acknowledgement() {
    let hold = "    guards: { hold: { for: 1s, cancel_on: [i_ack] } }\n";
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", hold))).start();
    daemon.accept(&incident("e1", "i1"));
    daemon.accept(&incident("e2", "i2"));
    assert_eq!(daemon.outcome("e1").0, "held");
    daemon.accept(&with(incident("ack", "i1"), &[("/event_type", json!("i_ack"))]));
    assert_eq!(daemon.end_of("e1"), "cancelled");
    assert_eq!(daemon.end_of("e2"), "succeeded");
    assert_eq!(daemon.stop().read("runs").lines().count(), 1);
}

#[test]
fn a_held_run_is_decided_again_on_the_newest_state() {
    let hold = "    guards: { hold: { for: 1s } }\n";
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", hold))).start();
    daemon.accept(&incident("e1", "i1"));
    let closed = [("/event_type", json!("i_rslv")), ("/incident/progress", json!("Closed"))];
    daemon.accept(&with(incident("close", "i1"), &closed));
    let run = daemon.ended("e1");
    assert_eq!(run["run"]["state"], "cancelled");
    assert!(run["run"]["error"].as_str().unwrap().contains("closed"), "{run}");
    assert_eq!(daemon.stop().read("runs"), "");
}

#[test]
fn a_person_approves_or_denies() {
    let rule = marking_rule("mark", "    mode: approve\n");
    let daemon = Folder::with_rules(&format!("rules:\n{rule}")).start();
    let awaiting = |event: &str| -> String {
        let story: Value = daemon.decided(event);
        assert_eq!(story["runs"][0]["run"]["state"], "awaiting-approval", "{story}");
        story["runs"][0]["run"]["run"].as_str().unwrap().to_owned()
    };
    daemon.accept(&incident("e1", "i1"));
    daemon.accept(&incident("e2", "i2"));
    let (yes, no) = (awaiting("e1"), awaiting("e2"));
    assert!(daemon.folder.run(&["runs", "approve", &yes]).status.success());
    assert!(daemon.folder.run(&["runs", "deny", &no]).status.success());
    assert_eq!(daemon.end_of("e1"), "succeeded");
    assert_eq!(daemon.end_of("e2"), "denied");
    assert_eq!(daemon.folder.run(&["runs", "approve", &no]).status.code(), Some(1));
    assert_eq!(daemon.stop().read("runs").lines().count(), 1);
}

#[test]
fn holds_and_approvals_outlive_a_kill() {
    let rules = format!(
        "rules:\n{}{}",
        marking_rule("held", "    guards: { hold: { for: 2s } }\n"),
        marking_rule("asks", "    mode: approve\n").replace("[i_new]", "[i_reopen]")
    );
    let daemon = Folder::with_rules(&rules).start();
    daemon.accept(&incident("e1", "i1"));
    let reopened = [("/event_type", json!("i_reopen")), ("/incident/labels/resource", json!("db-08"))];
    daemon.accept(&with(incident("e2", "i2"), &reopened));
    assert_eq!(daemon.outcome("e1").0, "held");
    assert_eq!(daemon.outcome("e2").0, "awaiting-approval");
    let daemon = daemon.kill().start();
    assert_eq!(state(&daemon, "e2"), "awaiting-approval");
    let run = daemon.decided("e2")["runs"][0]["run"]["run"].as_str().unwrap().to_owned();
    assert!(daemon.folder.run(&["runs", "approve", &run]).status.success());
    assert_eq!((daemon.end_of("e1"), daemon.end_of("e2")), ("succeeded".into(), "succeeded".into()));
    assert_eq!(daemon.stop().read("runs").lines().count(), 2);
}

#[test]
fn only_a_run_that_waits_for_approval_can_be_denied() {
    let rule = marking_rule("mark", "    guards: { hold: { for: 1h } }\n");
    let daemon = Folder::with_rules(&format!("rules:\n{rule}")).start();
    daemon.accept(&incident("e1", "i1"));
    wait_for_state(&daemon, "e1", "held");
    let run = daemon.decided("e1")["runs"][0]["run"]["run"].as_str().unwrap().to_owned();
    assert_eq!(daemon.folder.run(&["runs", "deny", &run]).status.code(), Some(1));
    assert_eq!(state(&daemon, "e1"), "held");
    assert!(daemon.folder.run(&["runs", "cancel", &run]).status.success());
    assert_eq!(daemon.end_of("e1"), "cancelled");
}

#[test]
fn the_kill_switch_holds_over_restart_and_reload() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).start();
    assert!(daemon.folder.run(&["pause", "--reason", "drill"]).status.success());
    let daemon = daemon.kill().start();
    assert!(daemon.folder.run(&["reload"]).status.success());
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.outcome("e1"), ("suppressed".into(), "pause: the engine is paused: drill".into()));
    assert!(daemon.folder.run(&["resume"]).status.success());
    daemon.accept(&incident("e2", "i2"));
    assert_eq!(daemon.end_of("e2"), "succeeded");
    // What was suppressed is not replayed, and took no slot.
    daemon.accept(&incident("e3", "i1"));
    assert_eq!(daemon.end_of("e3"), "succeeded");
}

#[test]
fn a_run_can_be_cancelled_and_pause_now_ends_what_runs() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", slow("one", ""))).start();
    daemon.accept(&incident("e1", "i1"));
    wait_for_state(&daemon, "e1", "running");
    let run = daemon.decided("e1")["runs"][0]["run"]["run"].as_str().unwrap().to_owned();
    assert!(daemon.folder.run(&["runs", "cancel", &run]).status.success());
    assert_eq!(daemon.end_of("e1"), "cancelled");
    daemon.accept(&incident("e2", "i2"));
    wait_for_state(&daemon, "e2", "running");
    assert!(daemon.folder.run(&["pause", "--now"]).status.success());
    assert_eq!(daemon.end_of("e2"), "cancelled");
}
