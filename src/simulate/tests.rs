use std::fs;

use super::*;
use crate::engine::{Options, settings};
use crate::rule::load::load;

const CONFIG: &str = "sources: [ { name: flashduty, path: /flashduty, auth: none } ]\n";

/// A body whose event is of this type and time (in seconds after a certain point), with an id of its own.
fn body(id: &str, event_type: &str, incident: &str, at: u64) -> String {
    let (time, progress) =
        (1_700_000_000_000 + at * 1_000, if event_type == "i_rslv" { "Closed" } else { "Triggered" });
    format!(
        "{{ event_id: {id}, event_type: {event_type}, event_time: {time}, incident: {{ incident_id: {incident}, \
         title: disk full, progress: {progress}, labels: {{ host: db-07 }} }} }}"
    )
}

/// A rule that runs a command on a host, with `more` as further keys in flow style.
fn rule(id: &str, more: &str) -> String {
    format!(
        "  - {{ id: {id}, match: {{ events: [i_new, i_reopen], channels: [\"*\"] }}, target: \"{{{{ labels.host }}}}\", \
         steps: [ {{ run: [/bin/true, \"{{{{ target }}}}\"] }} ]{more} }}\n"
    )
}

/// Runs the tests of a rule file beside others, all by name.
fn run_files(config: &str, files: &[(&str, &str)]) -> Vec<TestResult> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    fs::write(folder.path().join("stanch.yaml"), format!("{CONFIG}{config}")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join("rules").join(name), text).unwrap();
    }
    let config = crate::config::load::load(&folder.path().join("stanch.yaml")).unwrap().config;
    let loaded = load(&config, 1);
    let rules = loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let settings = settings(&config, &Options::of_reader());
    let world = World {
        rules: &rules,
        settings: &settings,
        strict_ordering: config.strict_ordering,
        source: "flashduty",
        body_bytes_max: config.limits.body_bytes,
    };
    let suite = Suite::new(world, &loaded.tests);
    let again: Vec<TestResult> = suite.tests().iter().map(|test| suite.run(test, &no_fixture)).collect();
    let results: Vec<TestResult> = suite.tests().iter().map(|test| suite.run(test, &no_fixture)).collect();
    assert_eq!(results, again, "the same tests give the same results");
    assert!(!results.is_empty());
    results
}

fn no_fixture(file: &Path) -> Result<Value, String> {
    Err(format!("there is no {}", file.display()))
}

/// Runs one test: the events, each an element of `events`, and what is expected of them together.
fn run(rules: &str, events: &[String], expect: &str) -> TestResult {
    let events: String = events.iter().map(|event| format!("      - {event}\n")).collect();
    let text = format!("rules:\n{rules}tests:\n  - name: a test\n    events:\n{events}    expect: [ {expect} ]\n");
    run_files("", &[("rules.yaml", &text)]).remove(0)
}

#[track_caller]
fn passes(rules: &str, events: &[String], expect: &str) {
    let result = run(rules, events, expect);
    assert!(result.passed, "{:#?}\n{:#?}", result.problems, result.findings);
}

#[track_caller]
fn fails(rules: &str, events: &[String], expect: &str, message: &str) -> TestResult {
    let result = run(rules, events, expect);
    let said = result.problems.iter().any(|problem| problem.message.contains(message));
    assert!(!result.passed && said, "{:#?}\n{:#?}", result.problems, result.findings);
    result
}

fn after(time: &str, body: &str) -> String {
    format!("{{ after: {time}, event: {body} }}")
}

#[test]
fn the_same_push_again_is_a_duplicate_and_another_body_is_refused() {
    let (first, other) = (body("e1", "i_new", "i1", 0), body("e1", "i_new", "i2", 0));
    let events = [first.clone(), after("1s", &first), after("1s", &other)];
    let expect = "{ rule: r, outcome: run }, { outcome: duplicate }, { outcome: refused, reason: another body }";
    passes(&rule("r", ""), &events, expect);
    fails(&rule("r", ""), &events[..1], "{ rule: r, outcome: run }, { outcome: duplicate }", "an event did nothing");
}

