//! `stanch test`: what it prints and writes, and how it exits.

use std::fs;

use crate::program::{both, stderr, stdout};
use crate::support::Folder;

const RULE: &str = r#"
rules:
  - id: mark
    match: { events: [i_new], channels: ["*"], labels: { env: { not: dev, exists: true } } }
    target: "{{ labels.host }}"
    steps: [ { shell: "touch \"$MARK\"", env: { MARK: "{{ target }}" } } ]
"#;

fn push(env: &str, host: &str) -> String {
    format!(
        r#"{{"event_id":"e1","event_type":"i_new","event_time":1700000000000,"incident":{{"incident_id":"i1","title":"t","labels":{{"env":"{env}","host":"{host}"}}}}}}"#
    )
}

/// A folder with one rule, a fixture and these tests.
fn folder(tests: &str) -> Folder {
    let folder = Folder::with_rules(&format!("{RULE}{tests}"));
    folder.write("rules/push.json", &push("prod", "no-such-folder/mark"), 0o644);
    folder
}

const PASSING: &str = r#"
tests:
  - name: a production host is marked
    event: push.json
    expect: [ { rule: mark, outcome: run, steps: [ { env: { MARK: no-such-folder/mark } } ] } ]
  - name: a retry is a duplicate
    events: [ push.json, { after: 1s, event: push.json } ]
    expect: [ { rule: mark, outcome: run }, { outcome: duplicate } ]
"#;

const FAILING: &str = r#"
tests:
  - name: a development host is left alone
    event: push.json
    with: { incident.labels.env: dev }
    expect: [ { rule: mark, outcome: run } ]
"#;

