//! `match`: what can never hold, and names that no push had.

use super::*;
use crate::rule::load;
use crate::rule::vocabulary::Vocabulary;

#[test]
fn rules_that_can_never_match_are_pointed_out() {
    let matching = |text: &str| {
        format!("rules:\n  - id: a\n    match: {{ {text} }}\n    target: t\n    steps: [ {{ wait: 1s }} ]\n")
    };
    let all = "events: [i_new], channels: [\"*\"]";
    for (text, is_found) in [
        (format!("{all}, title: {{ equals: a, not: a }}"), true),
        (format!("{all}, labels: {{ env: {{ in: [a, b], not_in: [b, a] }} }}"), true),
        (format!("{all}, labels: {{ env: {{ equals: a, regex: \"^b\" }} }}"), true),
        (format!("{all}, labels: {{ env: {{ exists: false, not: a }} }}"), true),
        (format!("{all}, severities: [Critical], not: {{ severities: [Critical, Warning] }}"), true),
        (format!("{all}, severities: [Critical], any: [ {{ severities: [Info] }} ]"), true),
        ("events: [a_new], channels: [\"*\"], progress: [Processing]".to_owned(), true),
        ("events: [a_new], channels: [\"*\"], person: [a@b]".to_owned(), true),
        (format!("{all}, labels: {{ env: {{ in: [a, b], not: b }} }}"), false),
        (format!("{all}, fields: {{ tags: {{ equals: a, not: b }} }}"), false),
        (format!("{all}, severities: [Critical], not: {{ severities: [Critical], title: x }}"), false),
        (format!("{all}, severities: [Critical, Info], any: [ {{ severities: [Info] }} ]"), false),
        ("events: [a_*, i_new], channels: [\"*\"], progress: [Processing]".to_owned(), false),
    ] {
        let loaded = load_text(&matching(&text));
        assert_eq!(found(&loaded).iter().any(|found| found.ends_with(" never-matches")), is_found, "{text}");
        assert!(!loaded.has_errors(), "{text}");
    }
}

#[test]
fn names_are_compared_with_those_that_pushes_had() {
    let folder = Folder::new();
    let body = r#"{"event_id": "e", "event_time": 1700000000000, "event_type": "i_new", "incident":
        {"incident_id": "i", "channel_name": "Order System", "labels": {"resource": "db-07", "k8s.io/app": "x"}}}"#;
    let now = crate::clock::Timestamp::from_millis(1_700_000_000_000);
    let mut seen = Vocabulary::default();
    seen.learn(&crate::event::read(body.to_owned().into(), "flashduty".into(), now).unwrap());
    folder.write(
        "rules/a.yaml",
        "rules:\n  - id: a\n    match: { events: [i_new], channels: [Order Sytem, Payments], labels: { resorce: x, other: z } }\n    when: labels.resurce == incident.labels.resource\n    target: t\n    steps: [ { wait: 1s } ]\n",
        0o644,
    );
    let loaded = load::check(&folder.config, &[], &seen);
    assert_eq!(found(&loaded), ["3:42 unknown-channel", "3:76 unknown-label", "4:18 unknown-label"]);
    assert_eq!(found(&folder.load()), [] as [&str; 0], "what was not seen yet is no slip");
}