#[test]
fn a_fresh_id_makes_the_same_body_another_push() {
    let event = body("e1", "i_new", "i1", 0);
    let events = [event.clone(), format!("{{ after: 1s, event: {event}, fresh: true }}")];
    let expect = "{ rule: r, outcome: run }, { rule: r, outcome: suppressed, because: dedupe, target: db-07 }";
    passes(&rule("r", ""), &events, expect);
}

#[test]
fn an_older_event_is_late_unless_only_an_annotation_came_before() {
    let late = |before: &str| [body("e2", before, "i1", 60), after("1s", &body("e1", "i_new", "i1", 0))];
    passes(&rule("r", ""), &late("i_ack"), "{ outcome: late }");
    passes(&rule("r", ""), &late("i_ack"), "{ rule: r, outcome: late, reason: newer event }");
    passes(&rule("r", ""), &late("i_assign"), "{ rule: r, outcome: run }");
}

#[test]
fn a_late_event_stands_for_the_newest_state_where_the_rule_wants_that() {
    let events = [body("e2", "i_ack", "i1", 60), after("1s", &body("e1", "i_new", "i1", 0))];
    passes(&rule("r", ", late: newest"), &events, "{ outcome: late }, { rule: r, outcome: run }");
}

#[test]
fn closing_frees_the_dedupe_slot() {
    let events = [
        body("e1", "i_new", "i1", 0),
        after("1m", &body("e2", "i_rslv", "i1", 60)),
        after("1m", &body("e3", "i_reopen", "i1", 120)),
    ];
    let expect = "{ rule: r, outcome: run }, { rule: r, outcome: not-matched, because: match.events }, \
                  { rule: r, outcome: run }";
    passes(&rule("r", ""), &events, expect);
}

#[test]
fn a_rate_counts_on_the_simulated_clock() {
    let rules = rule("r", ", guards: { rate: { max: 2, per: 1h } }");
    let events = [
        body("e1", "i_new", "i1", 0),
        after("10m", &body("e2", "i_new", "i2", 600)),
        after("10m", &body("e3", "i_new", "i3", 1200)),
        after("41m", &body("e4", "i_new", "i4", 3660)),
    ];
    let expect =
        "{ outcome: run }, { outcome: run }, { outcome: suppressed, because: rate, until: 40m }, { outcome: run }";
    passes(&rules, &events, expect);
    fails(&rules, &events, "{ outcome: run }, { outcome: run }, { outcome: run }, { outcome: run }", "did");
}

#[test]
fn a_cooldown_counts_from_the_end_of_the_run_and_says_until_when() {
    let rules = rule("r", ", guards: { cooldown: 30m }");
    let events = [body("e1", "i_new", "i1", 0), after("10m", &body("e2", "i_new", "i2", 600))];
    for until in ["20m", "\"2023-11-14T22:43:20Z\""] {
        let expect = format!("{{ rule: r, outcome: run }}, {{ rule: r, because: cooldown, until: {until} }}");
        passes(&rules, &events, &expect);
    }
    let result = fails(&rules, &events, "{ outcome: run }, { because: cooldown, until: 21m }", "did otherwise");
    let until = &result.problems[0].differences[0];
    assert_eq!(until.what, "until");
    assert!(until.expected.starts_with("21m (") && until.actual.starts_with("20m ("), "{until:?}");
}

const HOLD: &str = ", guards: { hold: { for: 3m, cancel_on: [i_ack, i_rslv] } }";

#[test]
fn a_held_run_acts_when_its_hold_is_over() {
    let first = body("e1", "i_new", "i1", 0);
    passes(&rule("r", HOLD), std::slice::from_ref(&first), "{ rule: r, outcome: held, until: 3m }");
    passes(&rule("r", HOLD), &[first], "{ rule: r, outcome: held }, { rule: r, outcome: run, target: db-07 }");
}

