//! Conditions and modules: code and slips of the pen, shown at their own characters.

use super::*;

#[test]
fn code_is_shown_at_its_own_character() {
    check(&rule("when: |\n  true\n  && (1 + )"), &["8:15 invalid-script"]);
    check(&rule("when: true && (1 + )"), &["6:24 invalid-script"]);
    check(&rule("when: 'labels.a == ''x'' && (1 + )'"), &["6:38 invalid-script"]);
    check(&rule("when: \"1 == \\\"x\\\" +)\""), &["6:24 invalid-script"]);
    check(&rule("owner: x\nwhen: |\n\n  true\n  && (1 + )"), &["10:15 invalid-script"]);
}

#[test]
fn every_unknown_function_of_a_script_is_shown() {
    check(&rule("when: mathces(labels.a, \"x\") && nope(1)\n"), &["6:11 invalid-script", "6:37 invalid-script"]);
    let folder = Folder::new();
    folder.write("scripts/gate.rhai", "fn f() {\n  one()\n}\nfn g() {\n  two()\n}\n", 0o644);
    folder.write("rules/a.yaml", &rule("owner: x"), 0o644);
    assert_eq!(found(&folder.load()), ["2:3 invalid-script", "5:3 invalid-script"]);
}

#[test]
fn a_slip_in_a_path_is_shown_at_its_own_characters() {
    check(&rule("when: |\n  true == true\n  && event.incident.sevrity == \"Critical\""), &["8:25 unknown-path"]);
    let loaded = load_text(&rule("when: event.incident.sevrity == \"Critical\""));
    let found = &loaded.diagnostics[0];
    assert_eq!(&loaded.sources.get(&found.file).unwrap()[found.span.clone()], "sevrity");
    assert_eq!(found.hint.as_deref(), Some("did you mean `incident_severity`?"));
    check(&rule("when: alert.title.len > 3 && incident[\"titel\"] == \"\""), &["6:44 unknown-path"]);
    check(&rule("owner: x\nwhen: alerts.some(|a| a.labels.hots == \"x\") && labels.anything == fields.anything"), &[]);
    check(
        &step("name: probe\nwait: 1s").replace(
            "wait: 1s\n",
            "wait: 1s\n      - if: steps.prob.ok && steps.probe.exit_cod == 1\n        wait: 1s\n",
        ),
        &["8:13 unknown-step", "8:42 unknown-step"],
    );
    check(&step("run: [ls, \"--x={{ incident.titel }}\"]"), &["6:36 unknown-path"]);
}

#[test]
fn modules_are_checked_for_slips_where_a_parameter_is_named_like_the_event() {
    let folder = Folder::new();
    folder.write("scripts/gate.rhai", "fn wanted(incident, x) {\n  incident.titel == x.titel\n}\n", 0o644);
    folder.write("rules/a.yaml", &rule("when: gate::wanted(incident, alert)"), 0o644);
    assert_eq!(found(&folder.load()), ["2:12 unknown-path"]);
}

#[test]
fn conditions_that_give_the_same_for_every_event_are_pointed_out() {
    for (source, is_found) in [
        ("true", true),
        ("1 == 2 && true", true),
        ("incident.alert_cnt > 1 && false", true),
        ("true || incident.alert_cnt > 1", true),
        ("!(false || false)", true),
        ("now > 5 && true", false),
        ("minutes_since(5) > 1", false),
        ("incident.alert_cnt > 1 || false", false),
        ("incident.title == \"true\"", false),
        ("alerts.some(|a| true)", false),
    ] {
        let loaded = load_text(&rule(&format!("when: '{source}'")));
        assert_eq!(found(&loaded).contains(&"6:11 constant-condition".to_owned()), is_found, "{source}");
    }
}
