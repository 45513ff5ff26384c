//! The guards of rules, and the budgets across them, asked in the real daemon.

use serde_json::json;

use crate::support::{Daemon, Folder, incident, marking_rule, with};

fn daemon(extra: &str, config: &str) -> Daemon {
    Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", extra))).config(config).start()
}

/// Sends a new incident on a target of its own and waits for what becomes of it.
fn send(daemon: &Daemon, number: usize, target: &str) -> (String, String) {
    let event = format!("e{number}");
    daemon.accept(&with(incident(&event, &format!("i{number}")), &[("/incident/labels/resource", json!(target))]));
    let outcome = daemon.outcome(&event);
    if outcome.0 == "run" {
        daemon.ended(&event);
    }
    outcome
}

#[test]
fn rate_lets_exactly_so_many_through_also_over_a_restart() {
    let daemon = daemon("    guards: { rate: { max: 2, per: 1h } }\n", "");
    assert_eq!(send(&daemon, 1, "a").0, "run");
    assert_eq!(send(&daemon, 2, "b").0, "run");
    let daemon = daemon.kill().start();
    let (outcome, reason) = send(&daemon, 3, "c");
    assert_eq!(outcome, "suppressed");
    assert!(reason.starts_with("rate: 2 runs began within 1h"), "{reason}");
}

#[test]
fn rate_by_target_counts_each_target_apart() {
    let daemon = daemon("    guards: { rate: { max: 1, per: 1h, by: target } }\n", "");
    assert_eq!(send(&daemon, 1, "a").0, "run");
    assert_eq!(send(&daemon, 2, "b").0, "run");
    assert_eq!(send(&daemon, 3, "a").0, "suppressed");
}

#[test]
fn cooldown_leaves_a_target_alone() {
    let daemon = daemon("    guards: { cooldown: 30m }\n", "");
    assert_eq!(send(&daemon, 1, "a").0, "run");
    let (outcome, reason) = send(&daemon, 2, "a");
    assert_eq!(outcome, "suppressed");
    assert!(reason.starts_with("cooldown: "), "{reason}");
    assert_eq!(send(&daemon, 3, "b").0, "run");
}

#[test]
fn blast_radius_counts_distinct_targets() {
    let daemon = daemon("    guards: { blast_radius: { targets: 2, per: 30m, by: channel } }\n", "");
    assert_eq!(send(&daemon, 1, "a").0, "run");
    assert_eq!(send(&daemon, 2, "b").0, "run");
    assert_eq!(send(&daemon, 3, "a").0, "run");
    assert_eq!(send(&daemon, 4, "c").0, "suppressed");
}

#[test]
fn threshold_acts_on_the_nth_match() {
    let daemon = daemon("    guards: { threshold: { count: 3, within: 10m } }\n", "");
    assert!(send(&daemon, 1, "a").1.starts_with("threshold: 1 of 3"));
    assert!(send(&daemon, 2, "b").1.starts_with("threshold: 2 of 3"));
    assert_eq!(send(&daemon, 3, "c").0, "run");
}

#[test]
fn breaker_opens_after_failures_by_default() {
    let rule = marking_rule("mark", "").replace("echo \"$STANCH_RULE", "false; echo \"$STANCH_RULE");
    let daemon = Folder::with_rules(&format!("rules:\n{rule}")).start();
    for number in 1..=3 {
        assert_eq!(send(&daemon, number, &format!("t{number}")).0, "run");
    }
    assert_eq!(daemon.end_of("e1"), "failed");
    let (outcome, reason) = send(&daemon, 4, "t4");
    assert_eq!(outcome, "suppressed");
    assert!(reason.starts_with("breaker: "), "{reason}");
}

#[test]
fn unless_acked_holds_off_while_a_person_is_at_it() {
    let daemon = daemon("    guards: { unless_acked: true }\n", "");
    daemon.accept(&with(incident("e1", "i1"), &[("/incident/progress", json!("Processing"))]));
    assert!(daemon.outcome("e1").1.starts_with("unless_acked: "));
}

#[test]
fn attempts_escalate_once_and_then_stop() {
    let guards = "    guards:\n      attempts:\n        max: 1\n        per: 24h\n        by: target\n        then: [ { shell: echo escalated >> runs } ]\n";
    let daemon = daemon(guards, "");
    assert_eq!(send(&daemon, 1, "a").0, "run");
    assert_eq!(send(&daemon, 2, "a").0, "run");
    let (outcome, reason) = send(&daemon, 3, "a");
    assert_eq!(outcome, "suppressed");
    assert!(reason.starts_with("attempts: "), "{reason}");
    let runs = daemon.stop().read("runs");
    let lines: Vec<&str> = runs.lines().collect();
    assert_eq!(lines.len(), 2, "{runs}");
    assert!(lines[0].starts_with("mark ") && lines[1] == "escalated", "{runs}");
}

#[test]
fn a_storm_warning_holds_the_channel() {
    let daemon = daemon("    guards: { storm_hold: 15m }\n", "");
    daemon.accept(&with(incident("s", "is"), &[("/event_type", json!("i_storm"))]));
    daemon.decided("s");
    assert!(send(&daemon, 1, "a").1.starts_with("storm_hold: "));
}

#[test]
fn a_schedule_keeps_a_rule_quiet() {
    let schedules = "schedules: { always: { from: \"00:00\", to: \"00:00\", zone: Asia/Shanghai } }\n";
    let daemon = daemon("    guards: { active: { except: [always] } }\n", schedules);
    assert_eq!(send(&daemon, 1, "a"), ("suppressed".into(), "active: the schedule `always` is on".into()));
}

#[test]
fn a_budget_caps_all_rules_together() {
    let rules = format!("rules:\n{}{}", marking_rule("one", ""), marking_rule("two", ""));
    let budget = "budgets: [ { name: whole engine, rate: { max: 3, per: 1h } } ]\n";
    let daemon = Folder::with_rules(&rules).config(budget).start();
    for event in ["e1", "e2"] {
        daemon.accept(&incident(event, event));
    }
    let outcomes = |event: &str| {
        let rules = daemon.decided(event)["event"]["decision"]["rules"].clone();
        rules.as_array().unwrap().iter().map(|rule| rule["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = [outcomes("e1"), outcomes("e2")].concat();
    assert_eq!(all, ["run", "run", "run", "suppressed"]);
}
