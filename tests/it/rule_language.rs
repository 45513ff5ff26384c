//! Promises of the rule language that only a whole rule set can keep, as rules with tests that `stanch test` runs.

use crate::program::both;
use crate::support::Folder;

/// Runs `stanch test` on these rules and tests, all of which have to pass.
#[track_caller]
fn passes(config: &str, rules: &str) {
    let folder = Folder::with_rules(rules).config(config);
    let output = folder.run(&["test"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
}

#[test]
fn a_channel_id_in_quotes_is_an_id_and_may_be_a_name() {
    passes(
        "",
        r#"
rules:
  - id: by-channel
    match: { events: [i_new], channels: ["1163577812973"] }
    target: "{{ incident.incident_id }}"
    steps: [ { run: [/bin/true] } ]
tests:
  - name: by its id
    event: { event_type: i_new, incident: { incident_id: i1, channel_id: 1163577812973, channel_name: Orders } }
    expect: [ { rule: by-channel, outcome: run } ]
  - name: by its name
    event: { event_type: i_new, incident: { incident_id: i1, channel_id: 5, channel_name: "1163577812973" } }
    expect: [ { rule: by-channel, outcome: run } ]
  - name: another one
    event: { event_type: i_new, incident: { incident_id: i1, channel_id: 5, channel_name: Orders } }
    expect: [ { rule: by-channel, outcome: not-matched, because: match.channels } ]
"#,
    );
}

/// A held run for critical incidents, and what comes while it waits.
fn held(hold: &str, tests: &str) -> String {
    format!(
        r#"
rules:
  - id: later
    match: {{ events: [i_new], channels: ["*"], severities: [Critical] }}
    target: "{{{{ labels.host }}}}"
    guards: {{ hold: {{ {hold} }} }}
    steps: [ {{ run: [/bin/true] }} ]
tests:
{tests}"#
    )
}

const NEW: &str = "{ event_type: i_new, event_time: 1764000000000, incident: { incident_id: i1, incident_severity: Critical, labels: { host: a } } }";

#[test]
fn a_held_run_is_held_against_the_state_that_an_annotation_brought() {
    let tests = format!(
        r#"
  - name: somebody found it to be less bad
    fresh: true
    events:
      - event: {NEW}
        expect: [ {{ rule: later, outcome: held }}, {{ rule: later, outcome: cancelled, reason: match.severities }} ]
      - after: 1m
        event: {{ event_type: i_r_severity, event_time: 1764000060000, incident: {{ incident_id: i1, incident_severity: Info, labels: {{ host: a }} }} }}
  - name: a comment changes nothing, and makes nothing late
    fresh: true
    events:
      - event: {{ event_type: i_comm, event_time: 1764000060000, incident: {{ incident_id: i1, incident_severity: Critical, labels: {{ host: a }} }} }}
      - after: 1s
        event: {NEW}
        expect: [ {{ rule: later, outcome: held }}, {{ rule: later, outcome: run }} ]
"#
    );
    passes("", &held("for: 3m", &tests));
}

#[test]
fn globs_of_events_call_a_held_run_off() {
    let tests = format!(
        r#"
  - name: a change of any field calls it off
    fresh: true
    events:
      - event: {NEW}
        expect: [ {{ rule: later, outcome: held }}, {{ rule: later, outcome: cancelled, reason: i_r_title }} ]
      - after: 1m
        event: {{ event_type: i_r_title, event_time: 1764000060000, incident: {{ incident_id: i1, incident_severity: Critical, labels: {{ host: a }} }} }}
"#
    );
    passes("", &held("for: 3m, cancel_on: [\"i_r_*\"]", &tests));
}

#[test]
fn outside_its_schedules_a_rule_says_when_the_next_one_begins() {
    passes(
        "schedules:\n  night: { days: [mon-fri], from: \"22:00\", to: \"07:00\", zone: Asia/Shanghai }\n  gone: { dates: [2020-01-01] }\n",
        r#"
rules:
  - id: at-night
    match: { events: [i_new], channels: ["*"] }
    target: t
    guards: { active: { only: [night, gone] } }
    steps: [ { run: [/bin/true] } ]
  - id: never-again
    match: { events: [i_new], channels: ["*"] }
    target: u
    guards: { active: { only: [gone] } }
    steps: [ { run: [/bin/true] } ]
tests:
  - name: on a Saturday morning the next night is that of Monday
    event: { event_type: i_new, event_time: 1764381600000, incident: { incident_id: i1 } }
    expect:
      - { rule: at-night, outcome: suppressed, because: active, until: "2025-12-01T14:00:00Z" }
      - { rule: never-again, outcome: suppressed, because: active }
"#,
    );
}
