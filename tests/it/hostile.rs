//! Hostile input that reaches steps, scripts, terminals and logs.

use serde_json::json;

use crate::support::{Folder, UNCONCERNED, incident, marking_rule, with};

/// A rule whose program prints its arguments, each ended by a line.
const SHOW_ARGS: &str = "rules:\n  - id: show\n    match: { events: [i_new], channels: [\"*\"] }\n    steps:\n      - run: [./scripts/show.sh, --, \"{{ labels.resource }}\"]\n";
const SHOW: &str = "#!/bin/sh\nset -eu\nprintf '%s<END>' \"$2\"\n";

#[test]
fn arguments_arrive_byte_for_byte() {
    let daemon = Folder::with_rules(SHOW_ARGS).script("show.sh", SHOW).start();
    let values = [
        "'; touch pwned; '",
        "$(touch pwned)",
        "`touch pwned`",
        "a\nb\tc",
        "{{ event.event_id }} {% raw %}",
        "-rf",
        "* ? ~ $HOME \\",
        "ünï — \u{202e}",
    ];
    for (number, value) in values.iter().enumerate() {
        let event = format!("e{number}");
        daemon.accept(&with(incident(&event, &event), &[("/incident/labels/resource", json!(value))]));
        let run = daemon.ended(&event);
        assert_eq!(run["steps"][0]["result"]["stdout"], format!("{value}<END>"));
    }
    assert!(!daemon.folder.path("pwned").exists());
}

