//! From a push to a run: what is taken, kept and done.

use serde_json::json;

use crate::support::{Folder, UNCONCERNED, admin, incident, marking_rule, post, with};

#[test]
fn a_new_incident_runs_its_rule_with_the_event_at_hand() {
    let rules = "rules:\n  - id: see\n    match: { events: [i_new], channels: [Order System], labels: { check: disk full } }\n    when: incident.alert_cnt >= 1\n    target: \"{{ labels.resource }}\"\n    steps:\n      - name: look\n        run: [./scripts/see.sh, --host, \"{{ target }}\"]\n";
    let see = "#!/bin/sh\nset -eu\necho \"args $*\"\necho \"event $STANCH_EVENT_ID $STANCH_INCIDENT_ID $STANCH_LABEL_CHECK\"\ncat\n";
    let daemon = Folder::with_rules(rules).script("see.sh", see).start();
    let push = incident("e1", "64f0a1");
    daemon.accept(&push);
    let run = daemon.ended("e1");
    assert_eq!(run["run"]["state"], "succeeded", "{run}");
    let out = run["steps"][0]["result"]["stdout"].as_str().unwrap();
    assert_eq!(out, format!("args --host db-07\nevent e1 64f0a1 disk full\n{push}"));
}

#[test]
fn alerts_custom_actions_and_unknown_types_are_taken_and_kept_byte_for_byte() {
    let rules = "rules:\n  - id: alerts\n    match: { events: [a_new], channels: [\"*\"] }\n    steps: [ { run: [/bin/true] } ]\n  - id: button\n    match: { events: [i_custom], channels: [\"*\"], person: [oncall@example.com] }\n    steps: [ { run: [/bin/true] } ]\n";
    let daemon = Folder::with_rules(rules).start();
    let alert = json!({ "event_id": "a1", "event_time": 1_790_000_000_000_i64, "event_type": "a_new",
        "alert": { "alert_id": "al1", "alert_severity": "Critical", "progress": "Triggered", "labels": {},
                   "incident": { "incident_id": "inc9", "title": "t" } } });
    daemon.accept(&alert);
    assert_eq!(daemon.ended("a1")["run"]["target"], "incident:inc9");

    let person = json!({ "person_id": 7, "email": "oncall@example.com" });
    let button = with(incident("c1", "inc10"), &[("/event_type", json!("i_custom")), ("/person", person)]);
    daemon.accept(&button);
    assert_eq!(daemon.end_of("c1"), "succeeded");

    let strange = with(
        incident("u1", "inc11"),
        &[
            ("/event_type", json!("i_not_yet_invented")),
            ("/new_field", json!({ "deep": [1, 2.5, 9_007_199_254_740_993_i64] })),
        ],
    );
    let body = format!(" {strange}\n");
    assert_eq!(post(daemon.folder.addr, crate::support::TOKEN, body.as_bytes()).0, 200);
    assert_eq!(daemon.decided("u1")["event"]["decision"]["rules"], json!([]));
    let folder = daemon.stop();
    let kept: String = rusqlite::Connection::open(folder.path("data/journal.db"))
        .unwrap()
        .query_row("SELECT payload FROM record WHERE event = 'u1' AND kind = 'received'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, body);
}

#[test]
fn answers_follow_the_table() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).start();
    let push = incident("e1", "i1");
    assert_eq!(daemon.push(&push), (200, json!({ "status": "accepted", "event_id": "e1" })));
    assert_eq!(daemon.push(&push), (200, json!({ "status": "duplicate", "event_id": "e1" })));
    let other = with(push, &[("/incident/title", json!("another"))]);
    assert_eq!(daemon.push(&other).0, 409);
    assert_eq!(post(daemon.folder.addr, "a-wrong-secret-of-some-length", b"{}").0, 401);
    assert_eq!(post(daemon.folder.addr, crate::support::TOKEN, b"{\"event_id\":").0, 400);
    assert_eq!(daemon.push(&json!({ "event_id": "x" })).1["error"]["code"], "no-subject");
    // Keys named like ours do nothing.
    let inert =
        with(incident("e2", "i2"), &[("/dry_run", json!(true)), ("/approved", json!(true)), ("/files", json!({}))]);
    daemon.accept(&inert);
    assert_eq!(daemon.outcome("e2").0, "run");
}

#[test]
fn an_id_is_derived_where_the_body_has_none() {
    let daemon = Folder::with_rules(UNCONCERNED).start();
    let mut push = incident("gone", "i1");
    push.as_object_mut().unwrap().remove("event_id");
    let (status, answer) = daemon.push(&push);
    assert_eq!((status, answer["status"].as_str()), (200, Some("accepted")));
    assert!(answer["event_id"].as_str().unwrap().starts_with("body-"));
    assert_eq!(daemon.push(&push).1["status"], "duplicate");
}

#[test]
fn metrics_and_health_are_served_on_the_socket() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).start();
    daemon.accept(&with(incident("e1", "i1"), &[("/event_type", json!("i_made_up\"} 1"))]));
    daemon.accept(&incident("e2", "i2"));
    assert_eq!(daemon.end_of("e2"), "succeeded");
    let socket = daemon.folder.path("data/stanch.sock");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    for name in ["data/journal.db", "data/journal.db-wal", "data/journal.head"] {
        let mode = std::fs::metadata(daemon.folder.path(name)).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o077, 0, "{name} is open to others");
    }
    assert_eq!(admin(&socket, "GET", "/healthz", "").unwrap().0, 200);
    let (status, text) = admin(&socket, "GET", "/metrics", "").unwrap();
    assert_eq!(status, 200);
    for line in [
        "stanch_events_total{source=\"flashduty\",type=\"other\",outcome=\"accepted\"} 1",
        "stanch_decisions_total{rule=\"mark\",outcome=\"run\"} 1",
        "stanch_runs_total{rule=\"mark\",state=\"succeeded\"} 1",
        "stanch_rules_loaded 1",
        "stanch_paused 0",
        "stanch_writeback_total{call=\"comment\",outcome=\"sent\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("made_up"), "event text became a label");
}
