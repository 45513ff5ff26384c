//! Which part of a condition failed, and on which values.

use super::*;

/// What the condition failed by, in words.
fn why(source: &str) -> String {
    let sandbox = sandbox(&[]).unwrap();
    let event = incident();
    let view = EventView::new(&event);
    let extra = Extra { target: Some("db-07"), now: NOW, names: &[] };
    let condition = sandbox.compile(source).unwrap();
    assert_ne!(condition.holds(&sandbox, &view, extra), Ok(true), "{source}");
    condition.why(&sandbox, &view, extra).to_string()
}

#[test]
fn a_condition_says_which_part_failed_and_on_which_values() {
    for (source, said) in [
        ("incident.alert_cnt >= 5", "`incident.alert_cnt >= 5` is false: incident.alert_cnt is 3"),
        ("incident.alert_cnt >= 1 && labels.a == \"6\"", "`labels.a == \"6\"` is false: labels.a is \"5\""),
        (
            "incident.alert_cnt > 5 || (labels.a == \"6\" && channel.id == 1)",
            "`incident.alert_cnt > 5` is false: incident.alert_cnt is 3; `labels.a == \"6\"` is false: labels.a is \"5\"",
        ),
        (
            "(false || labels.a == \"5\") && !labels.resource.starts_with(\"db\")",
            "`labels.resource.starts_with(\"db\")` is true: labels.resource is \"db-07\"",
        ),
        (
            "labels.resource.len() > 9",
            "`labels.resource.len() > 9` is false: labels.resource.len() is 5, labels.resource is \"db-07\"",
        ),
        ("let n = incident.alert_cnt + 1; n == 5", "`n == 5` is false: n is 4"),
        (
            "fn odd(n) { n % 2 == 1 } !odd(incident.alert_cnt)",
            "`odd(incident.alert_cnt)` is true: incident.alert_cnt is 3",
        ),
        ("target in [\"a || b\", \"c\"]", "`target in [\"a || b\", \"c\"]` is false: target is \"db-07\""),
        ("labels[\"k8s.io/app\"] == \"y\"", "`labels[\"k8s.io/app\"] == \"y\"` is false: labels.k8s.io/app is \"x\""),
        (
            "true && labels.a >= 5",
            "`labels.a >= 5` fails, cannot compare text with a whole number by `>=`: both sides must have the same type: labels.a is \"5\"",
        ),
    ] {
        assert_eq!(why(source), said, "{source}");
    }
    assert!(why("labels.nope == \"x\"").contains("labels.nope is absent"), "{}", why("labels.nope == \"x\""));
}

#[test]
fn a_condition_taken_apart_gives_what_it_gives_whole() {
    for source in [
        "alerts.some(|a| a.labels.host == \"web-2\") && alerts.all(|a| false || a.labels.host == labels.resource)",
        "if incident.alert_cnt > 1 { false } else { true }",
        "labels.a == \"5\" == false",
        "switch labels.resource { \"db-07\" => false, _ => true }",
        "let l = [1]; l.push(2); l == [1]",
        "`${1 + 1} && x` == \"\"",
        "// why not && how\nincident.alert_cnt /* || */ == 4",
        "for i in range(0, 2) { let x = i; } labels.a == \"7\"",
    ] {
        let sandbox = sandbox(&[]).unwrap();
        let event = incident();
        let view = EventView::new(&event);
        let extra = Extra { target: Some("db-07"), now: NOW, names: &[] };
        let condition = sandbox.compile(source).unwrap();
        assert_eq!(condition.holds(&sandbox, &view, extra), Ok(false), "{source}");
        let trace = condition.why(&sandbox, &view, extra);
        assert_eq!(trace.parts[0].verdict, Verdict::False, "{source}: {trace:?}");
        assert!(trace.parts.iter().any(|part| part.decisive), "{source}: {trace:?}");
        assert_eq!(condition.holds(&sandbox, &view, extra), Ok(false), "asking why changed something: {source}");
    }
}