#[test]
fn a_held_run_is_called_off_by_what_comes_before_its_end_or_with_it() {
    let acked = |time: &str| [body("e1", "i_new", "i1", 0), after(time, &body("e2", "i_ack", "i1", 60))];
    let called_off = "{ rule: r, outcome: held }, { rule: r, outcome: cancelled, reason: i_ack }";
    passes(&rule("r", HOLD), &acked("2m"), called_off);
    passes(&rule("r", HOLD), &acked("3m"), called_off);
    passes(&rule("r", HOLD), &acked("4m"), "{ rule: r, outcome: held }, { rule: r, outcome: run }");
    fails(&rule("r", HOLD), &acked("4m"), called_off, "did");
}

#[test]
fn a_held_run_is_decided_again_on_the_newest_state() {
    // What only annotates makes nothing late, but it brings the whole state, as every push does.
    for kind in ["i_r_severity", "i_comm", "i_unack"] {
        let moved = body("e2", kind, "i1", 60).replace("host: db-07", "host: db-08");
        let events = [body("e1", "i_new", "i1", 0), after("1m", &moved)];
        passes(&rule("r", HOLD), &events, "{ outcome: held }, { outcome: cancelled, reason: its target changed }");
    }
}

#[test]
fn runs_on_one_target_queue_and_take_turns() {
    let rules = format!("{}{}", rule("a", ""), rule("b", ""));
    let expect = "{ rule: b, outcome: run, reason: target:db-07 is held }, { rule: a, outcome: run }";
    let result = run(&rules, &[body("e1", "i_new", "i1", 0)], expect);
    assert!(result.passed, "the order within an event is free: {:#?}", result.problems);
    assert_eq!(result.findings.len(), 2, "a run that only queued is not told twice: {:#?}", result.findings);
}

#[test]
fn a_run_that_nobody_approves_expires() {
    let rules = rule("r", ", mode: approve");
    let expect = "{ rule: r, outcome: awaiting-approval, until: 15m }, { rule: r, outcome: expired }";
    passes(&rules, &[body("e1", "i_new", "i1", 0)], expect);
}

#[test]
fn a_threshold_is_met_by_the_event_that_completes_it() {
    let rules = rule("r", ", guards: { threshold: { count: 3, within: 10m } }");
    let event = |n: u64| body(&format!("e{n}"), "i_new", &format!("i{n}"), n * 60);
    let events = [event(0), after("1m", &event(1)), after("1m", &event(2))];
    let expect = "{ because: threshold, reason: 1 of 3 }, { because: threshold, reason: 2 of 3 }, { outcome: run }";
    passes(&rules, &events, expect);
    let slow = [event(0), after("6m", &event(6)), after("6m", &event(12))];
    fails(&rules, &slow, expect, "did otherwise at event 3");
}

#[test]
fn dry_run_plans_and_takes_slots_of_its_own() {
    let rules = rule("r", ", mode: dry-run");
    let events = [body("e1", "i_new", "i1", 0), after("1m", &body("e2", "i_new", "i1", 60))];
    let expect = "{ rule: r, outcome: dry-run, steps: [ { run: [/bin/true, db-07] } ] }, { because: dedupe }";
    passes(&rules, &events, expect);
}

#[test]
fn the_ceiling_of_the_config_holds() {
    let text = format!(
        "rules:\n{}tests: [ {{ name: a, event: {}, expect: [ {{ rule: r, outcome: dry-run }} ] }} ]\n",
        rule("r", ""),
        body("e1", "i_new", "i1", 0)
    );
    assert!(run_files("mode: dry-run\n", &[("rules.yaml", &text)])[0].passed);
    let off = run_files("mode: off\n", &[("rules.yaml", &text)]).remove(0);
    assert!(off.problems[0].message.contains("never asked"), "{off:#?}");
}

#[test]
fn what_cannot_be_rendered_is_a_plan_error_that_names_the_part() {
    let no_host = body("e1", "i_new", "i1", 0).replace("host: db-07", "host: \"*\"");
    passes(&rule("r", ""), &[no_host], "{ rule: r, outcome: plan-error, because: target, reason: everything }");
}

