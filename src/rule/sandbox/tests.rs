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
fn scripts_can_change_nothing() {
    fails("labels = #{}; true", "constant");
    fails("labels.a = \"6\"; true", "constant");
    fails("event.incident.title = \"6\"; true", "constant");
    fails("let labels = 1; true", "name of the event");
    fails("labels.clear(); true", "change nothing");
    fails("alerts.for_each(|i| this = 1); true", "change nothing");
    fails("alerts.push(1); true", "change nothing");
    let sandbox = sandbox(&[]).unwrap();
    let event = incident();
    let view = EventView::new(&event);
    let extra = Extra { target: None, now: NOW, names: &[] };
    let meddle = sandbox.compile("let x = labels; x.a = \"6\"; x.clear(); alerts.map(|i| labels.a); true").unwrap();
    assert_eq!(meddle.holds(&sandbox, &view, extra), Ok(true));
    let check = sandbox.compile("labels.a == \"5\" && alerts.len == 2").unwrap();
    assert_eq!(check.holds(&sandbox, &view, extra), Ok(true), "one evaluation must not be seen by the next");
    let with = Extra { target: Some("t"), ..extra };
    assert_eq!(sandbox.compile("target == \"t\"").unwrap().holds(&sandbox, &view, with), Ok(true));
    assert!(sandbox.compile("target == \"t\"").unwrap().holds(&sandbox, &view, extra).is_err());
}

#[test]
fn endless_and_deep_scripts_are_stopped() {
    fails("loop {}", "limit");
    fails("let n = 0; while true { n += 1; } true", "limit");
    fails("fn f(n) { f(n + 1) } f(0)", "nested calls");
    fails("fn f(n) { g(n) || f(n) } fn g(n) { f(n) } f(0)", "nested calls");
    let deep = format!("{}true{}", "(".repeat(500), ")".repeat(500));
    fails(&deep, "nested deeper");
    let blocks = format!("{}true{}", "if true { ".repeat(500), " }".repeat(500));
    fails(&blocks, "nested deeper");
}

#[test]
fn no_shape_of_source_overflows_the_stack() {
    // An overflow would end the process.
    for (start, repeated, middle, end, times) in [
        ("", "!", "true", "", 60_000),
        ("", "-", "1", "", 60_000),
        ("1", "+1", "", " > 0", 30_000),
        ("true", "&&true", "", "", 9_000),
        ("true", "==true", "", "", 9_000),
        ("false", "||(true)", "", "", 8_000),
        ("event", ".a", "", "", 30_000),
        ("event", "[0]", "", "", 20_000),
        ("event", ".len()", "", "", 9_000),
        ("event", "?.a", "", "", 20_000),
        ("1", " ?? 1", "", "", 9_000),
        ("", "[", "", "", 60_000),
        ("", "#{a:", "", "", 15_000),
        ("", "{", "", "", 60_000),
        ("", "|x|", "x", "", 20_000),
        ("", "`${", "", "", 20_000),
        ("if true {}", " else if true {}", "", "", 4_000),
        ("", "let x = ", "1", "", 8_000),
        ("", "if (", "", "", 15_000),
        ("", "switch 1 { _ => ", "1", "", 4_000),
        ("", "fn f() {", "", "", 8_000),
        ("", "return ", "", "", 9_000),
        ("", "try {", "", "", 10_000),
        ("1 in ", "1 in ", "1", "", 10_000),
        ("2", "**2", "", "", 20_000),
        ("/*", "/*", "", "", 30_000),
    ] {
        let source = format!("{start}{}{middle}{end}", repeated.repeat(times));
        assert!(source.len() <= SOURCE_BYTES_MAX, "{repeated}: {}", source.len());
        assert!(holds(&source).is_err(), "{repeated}");
    }
}

