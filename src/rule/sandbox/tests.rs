mod hostile;
mod modules;
mod parts;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;
use crate::event::{Event, read};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_600_000);

fn event(body: &Value) -> Event {
    read(body.to_string().into(), Arc::from("flashduty"), NOW).unwrap()
}

fn incident() -> Event {
    event(&json!({
        "event_id": "e-1", "event_time": 1_700_000_000_000_i64, "event_type": "i_new",
        "incident": {
            "incident_id": "65f1", "title": "disk full", "alert_cnt": 3, "start_time": 1_700_000_000,
            "ack_time": 0, "channel_id": 74_058_170_041_504_i64, "channel_name": "Order System", "owner": null,
            "labels": {"resource": "db-07", "a": "5", "k8s.io/app": "x", "ip": "::ffff:10.1.2.3"},
            "fields": {"huge": 18_446_744_073_709_551_615_u64, "ratio": 0.5, "tags": ["a", "b"]},
            "alerts": [{"labels": {"host": "web-1"}}, {"labels": {"host": "web-2"}}]
        }
    }))
}

fn sandbox(modules: &[(&str, &str)]) -> Result<Sandbox, Vec<(usize, ScriptError)>> {
    let modules: Vec<_> =
        modules.iter().map(|(name, text)| ((*name).to_owned(), Path::new("x.rhai"), (*text).to_owned())).collect();
    Sandbox::new(&modules)
}

fn holds_with(modules: &[(&str, &str)], source: &str) -> Result<bool, ScriptError> {
    let sandbox = sandbox(modules).unwrap();
    let event = incident();
    let view = EventView::new(&event);
    let names = [("steps", json!({"probe": {"exit_code": 3}}))];
    sandbox.compile(source)?.holds(&sandbox, &view, Extra { target: Some("db-07"), now: NOW, names: &names })
}

fn holds(source: &str) -> Result<bool, ScriptError> {
    holds_with(&[], source)
}

#[track_caller]
fn fails(source: &str, message: &str) -> ScriptError {
    let error = holds(source).expect_err(source);
    assert!(error.message.contains(message), "{source}: {error:?}");
    error
}

#[track_caller]
fn fails_at(source: &str, line: usize, column: usize, message: &str) {
    let error = fails(source, message);
    assert_eq!((error.line, error.column), (Some(line), Some(column)), "{source}: {error:?}");
}