#[test]
fn a_condition_that_fails_says_when() {
    let event = [body("e1", "i_new", "i1", 0)];
    let asks = |condition: &str| rule("r", &format!(", when: '{condition}'"));
    passes(&asks("labels.host == \"db-08\""), &event, "{ rule: r, outcome: not-matched, because: when }");
    passes(&asks("labels.host > 5"), &event, "{ rule: r, outcome: condition-error, because: when }");
}

#[test]
fn another_rule_of_the_file_that_acts_must_be_expected() {
    let rules = format!("{}{}", rule("a", ""), rule("b", ""));
    let event = [body("e1", "i_new", "i1", 0)];
    fails(&rules, &event, "{ rule: a, outcome: run }", "event 1 also led to: rule b, outcome run on db-07");
    fails(&rules, &event, "", "event 1 also led to: rule a");
    // One failure is told once.
    let result = fails(&rule("a", ""), &event, "{ rule: a, outcome: held }", "did otherwise");
    assert_eq!(result.problems.len(), 1, "{:#?}", result.problems);
}

#[test]
fn rules_of_other_files_may_act_unless_nothing_is_expected() {
    let test = |expect: &str| {
        let event = body("e1", "i_new", "i1", 0);
        format!("tests: [ {{ name: a, event: {event}, expect: [ {expect} ] }} ]\n")
    };
    let mine = format!("rules:\n{}{}", rule("a", ""), test("{ rule: a, outcome: run }"));
    let others = format!("rules:\n{}", rule("b", ""));
    assert!(run_files("", &[("a.yaml", &mine), ("b.yaml", &others)])[0].passed);

    let apart = test("{ rule: a, outcome: run }");
    let rules = format!("rules:\n{}{}", rule("a", ""), rule("b", ""));
    assert!(run_files("", &[("rules.yaml", &rules), ("a.test.yaml", &apart)])[0].passed);
    let nothing = run_files("", &[("rules.yaml", &rules), ("a.test.yaml", &test(""))]).remove(0);
    assert_eq!(nothing.problems.len(), 2, "{nothing:#?}");
}

#[test]
fn an_event_without_expectations_prepares_for_the_next() {
    let text = format!(
        "rules:\n{}tests:\n  - name: a\n    events:\n      - {}\n      - {{ after: 1m, event: {}, expect: [ {{ because: dedupe }} ] }}\n",
        rule("r", ""),
        body("e1", "i_new", "i1", 0),
        body("e2", "i_new", "i1", 60),
    );
    let result = run_files("", &[("rules.yaml", &text)]).remove(0);
    assert!(result.passed, "{result:#?}");
}

#[test]
fn expectations_at_an_event_speak_of_what_it_called_off_too() {
    let text = format!(
        "rules:\n{}tests:\n  - name: a\n    events:\n      - {{ event: {}, expect: [ {{ outcome: held }} ] }}\n      \
         - {{ after: 1m, event: {}, expect: [ {{ rule: r, outcome: cancelled }} ] }}\n",
        rule("r", HOLD),
        body("e1", "i_new", "i1", 0),
        body("e2", "i_ack", "i1", 60),
    );
    let result = run_files("", &[("rules.yaml", &text)]).remove(0);
    assert!(result.passed, "{result:#?}");
}

#[test]
fn the_order_of_events_counts() {
    let events = [body("e1", "i_new", "i1", 0), after("1m", &body("e2", "i_new", "i1", 60))];
    let swapped = "{ rule: r, outcome: suppressed }, { rule: r, outcome: run }";
    fails(&rule("r", ""), &events, swapped, "earlier than expected here");
}

#[test]
fn a_clause_may_be_named_by_its_beginning() {
    let event = [body("e1", "i_ack", "i1", 0)];
    passes(&rule("r", ""), &event, "{ rule: r, because: match }");
    fails(&rule("r", ""), &event, "{ rule: r, outcome: not-matched, because: match.event }", "did otherwise");
}