#[test]
fn values_cannot_be_doubled_without_end() {
    fails("let s = \"x\"; loop { s += s; }", "limit");
    fails("let s = \"x\"; loop { s = s + s; }", "limit");
    fails("let s = \"xxxxxxxx\"; loop { s = `${s}${s}`; }", "limit");
    fails("let a = [1]; loop { a += a; }", "limit");
    fails("let a = [1]; loop { a.append(a); }", "limit");
    fails("let a = [1]; loop { a = [a, a]; }", "limit");
    fails("let a = [1]; loop { a.push(a); }", "limit");
    // Deep values are cloned, measured, compared and dropped by recursion.
    fails("let a = []; loop { a = [a]; }", "limit");
    fails("let a = []; loop { a = [[[[[a]]]]]; }", "limit");
    fails("let a = []; for i in 0..400 { a = [a]; } loop { if a != a { break; } a = [a]; }", "limit");
    fails("let a = #{}; loop { a = #{a: #{a: #{a: #{a: a}}}}; }", "limit");
    fails("let a = []; loop { let b = []; b.push(a); a = b; }", "limit");
    fails("let m = #{}; let n = 0; loop { n += 1; m[`k${n}`] = m; }", "limit");
    fails("let s = \"x\"; for i in 0..20 { s = s.replace(\"x\", \"xxxxxxxx\"); } true", "limit");
    fails("let s = \"x\"; for i in 0..20 { s = s.split(\"\").join(s); } true", "separator");
    fails(
        "let a = []; for i in 0..1000 { a.push(\"x\"); } let b = a; for i in 0..99 { a = a.map(|x| b.join(\"yyyyyyyyyy\")); } true",
        "limit",
    );
    fails("let s = \"x,\"; for i in 0..14 { s += s; } s.split(\",\").len > 0", "limit");
    fails("[].pad(1000000000, 1); true", "no function `pad`");
}

#[test]
fn closures_cannot_be_kept() {
    // A closure that holds a closure that holds … is measured by no limit, and dropping it overflows the stack.
    for source in [
        "let f = |x| x; true",
        "let f = 1; loop { let g = f; f = |x| g; }",
        "let a = [|x| x]; true",
        "let a = []; a.push(|x| x); true",
        "get(#{}, \"a\", |x| x) == 1",
        "[].reduce(\"f\", |x| x) == 1",
        "reduce([], \"f\", |x| x) == 1",
        "[1].map(|x| |y| x) == []",
        "let z = 1; [1].map({ let y = 1; |x| x + y }) == []",
        "fn keep(f) { f } keep(|x| x); true",
        "if true { |x| x } else { true }",
    ] {
        fails(source, "a closure can only be given");
    }
    fails("fn map(f) { f } true", "`map` is there already");
    assert_eq!(holds("let z = 1; map([1], |x| x + z) == [2] && [2].zip([3], |x, y| x * y + z) == [7]"), Ok(true));
}

#[test]
fn nothing_outside_can_be_reached() {
    for source in [
        "eval(\"true\")",
        "import \"x\" as x; true",
        "export let x = 1; true",
        "sleep(10); true",
        "print(\"x\"); true",
        "debug(1); true",
        "\"x\".print(); true",
        "exit(true)",
        "timestamp() == ()",
        "Fn(\"sleep\").call(10); true",
        "parse_json(\"{}\") == #{}",
        "open_file(\"/etc/passwd\") == ()",
        "blob(1000000000).len == 0",
        "let f = \"eval\"; f.call(\"true\")",
        "[10].map(\"sleep\") == []",
        "[\"true\"].map(\"eval\") == []",
        "is_def_var(\"x\")",
    ] {
        assert!(holds(source).is_err(), "{source}");
    }
}