#[test]
fn conditions_read_the_event() {
    for source in [
        "incident.alert_cnt >= 1 && !labels.resource.starts_with(\"canary\")",
        "event.incident.title == \"disk full\"",
        "channel.id == 74058170041504 && channel.name == \"Order System\"",
        "labels[\"k8s.io/app\"] == \"x\"",
        "alerts.some(|a| a.labels.host == \"web-2\")",
        "alerts.all(|alert| alert.labels.host != labels.resource)",
        "alerts.filter(|a| a.labels.host.ends_with(\"1\")).len == 1",
        "target == \"db-07\" && now == 1700000600",
        "steps.probe.exit_code == 3",
        "labels.resource in [\"db-06\", \"db-07\"]",
        "\"07\" in labels.resource",
        "\"resource\" in labels",
        "let n = incident.alert_cnt; n += 1; n == 4",
        "fields.ratio < 1 && fields.ratio >= 0.5 && 1 > fields.ratio && 1 == 1.0",
        "fields.tags == [\"a\", \"b\"]",
        "incident.owner == ()",
        "matches(labels.resource, `^(db|web)-\\d+$`)",
        "labels.resource.matches(\"^db\") && glob(labels.resource, \"db-*\")",
        "in_cidr(labels.ip, \"10.0.0.0/8\") && !in_cidr(labels.ip, \"10.1.2.4\")",
        "minutes_since(incident.start_time) == 10",
        "has(labels, \"k8s.io/app\") && !has(labels, \"nope\") && !has(incident, \"owner\")",
        "has(event, \"incident.labels.resource\") && has(event, \"incident.labels.k8s.io/app\")",
        "get(labels, \"nope\", \"\") == \"\" && labels.get(\"a\", \"\") == \"5\"",
        "labels.resource.split(\"-\")[1].parse_int() == 7",
        "labels.resource.replace(\"db\", \"web\").to_upper() == \"WEB-07\"",
        "labels.resource.sub_string(-2) == \"07\" && labels.resource.index_of(\"-\") == 2",
        "\" x \".trim() + 1 + 'c' == \"x1c\" && [1, 2].join(\"-\") == \"1-2\" && `${1 + 1}` == \"2\"",
        "min(2, 1) == 1 && max(1, 1.5) == 1.5 && \"b\" > 'a' && type_of(\"\") == \"string\"",
        "switch labels.resource { \"db-07\" => true, _ => false }",
        "fn odd(n) { n % 2 == 1 } odd(incident.alert_cnt)",
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
}

#[test]
fn comparison_across_types_is_an_error() {
    for operator in ["==", "!=", "<", "<=", ">", ">="] {
        fails(&format!("labels.a {operator} 5"), "cannot compare text with a whole number");
        fails(&format!("5 {operator} \"5\""), "cannot compare");
        fails(&format!("incident.owner {operator} 5"), "nothing (null)");
        fails(&format!("true {operator} 1"), "cannot compare a bool");
        fails(&format!("labels {operator} 1"), "a map");
    }
    fails_at("true && labels.a != 5", 1, 18, "both sides must have the same type");
    fails("labels.a in [5, 6]", "cannot compare");
    fails("[5] == [\"5\"]", "cannot compare");
    fails("fields.huge == 1", "64 bits");
    fails("`${fields.huge}` == \"\"", "64 bits");
    fails("fields.huge.to_string() == \"\"", "64 bits");
}

#[test]
fn whole_numbers_compare_with_fractions_exactly() {
    assert_eq!(holds("9007199254740993 > 9007199254740992.0"), Ok(true));
    assert_eq!(holds("9223372036854775807 < 9.3e18 && -5 > -5.5 && 2 < 2.5 && 3 > 2.5"), Ok(true));
    fails("0.0 / 0.0 == 1", "cannot compare");
}

#[test]
fn what_is_not_there_is_an_error_at_its_place() {
    fails_at("labels.resource == \"x\" ||\n  alert.title == \"\"", 2, 3, "`alert` is not there in this event");
    fails_at("incident.nope == 1", 1, 10, "`nope` is not there");
    fails("labels[\"nope\"] == \"\"", "`nope` is not there");
    fails_at("incidnt.title == \"\"", 1, 1, "did you mean `incident`?");
    fails_at("1 == 1 && matchs(labels.a, \"x\")", 1, 11, "did you mean `matches`?");
    fails_at("x::y(1)", 1, 1, "module");
    fails("person.email == \"\"", "`person` is not there");
    fails("minutes_since(incident.ack_time) > 1", "not set");
    fails("minutes_since(event.event_time) > 1", "milliseconds");
}

#[test]
fn the_last_value_must_be_a_bool() {
    fails("1", "must give a bool, this gives a whole number");
    fails("", "must give a bool");
    fails("labels.a", "this gives text");
    fails("return \"true\"", "this gives text");
}

#[test]
fn paths_name_what_a_condition_reads() {
    let sandbox = sandbox(&[]).unwrap();
    let paths = |source: &str| -> Vec<String> {
        let condition = sandbox.compile(source).unwrap();
        condition.paths().iter().map(|(path, line, column)| format!("{path}@{line}:{column}")).collect()
    };
    assert_eq!(
        paths("event.incident.title == \"x\" &&\n  labels[\"a/b.c\"].len() > 1 && now > 1"),
        ["event.incident.title@1:1", "labels.a/b.c@2:3", "now@2:32"]
    );
    assert_eq!(paths("alerts.some(|alert| alert.x == labels.y)"), ["alerts@1:1", "labels.y@1:32"]);
    assert_eq!(
        paths("has(labels, \"x\") && labels[incident.title] == \"\""),
        ["labels@1:5", "labels@1:21", "incident.title@1:28"]
    );
    assert_eq!(paths("let x = alert.labels; `${x} ${fields.y.z}` == \"\""), ["alert.labels@1:9", "fields.y.z@1:31"]);
    let condition = sandbox.compile("steps.a.exit_code == 0").unwrap();
    assert!(condition.mentions("steps") && !condition.mentions("event"));
    assert_eq!(condition.source(), "steps.a.exit_code == 0");
}

#[test]
fn every_documented_example_holds() {
    for function in FUNCTIONS {
        assert_eq!(holds(function.example), Ok(true), "{}", function.example);
        assert!(function.example.contains(function.name) && function.signature.starts_with(function.name));
    }
}

#[test]
fn a_condition_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Sandbox>();
    shared::<Condition>();
    shared::<EventView<'_>>();
}
