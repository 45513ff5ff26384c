//! `stanch check` says everything that is wrong at once, where it is wrong, and what the rules cover.

use serde_json::Value;

use crate::program::{both, stdout};
use crate::support::{Folder, TOKEN, UNCONCERNED, incident, stanch, wait_for, with};

/// Ten different mistakes.
const TEN: &str = r#"rules:
  - id: Disk-Full
    moed: auto
    match:
      events: [i_nwe]
      channels: ["*"]
      labels:
        port: 8080
        resource: { regex: '^(db' }
    when: |
      incident.alert_cnt >= 1
        && labels.a ==
    guards:
      cooldown: 30
      active: { only: [nigth] }
    steps:
      - run: [sh, -c, "echo {{ target }}"]
      - shell: echo "{{ target }}"
"#;

/// `line:column code` of every problem in a file.
fn places(output: &std::process::Output, file: &str) -> Vec<String> {
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", both(output)));
    let of_file = found.iter().filter(|one| one["file"].as_str().unwrap().ends_with(file));
    of_file.map(|one| format!("{}:{} {}", one["line"], one["column"], one["code"].as_str().unwrap())).collect()
}

#[test]
fn ten_mistakes_are_ten_diagnostics_at_their_places() {
    let folder = Folder::with_rules(TEN);
    let output = folder.run(&["check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert_eq!(
        places(&output, "rules.yaml"),
        [
            "2:9 rule-id",
            "3:5 unknown-key",
            "5:16 unknown-event-type",
            "8:15 quote-label",
            "9:28 invalid-regex",
            "12:22 invalid-script",
            "14:17 invalid-duration",
            "15:24 unknown-schedule",
            "17:23 template-as-code",
            "18:22 template-in-shell",
        ]
    );
    // People see the line, the place underlined in it, and what to do.
    let shown = folder.run(&["check"]);
    for told in [
        "error[unknown-key]: the rule has no key `moed`",
        "rules.yaml:3:5\n",
        "    moed: auto\n",
        "^^^^",
        "= help: did you mean `mode`?",
        "= help: did you mean `i_new`?",
        "not usable: 9 errors and 1 warning in ",
    ] {
        assert!(both(&shown).contains(told), "no {told:?} in:\n{}", both(&shown));
    }
    let github = folder.run(&["check", "--format", "github"]);
    assert!(
        stdout(&github)
            .lines()
            .any(|line| line.starts_with("::error file=") && line.contains("line=3,col=5,title=unknown-key::"))
    );
}

#[test]
fn config_rules_and_scripts_are_checked_in_one_go() {
    let folder = Folder::with_rules(TEN).config("mode: atuo\nschedules: { nigth: { from: \"25:00\" } }\n");
    folder.write("scripts/gate.rhai", "fn wanted(incident) {\n  incident.titel == (1 + )\n}\n", 0o644);
    folder.write("secrets/token", "short", 0o600);
    let output = folder.run(&["check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
    assert_eq!(places(&output, "stanch.yaml"), ["5:45 secret-unusable", "6:7 invalid-value", "7:29 invalid-value"]);
    assert_eq!(places(&output, "gate.rhai"), ["2:26 invalid-script"]);
    let of_rules = places(&output, "rules.yaml");
    assert!(of_rules.contains(&"3:5 unknown-key".to_owned()), "{of_rules:?}");
    assert!(
        !of_rules.iter().any(|found| found.ends_with("unknown-schedule")),
        "what follows from the config is not said"
    );
}

#[test]
fn what_keeps_the_daemon_from_starting_is_told_by_the_check() {
    let folder = Folder::with_rules(UNCONCERNED).config("tls: { cert: no.pem, key: no.key }\n");
    let output = folder.run(&["check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
    assert_eq!(places(&output, "stanch.yaml"), ["6:6 tls-unusable"]);
    assert_eq!(folder.start_in_vain().status.code(), Some(3));
    // Nothing would ever be reached by it, though it reads as if everything were.
    let folder = Folder::with_rules(UNCONCERNED).config("http: { allow: [\"*:443\"] }\n");
    let output = folder.run(&["check", "--format", "json"]);
    assert_eq!(places(&output, "stanch.yaml"), ["6:17 network"]);
}

#[test]
fn warnings_pass_unless_they_are_denied() {
    let rules = "rules:\n  - id: a\n    match: { events: [i_new], channels: [\"*\"] }\n    when: event.incident.sevrity == \"Critical\"\n    steps: [ { run: [/bin/true] } ]\n";
    let folder = Folder::with_rules(rules);
    let output = folder.run(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(both(&output).contains("warning[unknown-path]"), "{}", both(&output));
    assert!(both(&output).contains("rules.yaml:4:26\n"), "{}", both(&output));
    assert!(both(&output).contains("did you mean `incident_severity`?"), "{}", both(&output));
    assert_eq!(folder.run(&["check", "--deny", "warnings"]).status.code(), Some(1));
}

#[test]
fn it_says_what_the_rules_cover_and_what_no_test_speaks_of() {
    let rules = r#"rules:
  - id: one
    mode: dry-run
    match: { events: [i_new], channels: [Order System], severities: [Critical] }
    steps: [ { run: [/bin/true] } ]
  - id: two
    match: { events: [i_new, i_reopen], channels: ["*"] }
    steps: [ { run: [/bin/true] } ]
tests:
  - name: nothing
    event: { event_id: a, event_time: 1700000000000, event_type: i_ack, incident: { incident_id: i } }
    expect: [ { rule: one, outcome: not-matched } ]
"#;
    let output = Folder::with_rules(rules).run(&["check"]);
    let expected = "ok: 2 rules in 1 file, 1 test covering events i_new, i_reopen on channels *, Order System
  modes       dry-run 1, auto 1
  events      i_new 2, i_reopen 1
  channels    * 1, Order System 1
  severities  Critical 1, any 1
  untested    1: two
";
    assert_eq!(stdout(&output), expected);
}

#[test]
fn names_are_compared_with_those_in_the_journal() {
    let daemon = Folder::with_rules(UNCONCERNED).start();
    daemon.accept(&incident("e-1", "i-1"));
    daemon.decided("e-1");
    let folder = daemon.stop();
    let rules = "rules:\n  - id: a\n    match: { events: [i_new], channels: [Order Sytem], labels: { resorce: db-07 } }\n    steps: [ { run: [/bin/true] } ]\n";
    folder.write("rules/rules.yaml", rules, 0o644);
    let output = folder.run(&["check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert_eq!(places(&output, "rules.yaml"), ["3:42 unknown-channel", "3:66 unknown-label"]);
}

#[test]
fn an_inline_secret_is_not_shown_again() {
    let rules = "rules:\n  - id: a\n    match: { events: [i_new], channels: [\"*\"] }\n    steps:\n      - run: [/bin/true]\n        env: { API_TOKEN: hunter2-hunter2 }\n";
    let folder = Folder::with_rules(rules);
    for format in ["human", "json", "github"] {
        let output = folder.run(&["check", "--format", format]);
        assert!(both(&output).contains("inline-secret") && !both(&output).contains("hunter2"), "{}", both(&output));
    }
    let folder = folder.config("admin: { token: hunter2-hunter2-hunter2 }\n");
    let output = folder.run(&["check"]);
    assert!(both(&output).contains("error[secret]") && !both(&output).contains("hunter2"), "{}", both(&output));
}

#[test]
fn a_secret_that_stands_in_a_command_or_script_is_pointed_out_and_not_shown_again() {
    let check = |step: &str| {
        let rules = format!(
            "rules:\n  - id: a\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    steps:\n      - {step}\n"
        );
        let folder = Folder::with_rules(&rules);
        let outputs = ["human", "json", "github"].map(|format| both(&folder.run(&["check", "--format", format])));
        for output in &outputs {
            assert!(!output.contains("hunter2") && !output.contains(TOKEN), "{step}: {output}");
        }
        outputs.iter().all(|output| output.contains("inline-secret"))
    };
    for step in [
        "shell: mysql --password=hunter2-hunter2 -e 'select 1'",
        "shell: DB_PASSWORD='hunter2-hunter2' ./run",
        "shell: \"curl -H 'Authorization: Bearer hunter2hunter2' http://h/\"",
        "shell: curl https://ana:hunter2hunter2@h/",
        "shell: tool --api-key hunter2hunter2",
        "run: [/bin/echo, --token, hunter2-hunter2]",
        "run: [/bin/echo, \"--client-secret=hunter2-hunter2\"]",
        "shell: SECRET=hunter2-hunter2 ./run",
        "run: [/bin/echo, \"Authorization: Basic hunter2hunter2==\"]",
        // A secret of the config is known as such whatever stands around it.
        &format!("shell: echo {TOKEN}"),
        &format!("run: [/bin/echo, {TOKEN}]"),
    ] {
        assert!(check(step), "{step}");
    }
    for step in [
        "shell: mysql --password=\"$PASSWORD\" -e 'select 1'",
        "shell: \"TOKEN=$(cat /run/token); export TOKEN\"",
        "shell: TOKEN_FILE=/run/secrets/token ./run",
        "shell: ./run --token-file /run/secrets/token",
        "shell: \"curl -H \\\"Authorization: Bearer $TOKEN\\\" http://h/\"",
        "shell: kubectl delete secret --all -n test",
        "shell: token=; for word in a b; do token=\"$token$word\"; done",
        "run: [/bin/echo, --token, \"{{ labels.resource }}\"]",
        "run: [/bin/echo, --token, --verbose]",
        "run: [/bin/echo, --secret, name-of-one]",
        "run: [/bin/echo, \"--token-file=/run/token\"]",
    ] {
        assert!(!check(step), "{step}");
    }
}

#[test]
fn schemas_are_printed() {
    let print =
        |args: &[&str]| -> Value { serde_json::from_slice(&stanch().args(args).output().unwrap().stdout).unwrap() };
    let rules = print(&["schema"]);
    assert_eq!(rules["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(rules["$defs"]["rule"]["properties"]["when"].is_object());
    let config = print(&["schema", "--config"]);
    assert!(config["properties"]["sources"].is_object() && config["properties"].get("rules").is_some());
    assert_eq!(print(&["schema", "--of-config"]), config);
}

const CONDITION: &str = "rules:
  - id: few-alerts
    match: { events: [i_new], channels: [\"*\"] }
    when: incident.alert_cnt >= 3 && labels.resource == \"db-07\"
    steps: [ { run: [/bin/true] } ]
  - id: wrong-type
    match: { events: [i_new], channels: [\"*\"] }
    when: labels.resource > 3
    steps: [ { run: [/bin/true] } ]
tests:
  - name: three alerts heal
    event:
      event_id: a
      event_time: 1700000000000
      event_type: i_new
      incident: { incident_id: i, alert_cnt: 1, labels: { resource: db-07 } }
    expect: [ { rule: few-alerts, outcome: run } ]
";

#[test]
fn why_a_condition_did_not_hold_is_said_everywhere() {
    let said = "`incident.alert_cnt >= 3` is false: incident.alert_cnt is 1";
    let failed = "in `labels.resource > 3`, labels.resource is \"db-07\"";
    let daemon = Folder::with_rules(CONDITION).start();
    daemon.accept(&incident("e-1", "i-1"));
    let story = wait_for("the decision", || {
        let output = daemon.folder.run(&["events", "show", "e-1"]);
        let text = stdout(&output);
        if text.contains("few-alerts") { Ok(text) } else { Err(both(&output)) }
    });
    assert!(story.contains(said) && story.contains(failed), "{story}");
    let folder = daemon.stop();

    let tested = folder.run(&["test"]);
    assert_eq!(tested.status.code(), Some(1), "{}", both(&tested));
    assert!(stdout(&tested).contains(said), "{}", both(&tested));

    let explained = folder.json(&["explain", "--event", "e-1"]);
    let rules = explained["current"]["rules"].as_array().unwrap();
    let parts = rules[0]["when"]["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["decisive"] == true).unwrap();
    assert_eq!(part["expression"], "incident.alert_cnt >= 3");
    assert_eq!(part["seen"][0]["value"], "1");
    assert_eq!(rules[1]["outcome"], "condition-error");
    assert!(rules[1]["when"]["holds"].is_null() && rules[1]["when"]["error"].is_string(), "{explained}");
    let recorded = &explained["recorded"]["rules"][0]["reason"];
    assert!(recorded.as_str().unwrap().contains(said), "{explained}");
}

#[test]
fn explain_shows_every_clause_and_every_guard() {
    let rules = "rules:
  - id: a
    match: { events: [i_new], channels: [Payments], severities: [Critical], labels: { resource: db-07 } }
    when: incident.alert_cnt >= 1 || labels.env == \"prod\"
    steps: [ { run: [/bin/true] } ]
  - id: b
    match: { events: [i_new], channels: [\"*\"] }
    guards: { unless_acked: true }
    steps: [ { run: [/bin/echo, hello] } ]
";
    let folder = Folder::with_rules(rules);
    let push = with(incident("e-1", "i-1"), &[("/incident/progress", "Processing".into())]);
    folder.write("push.json", &push.to_string(), 0o644);
    let file = folder.path("push.json");
    let output = folder.run(&["explain", file.to_str().unwrap()]);
    for told in [
        "✓ match.events i_new, is \"i_new\"",
        "✗ match.channels Payments, but sees \"Order System\"",
        "✗ match.severities Critical, but sees \"Warning\"",
        "✓ match.labels.resource \"db-07\", is \"db-07\"",
        "✓ when incident.alert_cnt >= 1 || labels.env == \"prod\"",
        "✓ incident.alert_cnt >= 1: incident.alert_cnt is 1",
        "· labels.env == \"prod\", not asked",
        "✗ guard unless_acked objects",
        "✓ guards that pass: pause, dedupe, active, hold,",
        "plan, if nothing objected:",
    ] {
        assert!(stdout(&output).contains(told), "no {told:?} in:\n{}", both(&output));
    }
    let json = folder.json(&["explain", file.to_str().unwrap(), "--rule", "b"]);
    let guards = json["current"]["rules"][0]["guards"].as_array().unwrap();
    let objecting: Vec<&str> = guards
        .iter()
        .filter(|guard| guard["verdict"] == "object")
        .map(|guard| guard["guard"].as_str().unwrap())
        .collect();
    assert_eq!(objecting, ["unless_acked"]);
    assert_eq!(json["current"]["rules"][0]["plan"]["steps"][0]["run"][1], "hello");
}