#[test]
fn steps_are_compared_in_part_and_in_order() {
    let rules = "  - id: r\n    match: { events: [i_new], channels: [\"*\"] }\n    target: x\n    steps:\n      \
                 - { name: one, run: [/bin/true, a], timeout: 5s }\n      - { run: [/bin/true, b] }\n";
    let event = [body("e1", "i_new", "i1", 0)];
    let expect = |steps: &str| format!("{{ rule: r, outcome: run, steps: [ {steps} ] }}");
    for steps in ["{ name: one }", "{ run: [/bin/true, b] }", "{ timeout: 5s }, { run: [/bin/true, b] }"] {
        passes(rules, &event, &expect(steps));
    }
    for steps in ["", "{ run: [/bin/true] }", "{ run: [/bin/true, b] }, { name: one }"] {
        fails(rules, &event, &expect(steps), "did otherwise");
    }
    let result = fails(rules, &event, &expect("{ run: [/bin/true, c] }"), "did otherwise");
    let steps = &result.problems[0].differences[0];
    assert_eq!(steps.expected, r#"{"run":["/bin/true","c"]}"#);
    assert_eq!(steps.actual, r#"{"run":["/bin/true","a"]} {"run":["/bin/true","b"]}"#);
}

#[test]
fn a_body_that_would_be_refused_fails_the_test_with_the_reason() {
    for (body, why) in [
        ("{ event: { event_type: i_new } }", "400: the body has neither"),
        ("{ event_id: \"{{id}}\", incident: { incident_id: i1 } }", "400: `event_id` still contains"),
        ("{ event: { event_type: 5, incident: { incident_id: i1 } } }", "400: `event_type` must be"),
        ("no-such-file.json", "there is no"),
    ] {
        fails(&rule("r", ""), &[body.into()], "{ rule: r, outcome: run }", why);
    }
    let long = body("e1", "i_new", "i1", 0).replace("disk full", &"x".repeat(300_000));
    fails(&rule("r", ""), &[long], "{ rule: r, outcome: run }", "413");
}

#[test]
fn an_event_far_ahead_of_the_clock_does_not_make_others_late() {
    let events =
        [body("e1", "i_ack", "i1", 0), body("e2", "i_ack", "i1", 3600), after("1s", &body("e3", "i_new", "i1", 1))];
    passes(&rule("r", ""), &events, "{ rule: r, outcome: run }");
}

#[test]
fn overrides_reach_labels_with_dots() {
    let rules = rule("r", "").replace("channels: [\"*\"]", "channels: [\"*\"], labels: { app.io/name: api }");
    let event = body("e1", "i_new", "i1", 0);
    let with = format!("{{ event: {event}, with: {{ incident.labels.app.io/name: api, incident.num: \"7\" }} }}");
    passes(&rules, &[with], "{ rule: r, outcome: run }");
    let with = format!("{{ event: {event}, with: {{ incident.title.x: 1 }} }}");
    fails(&rules, &[with], "{ rule: r, outcome: run }", "is not an object");
}

#[test]
fn rules_without_tests_are_named_but_not_those_that_are_off() {
    let (a, b, c) = (rule("a", ""), rule("b", ", mode: off"), rule("c", ""));
    let event = body("e1", "i_new", "i1", 0);
    let tests = format!("tests: [ {{ name: x, event: {event}, expect: [ {{ rule: a }}, {{ rule: zz }} ] }} ]\n");
    let text = format!("rules:\n{a}{b}{c}{tests}");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    fs::write(folder.path().join("stanch.yaml"), CONFIG).unwrap();
    fs::write(folder.path().join("rules/rules.yaml"), text).unwrap();
    let config = crate::config::load::load(&folder.path().join("stanch.yaml")).unwrap().config;
    let loaded = load(&config, 1);
    let rules = loaded.set.unwrap();
    let settings = settings(&config, &Options::of_reader());
    let world =
        World { rules: &rules, settings: &settings, strict_ordering: false, source: "s", body_bytes_max: 10_000 };
    let suite = Suite::new(world, &loaded.tests);
    assert_eq!(suite.untested().keys().copied().collect::<Vec<_>>(), ["c"]);
    let result = suite.run(&suite.tests()[0], &no_fixture);
    assert_eq!(result.problems.len(), 1);
    assert!(result.problems[0].message.contains("no rule `zz`"), "{result:#?}");
}
