//! Steps that a script returns, and steps that depend on earlier ones, in the running program.

use serde_json::{Value, json};

use crate::program::{both, stdout};
use crate::support::{Folder, incident, with};

const SCRIPTED: &str = r#"
rules:
  - id: heal
    match: { events: [i_new], channels: ["*"] }
    target: "{{ labels.resource }}"
    steps_from: plans::heal
tests:
  - name: a database is drained before it is healed
    event: { event_id: e, event_type: i_new, incident: { incident_id: i, labels: { resource: db-07 } } }
    expect:
      - { rule: heal, outcome: run, steps: [ { run: [/bin/echo, drain, db-07] }, { env: { WHO: db-07 } } ] }
  - name: what no plan is known for is left alone
    event: { event_id: e, event_type: i_new, incident: { incident_id: i, labels: { resource: mail-1 } } }
    expect: [ { rule: heal, outcome: plan-error, because: steps_from, reason: no plan for mail-1 } ]
"#;

const PLANS: &str = r#"
fn heal(event, target) {
    let steps = [];
    if target.starts_with("db-") {
        steps.push(#{ name: "drain", run: ["/bin/echo", "drain", target] });
    } else if !target.starts_with("web-") {
        throw `no plan for ${target}`;
    }
    steps.push(#{ shell: "echo \"$WHO healed\" >> healed", env: #{ WHO: target } });
    steps
}
"#;

fn on(event: &str, host: &str) -> Value {
    with(incident(event, event), &[("/incident/labels/resource", host.into())])
}

#[test]
fn a_function_decides_what_is_done() {
    let folder = Folder::with_rules(SCRIPTED);
    folder.write("scripts/plans.rhai", PLANS, 0o644);
    let tested = folder.run(&["test"]);
    assert!(tested.status.success(), "{}", both(&tested));
    let daemon = folder.start();
    daemon.accept(&on("e1", "db-07"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    let hostile = "web-$(touch pwned); {{ labels.resource }}";
    daemon.accept(&on("e2", hostile));
    assert_eq!(daemon.end_of("e2"), "succeeded");
    assert_eq!(daemon.folder.read("healed"), format!("db-07 healed\n{hostile} healed\n"));
    assert!(!daemon.folder.path("pwned").exists());
    daemon.accept(&on("e3", "mail-1"));
    let (outcome, reason) = daemon.outcome("e3");
    assert!(outcome == "plan-error" && reason.contains("no plan for mail-1"), "{outcome}: {reason}");
    let explained = daemon.folder.json(&["explain", "--event", "e1", "--rule", "heal"]);
    assert_eq!(explained["current"]["rules"][0]["plan"]["steps"][0]["run"], json!(["/bin/echo", "drain", "db-07"]));
    let report = daemon.folder.json(&["backtest"]);
    let rule = &report["report"]["tried"]["rules"][0];
    assert_eq!((&rule["runs"], &rule["plan_errors"]), (&2.into(), &1.into()), "{report}");
}

const CONDITIONAL: &str = r#"
rules:
  - id: heal
    match: { events: [i_new], channels: ["*"] }
    target: "{{ labels.resource }}"
    steps:
      - { name: probe, shell: "echo '{\"free\": 3}'; exit 4", exit_codes: [4] }
      - { name: full, if: steps.probe.json.free < 5 && steps.probe.exit_code == 4, shell: echo full >> done }
      - { if: 'steps.probe.stdout.contains("30")', shell: echo never >> done }
      - { if: "!steps.full.ok", shell: echo never >> done }
      - { if: 'labels.resource == "db-07"', shell: echo here >> done }
    on_success: [ { if: steps.full.ok, shell: echo told >> done } ]
"#;

#[test]
fn steps_depend_on_what_earlier_ones_led_to() {
    let daemon = Folder::with_rules(CONDITIONAL).start();
    daemon.accept(&incident("e1", "i1"));
    let run = daemon.ended("e1");
    assert_eq!(run["run"]["state"], "succeeded", "{run}");
    assert_eq!(daemon.folder.read("done"), "full\nhere\ntold\n");
}

#[test]
fn a_step_that_nobody_named_is_found_at_load() {
    let typo = CONDITIONAL.replace("steps.full.ok, shell", "steps.ful.ok, shell").replace("json.free", "jsn.free");
    let checked = Folder::with_rules(&typo).run(&["check"]);
    assert_eq!(checked.status.code(), Some(1));
    let said = both(&checked);
    for part in [
        "unknown-step",
        "no step named `ful` has run before this one",
        "did you mean `full`?",
        "`steps.probe` has no `jsn`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// The example of the rule language's contract, word for word.
const EXAMPLE: &str = include_str!("contract/disk-full.yaml");

#[test]
fn the_example_of_the_contract_passes_its_tests() {
    let folder = Folder::with_rules(EXAMPLE)
        .config("http: { allow: [inventory.internal:443] }\nflashduty: { app_key: { file: secrets/app-key } }\n")
        .script("clear-logs.sh", "#!/bin/sh\n")
        .script("disk-below.sh", "#!/bin/sh\n");
    folder.write("secrets/app-key", "an-app-key-of-the-tests-0123456789", 0o600);
    std::fs::create_dir(folder.path("rules/fixtures")).unwrap();
    let labels = [("cluster", "nj"), ("env", "prod"), ("resource", "db-01")];
    let push = labels.into_iter().fold(incident("e1", "i1"), |push, (name, value)| {
        with(push, &[(format!("/incident/labels/{name}").as_str(), value.into())])
    });
    folder.write("rules/fixtures/disk-full.json", &push.to_string(), 0o644);
    let output = folder.run(&["test"]);
    assert!(output.status.success(), "{}", both(&output));
    assert_eq!(stdout(&output).lines().last(), Some("3 passed, 0 failed"), "{}", both(&output));
    // It is the rule that is tested, and not only the tests that pass.
    let text =
        folder.read("rules/rules.yaml").replace("[./scripts/clear-logs.sh, --host, \"{{ target }}\"]", "[/bin/true]");
    folder.write("rules/rules.yaml", &text, 0o644);
    assert_eq!(folder.run(&["test"]).status.code(), Some(1));
}
