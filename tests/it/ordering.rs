//! Late events do nothing; what only annotates makes nothing late; absurd times order nothing.

use serde_json::{Value, json};

use crate::support::{Folder, incident, marking_rule, with};

fn at(event: &str, kind: &str, time: i64) -> Value {
    with(incident(event, "i1"), &[("/event_type", json!(kind)), ("/event_time", json!(time))])
}

fn now() -> i64 {
    incident("x", "x")["event_time"].as_i64().unwrap()
}

#[test]
fn an_overtaken_event_is_late_and_does_nothing() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).start();
    let now = now();
    daemon.accept(&at("ack", "i_ack", now));
    daemon.accept(&at("new", "i_new", now - 5000));
    let story = daemon.decided("new");
    assert_eq!(story["event"]["decision"]["late_since"], now);
    assert_eq!(story["runs"], json!([]));
    // An equal time is not late.
    daemon.accept(&at("same", "i_new", now));
    assert_eq!(daemon.outcome("same").0, "run");
}

#[test]
fn an_assignment_that_overtakes_does_not_cancel_the_healing() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).start();
    let now = now();
    daemon.accept(&at("assign", "i_assign", now));
    daemon.accept(&at("new", "i_new", now - 5000));
    assert_eq!(daemon.outcome("new").0, "run");
}

#[test]
fn strict_ordering_counts_every_event() {
    let rules = format!("rules:\n{}", marking_rule("mark", ""));
    let daemon = Folder::with_rules(&rules).config("ordering: strict\n").start();
    let now = now();
    daemon.accept(&at("assign", "i_assign", now));
    daemon.accept(&at("new", "i_new", now - 5000));
    assert_eq!(daemon.decided("new")["event"]["decision"]["late_since"], now);
}

#[test]
fn times_ahead_in_microseconds_or_in_seconds_are_marked_and_move_nothing() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).start();
    let now = now();
    for (id, time, mark) in [
        ("year", now + 365 * 86_400_000, "ahead"),
        ("micros", now * 1000, "ahead"),
        ("seconds", now / 1000, "implausible"),
    ] {
        daemon.accept(&at(id, "i_ack", time));
        assert_eq!(daemon.decided(id)["event"]["time_mark"], mark);
    }
    daemon.accept(&at("new", "i_new", now));
    assert_eq!(daemon.outcome("new").0, "run");
}

#[test]
fn a_rule_may_ask_for_the_newest_state_of_a_late_event() {
    let rule = marking_rule("mark", "    late: newest\n").replace("{{ labels.resource }}", "{{ incident.title }}");
    let daemon = Folder::with_rules(&format!("rules:\n{rule}")).start();
    let now = now();
    daemon.accept(&with(at("ack", "i_ack", now), &[("/incident/title", json!("newest"))]));
    daemon.accept(&with(at("new", "i_new", now - 5000), &[("/incident/title", json!("oldest"))]));
    assert_eq!(daemon.ended("new")["run"]["target"], "newest");
}