#[test]
fn messages_are_bounded_and_printable() {
    let error = fails("throw \"\\x1b[31m\\u202e\" + labels.a", "\\u{1b}[31m\\u{202e}5");
    assert!(!error.message.chars().any(char::is_control));
    let error = holds("let s = \"y\"; for i in 0..12 { s += s; } throw s").unwrap_err();
    assert!(error.message.chars().count() < 500, "{}", error.message.len());
    fails("matches(labels.a, \"(\")", "cannot be used");
    fails("matches(labels.a, \"(((a{1,500}){1,500}){1,500})\")", "cannot be used");
    fails("parse_int(\"x\") == 1", "");
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
fn modules_offer_their_functions() {
    let gate = "const MAX = 3;\nfn wanted(i) { i.alert_cnt >= global::MAX && names::good(i.title) }\nprivate fn own() { true }";
    let names = "fn good(title) { title != \"\" }\nfn boom(i) {\n  i.nope == 1\n}\nfn spin() { loop {} }";
    let modules = [("gate", gate), ("names", names)];
    assert_eq!(holds_with(&modules, "gate::wanted(incident)"), Ok(true));
    assert_eq!(holds_with(&modules, "alerts.some(|a| names::good(a.labels.host))"), Ok(true));
    let error = holds_with(&modules, "true &&\n names::boom(incident)").unwrap_err();
    assert_eq!((error.line, error.column), (Some(2), Some(9)), "{error:?}");
    assert!(error.message.contains("in `boom` at 3:5: `nope` is not there"), "{error:?}");
    let error = holds_with(&modules, "names::spin()").unwrap_err();
    assert!(error.message.contains("limit") && error.line.is_none(), "{error:?}");
    for (source, message) in [
        ("gat::wanted(incident)", "did you mean `gate`?"),
        ("gate::wantd(incident)", "did you mean `wanted`?"),
        ("gate::wanted(1, 2)", "takes 1 argument, not 2"),
        ("gate::own()", "no function `own`"),
    ] {
        let error = holds_with(&modules, source).unwrap_err();
        assert!(error.message.contains(message), "{source}: {error:?}");
    }
}

#[test]
fn every_wrong_module_is_reported() {
    let problems = sandbox(&[
        ("ok", "fn f() { 1 }"),
        ("bad", "fn f( { }"),
        ("Bad-Name", "fn f() { 1 }"),
        ("labels", "fn f() { 1 }"),
        ("ok", "fn g() { 1 }"),
        ("calls", "fn f() {\n  sleep(1)\n}"),
        ("spin", "loop {}"),
    ])
    .unwrap_err();
    let wrong: Vec<usize> = problems.iter().map(|(at, _)| *at).collect();
    assert_eq!(wrong, [1, 2, 3, 4, 5, 6], "{problems:?}");
    assert_eq!(problems[4].1.line, Some(2), "{problems:?}");
    let problems = sandbox(&[("a", "fn f() { x }")]).unwrap_err();
    assert!(problems[0].1.message.contains("no variable `x`"), "{problems:?}");
}

#[test]
fn a_module_function_can_return_steps() {
    let text = "fn steps(event) { [#{ run: [\"./fix.sh\", event.incident.labels.resource], idempotent: true }, #{ wait: 5 }] }\nfn odd(event) { 0..1 }";
    let sandbox = sandbox(&[("plan", text)]).unwrap();
    let event = incident();
    let view = EventView::new(&event);
    let extra = Extra { target: None, now: NOW, names: &[] };
    let call = |function: &str| {
        let call = sandbox.compile_call("plan", function)?;
        sandbox.call(&call, &view, extra)
    };
    assert_eq!(call("steps"), Ok(json!([{"run": ["./fix.sh", "db-07"], "idempotent": true}, {"wait": 5}])));
    assert!(call("odd").is_err());
    assert!(call("f();sleep").is_err());
    assert!(sandbox.has_function("plan", "steps", 1) && !sandbox.has_function("plan", "steps", 2));
}

#[test]
fn the_texts_that_stand_in_modules_are_known() {
    let text = "const TOOL = \"/bin/a\";\nfn f(x) { let m = #{ KEY: [\"in list\", x] }; m.prop = `front ${x} back`; \
                switch x { 1 => \"in switch\", _ => m[\"index\"] } }\nfn g() { [\"folded\", #{ k: \"deep\" }] }";
    let sandbox = sandbox(&[("a", text)]).unwrap();
    for known in ["/bin/a", "KEY", "in list", "prop", "front ", " back", "in switch", "index", "folded", "k", "deep"] {
        assert!(sandbox.has_text(known), "{known}: {:?}", sandbox.texts().collect::<Vec<_>>());
    }
    assert!(!sandbox.has_text("front back") && !sandbox.has_text("bin"));
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