#[test]
fn passing_tests_exit_with_0_and_touch_nothing() {
    let folder = folder(PASSING);
    let output = folder.run(&["test"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert_eq!(stdout(&output).lines().last(), Some("2 passed, 0 failed"), "{}", both(&output));
    assert!(!folder.path("data").exists(), "no journal is made");
}

#[test]
fn a_failing_test_exits_with_1_and_shows_a_diff() {
    let output = folder(FAILING).run(&["test"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    let said = stdout(&output);
    assert!(said.lines().any(|line| line == "0 passed, 1 failed"), "{said}");
    for part in [
        "FAIL  a development host is left alone",
        "rules.yaml:9:",
        "rules.yaml:12:",
        "- outcome: run",
        "+ outcome: not-matched (match.labels.env expects",
        "\"dev\"",
    ] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
}

#[test]
fn a_filter_chooses_by_name_or_rule_and_must_choose_something() {
    let folder = folder(PASSING);
    let retry = folder.run(&["test", "-k", "RETRY"]);
    assert_eq!(stdout(&retry).lines().last(), Some("1 passed, 0 failed"), "{}", both(&retry));
    let rule = folder.run(&["test", "-k", "mark"]);
    assert_eq!(stdout(&rule).lines().last(), Some("2 passed, 0 failed"), "{}", both(&rule));
    let none = folder.run(&["test", "-k", "nothing of the kind"]);
    assert_eq!(none.status.code(), Some(1), "{}", both(&none));
}

#[test]
fn paths_choose_files_of_the_rules_folder_or_stand_for_it() {
    let folder = folder("");
    folder.write("rules/mark.test.yaml", PASSING, 0o644);
    let apart = folder.path("rules/mark.test.yaml");
    let output = folder.run(&["test", apart.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(stdout(&output).ends_with("2 passed, 0 failed\n"), "{}", both(&output));

    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("other.yaml"), format!("{RULE}{FAILING}")).unwrap();
    fs::write(other.path().join("push.json"), push("prod", "x")).unwrap();
    let output = folder.run(&["test", other.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    let missing = folder.run(&["test", "/no/such/file.yaml"]);
    assert_eq!(missing.status.code(), Some(1), "{}", both(&missing));
}

#[test]
fn rules_without_tests_are_named() {
    let output = folder("").run(&["test"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(stdout(&output).contains("rules without a test:\n  mark  "), "{}", both(&output));
    assert!(stdout(&output).ends_with("0 passed, 0 failed\n"), "{}", both(&output));
}

#[test]
fn broken_rules_exit_with_1_and_a_broken_config_with_3() {
    let folder = folder("\nnonsense: 1\n");
    let output = folder.run(&["test"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(stderr(&output).contains("nonsense") && stderr(&output).contains("no test was run"), "{}", both(&output));
    folder.write("stanch.yaml", "nonsense: 1\n", 0o644);
    assert_eq!(folder.run(&["test"]).status.code(), Some(3));
}

#[test]
fn a_fixture_that_is_not_there_or_ambiguous_fails_the_test() {
    let folder = folder(PASSING);
    folder.write(
        "rules/push.json",
        &push("prod", "x").replace("\"event_id\"", "\"event_type\":\"i_ack\",\"event_id\""),
        0o644,
    );
    let output = folder.run(&["test"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(stdout(&output).contains("has a key twice"), "{}", both(&output));
    fs::remove_file(folder.path("rules/push.json")).unwrap();
    let output = folder.run(&["test"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(stdout(&output).contains("0 passed, 2 failed"), "{}", both(&output));
}

#[test]
fn results_for_machines_are_well_formed_whatever_events_hold() {
    let folder = folder(
        &FAILING
            .replace("a development host", "\"<&> a host\"")
            .replace("\"<&> a host\" is left alone", "'<&> \"a\" host'"),
    );
    folder.write("rules/push.json", &push("prod", "x").replace("\"t\"", r#""\u001b[2J]]><x>""#), 0o644);
    let file = folder.path("junit.xml");
    let output = folder.run(&["test", "--format", "json", "--junit", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((answer["passed"].as_u64(), answer["failed"].as_u64()), (Some(0), Some(1)));
    assert_eq!(answer["tests"][0]["problems"][0]["differences"][0]["what"], "outcome");

    let xml = folder.read("junit.xml");
    assert!(
        xml.contains("tests=\"1\" failures=\"1\"") && xml.contains("name=\"&lt;&amp;&gt; &quot;a&quot; host\""),
        "{xml}"
    );
    assert!(!xml.chars().any(|c| c.is_control() && c != '\n'), "{xml:?}");
    assert_eq!(xml.matches("<testcase ").count(), xml.matches("</testcase>").count(), "{xml}");
}

#[test]
fn control_characters_are_never_printed_raw() {
    let folder = folder(&FAILING.replace("env: dev", "env: \"\\e[2Jdev\"").replace("outcome: run", "outcome: held"));
    let output = folder.run(&["test"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(!both(&output).contains('\u{1b}'), "{:?}", both(&output));
}

#[test]
fn watching_runs_the_tests_again_when_something_they_read_changes() {
    use std::io::{BufRead as _, BufReader};
    let folder = folder(PASSING);
    let mut child = crate::support::stanch()
        .args(["test", "--watch", "-c"])
        .arg(folder.path("stanch.yaml"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (send, results) = std::sync::mpsc::channel();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Reading ends with the child, which this test ends.
    std::thread::spawn(move || {
        lines.map_while(Result::ok).filter(|line| line.contains(" passed, ")).try_for_each(|line| send.send(line))
    });
    let next = || results.recv_timeout(std::time::Duration::from_secs(30)).expect("the tests to run again");
    assert_eq!(next(), "2 passed, 0 failed");
    folder.write("rules/push.json", &push("dev", "x"), 0o644);
    assert_eq!(next(), "0 passed, 2 failed");
    folder.write(
        "rules/rules.yaml",
        &format!("{RULE}{PASSING}").replace("not: dev", "not: test").replace("no-such-folder/mark", "x"),
        0o644,
    );
    assert_eq!(next(), "2 passed, 0 failed");
    child.kill().unwrap();
    child.wait().unwrap();
}

const FATES: &str = r#"
tests:
  - name: three failures open the breaker
    runs: [ { rule: mark, ends: failed } ]
    events:
      - { event: push.json, fresh: true, with: { incident.incident_id: a } }
      - { event: push.json, fresh: true, with: { incident.incident_id: b } }
      - { event: push.json, fresh: true, with: { incident.incident_id: c } }
      - { event: push.json, fresh: true, with: { incident.incident_id: d } }
    expect:
      - { rule: mark, outcome: run }
      - { rule: mark, outcome: failed }
      - { rule: mark, outcome: run }
      - { rule: mark, outcome: run }
      - { rule: mark, outcome: suppressed, because: breaker }
  - name: a second run waits for one that lasts
    runs: [ { rule: mark, takes: 20m }, { rule: mark } ]
    events:
      - { event: push.json, fresh: true, with: { incident.incident_id: a } }
      - { event: push.json, fresh: true, with: { incident.incident_id: b } }
    expect: [ { rule: mark, outcome: run }, { rule: mark, outcome: run }, { rule: mark, outcome: expired } ]
"#;

#[test]
fn tests_can_tell_how_runs_go() {
    let output = folder(FATES).run(&["test"]);
    assert!(output.status.success(), "{}", both(&output));
    let wrong = folder(&FATES.replace("ends: failed", "ends: badly")).run(&["test"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("`ends` cannot be `badly`"), "{}", both(&wrong));
    let typo = folder(&FATES.replace("rule: mark, takes", "rule: mrak, takes")).run(&["test"]);
    assert_eq!(typo.status.code(), Some(1));
    assert!(stdout(&typo).contains("`runs` names a rule `mrak`"), "{}", both(&typo));
}

#[test]
fn tests_can_run_under_another_ceiling_than_the_configs() {
    let rules = "rules:\n  - id: a\n    match: { events: [i_new], channels: [\"*\"] }\n    steps: [ { run: [/bin/true] } ]\n\
                 tests:\n  - name: it runs\n    event: { event_id: e, event_time: 1732000000000, event_type: i_new, incident: { incident_id: i } }\n    \
                 expect: [ { rule: a, outcome: run } ]\n";
    let folder = Folder::with_rules(rules).config("mode: dry-run\n");
    let failed = folder.run(&["test"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("`--mode auto` lifts it"));
    assert_eq!(folder.run(&["test", "--mode", "auto"]).status.code(), Some(0));
    let wrong = folder.run(&["test", "--mode", "loud"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("off, dry-run, approve, auto"));
}
