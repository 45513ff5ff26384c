//! Reload: all or nothing.

use crate::support::{Folder, TOKEN, UNCONCERNED, incident, marking_rule, post, wait_for};

fn rules(ids: &[&str]) -> String {
    let rules: Vec<String> = ids.iter().map(|id| marking_rule(id, "")).collect();
    format!("rules:\n{}", rules.concat())
}

#[test]
fn a_new_set_comes_into_force_by_command_and_by_signal() {
    let daemon = Folder::with_rules(&rules(&["one"])).start();
    daemon.folder.write("rules/rules.yaml", &rules(&["two"]), 0o644);
    let output = daemon.folder.run(&["reload"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    daemon.accept(&incident("e1", "i1"));
    let decision = daemon.decided("e1")["event"]["decision"].clone();
    assert_eq!(decision["rules"][0]["rule"], "two");
    // Nothing changed on disk, so only the signal can lead to another set. It may not be the second: the change before
    // may have been noticed by itself.
    let generation = || daemon.folder.read("log").matches("\"generation\":").count();
    wait_for("the set to be logged", || if generation() > 0 { Ok(()) } else { Err(daemon.folder.read("log")) });
    let before = generation();
    daemon.signal("HUP");
    wait_for("the signal to reload", || if generation() > before { Ok(()) } else { Err(daemon.folder.read("log")) });
    daemon.folder.write("rules/rules.yaml", &rules(&["three"]), 0o644);
    assert!(daemon.folder.run(&["reload"]).status.success());
    daemon.accept(&incident("e2", "i2"));
    assert_eq!(daemon.decided("e2")["event"]["decision"]["rules"][0]["rule"], "three");
}

#[test]
fn a_broken_set_is_reported_and_the_old_one_goes_on() {
    let daemon = Folder::with_rules(&rules(&["one"])).start();
    daemon.folder.write("rules/rules.yaml", &rules(&["one"]).replace("target:", "targte:"), 0o644);
    let output = daemon.folder.run(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("targte") && error.contains("unknown-key"), "{error}");
    assert!(error.lines().any(|line| line.starts_with("error[unknown-key]")), "it is told line by line: {error}");
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.decided("e1")["event"]["decision"]["generation"], 1);
    assert_eq!(daemon.end_of("e1"), "succeeded");
}

#[test]
fn a_set_that_lost_most_rules_needs_force() {
    let daemon = Folder::with_rules(&rules(&["one", "two", "three"])).start();
    daemon.folder.write("rules/rules.yaml", &rules(&["one"]), 0o644);
    assert_eq!(daemon.folder.run(&["reload"]).status.code(), Some(1));
    let forced = daemon.folder.json(&["reload", "--force"]);
    assert_eq!(forced["rules"], 1, "{forced}");
    let said = daemon.folder.run(&["reload"]);
    assert!(String::from_utf8_lossy(&said.stdout).starts_with("1 rule is in force as set "), "the result is printed");
}

#[test]
fn secrets_are_changed_without_a_restart_and_an_emptied_one_is_refused() {
    let daemon = Folder::with_rules(UNCONCERNED).start();
    let push =
        |event: &str, token: &str| post(daemon.folder.addr, token, incident(event, event).to_string().as_bytes()).0;
    let newer = "another-secret-of-the-tests-98765";
    daemon.folder.write("secrets/token", "", 0o600);
    assert_eq!(daemon.folder.run(&["reload"]).status.code(), Some(1));
    assert_eq!(push("e1", TOKEN), 200);
    daemon.folder.write("secrets/token", newer, 0o600);
    assert!(daemon.folder.run(&["reload"]).status.success());
    assert_eq!(push("e2", TOKEN), 401);
    assert_eq!(push("e3", newer), 200);
}

#[test]
fn the_previous_secret_is_taken_while_it_is_named() {
    let folder = Folder::with_rules(UNCONCERNED);
    let (only_new, newer) = (folder.read("stanch.yaml"), "another-secret-of-the-tests-98765");
    let daemon = folder.start();
    let push =
        |event: &str, token: &str| post(daemon.folder.addr, token, incident(event, event).to_string().as_bytes()).0;
    let both = only_new.replace("{ file: secrets/token }", "{ file: secrets/token }, previous: { file: secrets/old }");
    assert_ne!(both, only_new);
    daemon.folder.write("secrets/old", TOKEN, 0o600);
    daemon.folder.write("secrets/token", newer, 0o600);
    daemon.folder.write("stanch.yaml", &both, 0o644);
    assert!(daemon.folder.run(&["reload"]).status.success());
    assert_eq!((push("e1", TOKEN), push("e2", newer)), (200, 200));
    assert_eq!(push("e3", "a-wrong-secret-of-some-length"), 401);
    daemon.folder.write("stanch.yaml", &only_new, 0o644);
    assert!(daemon.folder.run(&["reload"]).status.success());
    assert_eq!((push("e4", TOKEN), push("e5", newer)), (401, 200));
}

#[test]
fn a_signal_with_a_broken_set_leaves_the_old_one_in_force() {
    let daemon = Folder::with_rules(&rules(&["one"])).start();
    daemon.folder.write("rules/rules.yaml", "rules: [", 0o644);
    daemon.signal("HUP");
    wait_for("the reload to be refused", || {
        let log = daemon.folder.read("log");
        if log.contains("reload refused") && log.contains("yaml-syntax") { Ok(()) } else { Err(log) }
    });
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.decided("e1")["event"]["decision"]["generation"], 1);
    assert_eq!(daemon.end_of("e1"), "succeeded");
}
