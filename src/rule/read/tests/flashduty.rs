//! Calls of the Open API, and the section of the config that they need.

use super::*;
use crate::rule::Reporting;

/// The problems of a text where the config knows Flashduty.
fn found_with_flashduty(yaml: &str) -> Vec<String> {
    let mut folder = Folder::new();
    folder.config.flashduty = Some(crate::config::Flashduty {
        api: "https://api.flashcat.cloud".into(),
        app_key: crate::config::secret::SecretRef::Env("FLASHDUTY_APP_KEY".into()),
        catch_up: true,
        report: Reporting::Runs,
        run_link: None,
    });
    folder.write("rules/a.yaml", yaml, 0o644);
    found(&folder.load())
}

#[test]
fn calls_of_flashduty_have_one_form_each() {
    for call in [
        "{ comment: \"x {{ labels.a }}\" }",
        "{ ack: true }",
        "{ resolve: true }",
        "{ resolve: { root_cause: a, resolution: b } }",
        "{ snooze: 1m, reopen: true }",
        "{ snooze: 1d, field: { name: a, value: 5 } }",
        "{ field: { name: a, value: [x, \"{{ labels.b }}\"] } }",
    ] {
        assert_eq!(found_with_flashduty(&step(&format!("flashduty: {call}"))), Vec::<String>::new(), "{call}");
    }
    for (call, problem) in [
        ("{}", "6:20 empty"),
        ("x", "6:20 wrong-type"),
        ("{ coment: x }", "6:22 unknown-key"),
        ("{ ack: false }", "6:27 invalid-value"),
        ("{ comment: \"{{ x\" }", "6:32 invalid-template"),
        ("{ snooze: 90s }", "6:30 invalid-value"),
        ("{ snooze: 25h }", "6:30 invalid-value"),
        ("{ resolve: { why: x } }", "6:33 unknown-key"),
        ("{ field: { name: a } }", "6:29 missing-key"),
        ("{ field: { name: \"{{ a }}\", value: x } }", "6:37 template-not-literal"),
        ("{ field: { name: a, value: { b: c } } }", "6:47 wrong-type"),
    ] {
        let found = found_with_flashduty(&step(&format!("flashduty: {call}")));
        assert_eq!(found.first().map(String::as_str), Some(problem), "{call}: {found:?}");
    }
    for (lines, problem) in [
        ("report: maybe", "6:13 invalid-value"),
        ("guards: { recheck: alert }", "6:24 invalid-value"),
        ("verify: { within: 5s, steps: [ { flashduty: { ack: true } } ] }", "6:34 invalid-value"),
    ] {
        assert_eq!(found_with_flashduty(&rule(lines)), [problem], "{lines}");
    }
}

#[test]
fn flashduty_has_to_be_in_the_config() {
    check(&step("flashduty: { comment: x }"), &["6:9 flashduty-missing"]);
    check(&rule("guards: { recheck: incident }"), &["6:15 flashduty-missing"]);
    check(&rule("report: dry-run"), &["6:5 flashduty-missing"]);
    check(&rule("report: false"), &[]);
}