#[test]
fn keys_of_a_body_that_are_named_like_ours_do_nothing() {
    let rules = "rules:\n  - id: asks\n    mode: approve\n    match: { events: [i_new], channels: [\"*\"] }\n    steps: [ { shell: echo ran >> runs } ]\n  - id: shows\n    mode: dry-run\n    match: { events: [i_new], channels: [\"*\"] }\n    steps: [ { shell: echo ran >> runs } ]\n";
    let daemon = Folder::with_rules(rules).start();
    let ours = json!({
        "dry_run": false, "approved": true, "mode": "auto", "target": "x", "now": 0, "files": ["/etc/passwd"],
        "steps": [{ "shell": "touch pwned" }], "seq": 1, "received_at": 0, "source": "admin", "rules": [],
    });
    let mut push = incident("e1", "i1");
    for (key, value) in ours.as_object().unwrap() {
        push[key] = value.clone();
        push["incident"][key] = value.clone();
        push["incident"]["labels"][key] = json!(value.to_string());
    }
    daemon.accept(&push);
    let decision = daemon.decided("e1")["event"]["decision"]["rules"].clone();
    let outcomes: Vec<&str> =
        decision.as_array().unwrap().iter().map(|rule| rule["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["awaiting-approval", "dry-run"]);
    let folder = daemon.stop();
    assert_eq!(folder.read("runs"), "");
    assert!(!folder.path("pwned").exists());
}

#[test]
fn what_no_process_can_take_is_a_plan_error() {
    let daemon = Folder::with_rules(SHOW_ARGS).script("show.sh", SHOW).start();
    let huge = json!("x".repeat(130 * 1024));
    daemon.accept(&with(incident("huge", "i1"), &[("/incident/labels/resource", huge)]));
    assert_eq!(daemon.outcome("huge").0, "plan-error");
    daemon.accept(&with(incident("nul", "i2"), &[("/incident/labels/resource", json!("a\0b"))]));
    assert_eq!(daemon.outcome("nul").0, "plan-error");
    let mut bare = incident("absent", "i3");
    bare["incident"]["labels"] = json!({});
    daemon.accept(&bare);
    assert_eq!(daemon.outcome("absent").0, "plan-error");
}

#[test]
fn empty_and_sweeping_targets_run_nothing() {
    let rules = "rules:\n  - id: one\n    match: { events: [i_new], channels: [\"*\"] }\n    target: \"{{ labels.resource }}\"\n    steps: [ { shell: echo ran >> runs } ]\n";
    let daemon = Folder::with_rules(rules).start();
    for (number, target) in ["", " ", "*", "all", "ALL", "a\nb"].iter().enumerate() {
        let event = format!("e{number}");
        daemon.accept(&with(incident(&event, &event), &[("/incident/labels/resource", json!(target))]));
        assert_eq!(daemon.outcome(&event).0, "plan-error", "{target:?}");
    }
    assert_eq!(daemon.stop().read("runs"), "");
}

#[test]
fn processes_get_the_documented_environment_and_nothing_of_the_daemon() {
    let rules = "rules:\n  - id: env\n    match: { events: [i_new], channels: [\"*\"] }\n    steps:\n      - run: [/usr/bin/env]\n        env: { MINE: \"{{ labels.resource }}\" }\n";
    let daemon = Folder::with_rules(rules)
        .env("BASH_ENV", "/tmp/evil")
        .env("LD_PRELOAD", "")
        .env("BASH_FUNC_ls%%", "() { evil; }")
        .env("FLASHDUTY_APP_KEY", "not-for-steps")
        .start();
    let labels = json!({ "resource": "db-07", "a=b": "x", "LD_PRELOAD": "/tmp/evil.so", "a.b": "one", "a-b": "two" });
    daemon.accept(&with(incident("e1", "i1"), &[("/incident/labels", labels)]));
    let run = daemon.ended("e1");
    let out = run["steps"][0]["result"]["stdout"].as_str().unwrap();
    let names: Vec<&str> = out.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    for name in &names {
        assert!(
            matches!(*name, "PATH" | "LANG" | "HOME" | "MINE") || name.starts_with("STANCH_"),
            "{name} leaked: {out}"
        );
    }
    assert!(out.contains("MINE=db-07\n") && out.contains("STANCH_LABEL_LD_PRELOAD=/tmp/evil.so\n"), "{out}");
    // Three labels meet in one name: all are left out.
    assert!(!out.contains("STANCH_LABEL_A_B="), "{out}");
}

#[test]
fn scripts_that_misbehave_are_condition_errors_and_the_daemon_goes_on() {
    let conditions = [
        "loop {}",
        "let a = \"x\"; loop { a += a; }",
        "let a = [0]; loop { a += a; }",
        "labels.resource == 7",
        "labels.nothing == \"x\"",
        "incident.alert_cnt",
    ];
    let mut rules = String::from("rules:\n");
    for (number, condition) in conditions.iter().enumerate() {
        rules += &format!(
            "  - id: c{number}\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    when: |\n      {condition}\n    steps: [ {{ run: [/bin/true] }} ]\n"
        );
    }
    rules += "  - id: good\n    match: { events: [i_new], channels: [\"*\"] }\n    when: 'labels.resource == \"db-07\"'\n    steps: [ { run: [/bin/true] } ]\n";
    let daemon = Folder::with_rules(&rules).start();
    daemon.accept(&incident("e1", "i1"));
    let decision = daemon.decided("e1")["event"]["decision"].clone();
    for (number, condition) in conditions.iter().enumerate() {
        let rule = &decision["rules"][number];
        assert_eq!(rule["outcome"], "condition-error", "{condition}: {rule}");
    }
    assert_eq!(decision["rules"][conditions.len()]["outcome"], "run");
    assert_eq!(daemon.end_of("e1"), "succeeded");
}

#[test]
fn what_steps_print_reaches_terminals_without_control_characters() {
    let rule =
        marking_rule("mark", "").replace("- shell: echo", "- shell: printf '\\033[2J\\007\\342\\200\\256x'; echo");
    let daemon = Folder::with_rules(&format!("rules:\n{rule}")).start();
    daemon.accept(&incident("e1", "i1"));
    let run = daemon.ended("e1");
    // The record keeps what was printed; only showing it makes it harmless.
    assert_eq!(run["steps"][0]["result"]["stdout"], "\u{1b}[2J\u{7}\u{202e}x");
    let run = run["run"]["run"].as_str().unwrap();
    for args in [&["runs", "show", run][..], &["runs"], &["events", "show", "e1"]] {
        let text = String::from_utf8(daemon.folder.run(args).stdout).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{args:?}: {text:?}");
    }
    let log = daemon.stop().read("log");
    assert!(!log.contains(['\u{1b}', '\u{202e}']), "{log}");
}

#[test]
fn terminals_and_logs_get_no_control_characters_of_events() {
    let daemon = Folder::with_rules(UNCONCERNED).start();
    let title = "\u{1b}[2Jgone\u{7}\u{202e}reversed";
    daemon.accept(&with(incident("e1", "i1"), &[("/incident/title", json!(title))]));
    daemon.decided("e1");
    for args in [&["events", "show", "e1"][..], &["events"], &["explain", "--event", "e1"]] {
        let output = daemon.folder.run(args);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}') && !text.contains('\u{202e}'),
            "{args:?}: {text:?}"
        );
    }
    let log = daemon.stop().read("log");
    assert!(!log.contains('\u{1b}') && !log.contains('\u{202e}'), "{log}");
}

#[test]
fn yaml_surprises_are_refused_with_their_place() {
    for (text, code, place) in [
        ("rules:\n  - id: &a one\n    description: *a\n", "yaml-anchor", (2, 9)),
        ("rules:\n  - id: !!str one\n", "yaml-tag", (2, 9)),
        ("rules:\n  - id: one\n    id: two\n", "duplicate-key", (3, 5)),
        (
            "rules:\n  - id: one\n    match: { events: [i_new], channels: [\"*\"], labels: { a: no } }\n",
            "quote-label",
            (3, 61),
        ),
        (
            "rules:\n  - id: one\n    match: { events: [i_new], channels: [\"*\"], labels: { a: 0755 } }\n",
            "quote-label",
            (3, 61),
        ),
    ] {
        let folder = Folder::with_rules(text);
        let output = folder.run(&["check", "--format", "json"]);
        assert_eq!(output.status.code(), Some(1));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let (line, column) = place;
        let is_it = |one: &serde_json::Value| one["code"] == code && one["line"] == line && one["column"] == column;
        assert!(found.as_array().unwrap().iter().any(is_it), "{code} at {place:?} is not in {found:#}");
    }
}
