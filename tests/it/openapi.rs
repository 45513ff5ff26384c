//! The OpenAPI document and the running server say the same: every path that is documented answers as documented, and
//! what is documented nowhere is served nowhere.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Daemon, Folder, incident, marking_rule};
use crate::visitor::{ADMIN, Answer, READER, ask, bearer, with_console};

fn daemon() -> (Daemon, std::net::SocketAddr) {
    let asking = marking_rule("asking", "").replace("    match:", "    mode: approve\n    match:");
    let rules = format!("rules:\n{asking}{}", marking_rule("acting", "").replace("labels.resource", "labels.check"));
    let (folder, addr) = with_console(Folder::with_rules(&rules), "");
    (folder.start(), addr)
}

/// Checks a value against a schema, with the definitions of the document.
fn fits(document: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(to) => {
            document.pointer(to.trim_start_matches('#')).unwrap_or_else(|| panic!("{place}: {to} leads nowhere"))
        }
        None => schema,
    };
    if let Some(any) = schema["anyOf"].as_array() {
        let fitting = any.iter().filter(|one| {
            let is_null = one["type"] == "null";
            if value.is_null() { is_null } else { !is_null }
        });
        return fitting.for_each(|one| fits(document, one, value, place));
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{place}: {value} is none of {words:?}");
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{place}: {other} is no type"),
    };
    let fitting = match &schema["type"] {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().unwrap())),
        _ => true,
    };
    assert!(fitting, "{place}: {value} does not fit {schema}");
    if let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object()) {
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(fields.contains_key(required.as_str().unwrap()), "{place}: {required} is not there");
        }
        for (name, field) in fields {
            let known = properties.get(name).unwrap_or_else(|| panic!("{place}: {name} is not documented"));
            fits(document, known, field, &format!("{place}.{name}"));
        }
    }
    for (nth, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(document, &schema["items"], item, &format!("{place}[{nth}]"));
    }
}

/// Checks that an answer is one that the document tells of.
fn documented(document: &Value, operation: &Value, answer: &Answer, place: &str) {
    let told = &operation["responses"][answer.status.to_string()];
    assert!(told.is_object(), "{place}: {} is not documented: {}", answer.status, answer.body);
    let (kind, content) = told["content"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(answer.header("content-type"), kind, "{place}");
    if kind == "application/json" {
        fits(document, &content["schema"], &answer.json(), place);
    }
}

#[test]
fn every_documented_path_answers_as_documented() {
    let (daemon, addr) = daemon();
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    let story = daemon.decided("e-1");
    let rules = story["event"]["decision"]["rules"].as_array().unwrap();
    let run = rules.iter().find(|rule| rule["rule"] == "asking").unwrap()["run"].as_str().unwrap();
    let (admin, reader) = (bearer(ADMIN), bearer(READER));
    let send = |method: &str, path: &str, token: &str, body: &str| {
        let headers = [("authorization", token), ("content-type", "application/json")];
        ask(addr, method, path, &headers, body)
    };
    let document = send("GET", "/api/v1/openapi.json", &reader, "").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut ids = BTreeSet::new();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].to_string()), "{operation}");
            if path == "/api/v1/stream" {
                // It never ends; what it tells is tested elsewhere, and that it refuses what it should.
                documented(&document, operation, &send("GET", "/api/v1/stream?after=x", &reader, ""), path);
                continue;
            }
            let id = match path.split('/').nth(3).unwrap_or_default() {
                "events" => "e-1",
                "incidents" => "5f0000000000000000000001",
                "rules" => "acting",
                _ => run,
            };
            let method = method.to_uppercase();
            let place = format!("{method} {path}");
            let real = path.replace("{id}", id);
            let body = if path == "/api/v1/explain" {
                incident("e-9", "5f0000000000000000000009").to_string()
            } else {
                String::new()
            };
            documented(&document, operation, &send(&method, &real, &admin, &body), &place);
            documented(&document, operation, &send(&method, &real, "Bearer none", &body), &place);
            if path.contains("{id}") {
                documented(&document, operation, &send(&method, &path.replace("{id}", "none"), &admin, &body), &place);
            }
            if operation["x-needs"] == "act" {
                let refused = send(&method, &real, &reader, &body);
                assert_eq!(refused.status, 403, "{place}");
                documented(&document, operation, &refused, &place);
            }
            if method == "POST" {
                documented(&document, operation, &send(&method, &real, &admin, "{"), &place);
                documented(
                    &document,
                    operation,
                    &send(&method, &real, &admin, &format!("\"{}\"", "x".repeat(300_000))),
                    &place,
                );
                documented(&document, operation, &ask(addr, "POST", &real, &[("authorization", &admin)], "{}"), &place);
            }
            let other = if method == "GET" { "DELETE" } else { "GET" };
            assert_eq!(send(other, &real, &admin, "").status, 405, "{other} {path}");
            asked += 1;
        }
    }
    assert!(asked >= 20, "{asked}");
    for path in
        ["/api", "/api/v1", "/api/v2/status", "/api/v1/runs/x/praise", "/api/v1/events/e-1/explain/x", "/metrics/x"]
    {
        assert_eq!(send("GET", path, &admin, "").status, 404, "{path}");
    }
}

#[test]
fn the_document_is_complete_in_itself() {
    let (_daemon, addr) = daemon();
    let text = ask(addr, "GET", "/api/v1/openapi.json", &[("authorization", &bearer(READER))], "").body;
    let document: Value = serde_json::from_str(&text).unwrap();
    for rest in text.split("\"$ref\":\"#").skip(1) {
        let pointer = rest.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in ["EventView", "RunStory", "RuleView", "StatusView", "ErrorBody"] {
        assert!(schemas.contains_key(name), "{name}: {:?}", schemas.keys());
    }
    // Every type and field says what it is.
    for (name, schema) in schemas {
        for (field, about) in schema["properties"].as_object().into_iter().flatten() {
            assert!(about["description"].is_string() || about["$ref"].is_string(), "{name}.{field} is not explained");
        }
    }
}

#[test]
fn an_explanation_can_be_had_for_a_push_that_never_came() {
    let (daemon, addr) = daemon();
    let token = bearer(READER);
    let headers = [("authorization", &*token), ("content-type", "application/json")];
    let push = incident("e-1", "5f0000000000000000000001");
    let answer = ask(addr, "POST", "/api/v1/explain?rule=acting", &headers, &push.to_string()).json();
    assert_eq!(answer["current"]["rules"][0]["outcome"], "run", "{answer}");
    assert_eq!(answer["recorded"], Value::Null);
    assert_eq!(ask(addr, "GET", "/api/v1/events/e-1", &headers, "").status, 404, "nothing is recorded");
    daemon.accept(&push);
    daemon.decided("e-1");
    assert_eq!(ask(addr, "POST", "/api/v1/pause", &[("authorization", &bearer(ADMIN))], "").status, 200);
    let then = ask(addr, "GET", "/api/v1/events/e-1/explain?rule=acting", &headers, "").json();
    assert_eq!(then["current"]["rules"][0]["outcome"], "run", "{then}");
    let now = ask(addr, "GET", "/api/v1/events/e-1/explain?rule=acting&now=true", &headers, "").json();
    assert_eq!(now["current"]["rules"][0]["reason"], "pause: the engine is paused", "{now}");
    assert_eq!(then["recorded"]["rules"].as_array().unwrap().len(), 2);
}

#[test]
fn a_check_tells_what_is_wrong_on_disk_and_changes_nothing() {
    let (daemon, addr) = daemon();
    let token = bearer(READER);
    let headers = [("authorization", &*token)];
    let good = ask(addr, "POST", "/api/v1/check", &headers, "").json();
    assert_eq!((&good["usable"], &good["rules"]), (&json!(true), &json!(2)), "{good}");
    daemon.folder.write("rules/rules.yaml", "rules:\n  - id: BAD\n", 0o644);
    let bad = ask(addr, "POST", "/api/v1/check", &headers, "").json();
    assert_eq!(bad["usable"], false);
    assert!(bad["diagnostics"][0]["line"].is_u64(), "{bad}");
    let status = ask(addr, "GET", "/api/v1/status", &headers, "").json();
    assert_eq!((&status["generation"], &status["rules"]), (&json!(1), &json!(2)));
}

#[test]
fn what_a_fuzzer_found_is_refused() {
    let (daemon, addr) = daemon();
    let token = bearer(ADMIN);
    let headers = [("authorization", &*token), ("content-type", "application/json")];
    assert_eq!(ask(addr, "POST", "/api/v1/pause", &headers, "{}").status, 200);
    // None of these may stand for everything.
    for body in ["[null,null]", r#"{"rule":""}"#, r#"{"channel":" "}"#, r#"{"rule":"a","channel":"b"}"#] {
        assert_eq!(ask(addr, "POST", "/api/v1/resume", &headers, body).status, 400, "{body}");
    }
    for body in [r#"{"for_ms":9007199254740993}"#, r#"{"for_ms":1.5}"#, r#"{"for_ms":-1}"#] {
        assert_eq!(ask(addr, "POST", "/api/v1/pause", &headers, body).status, 400, "{body}");
    }
    for after in ["18446744073709551614", "9007199254740993", "-1", ""] {
        let answer = ask(addr, "GET", &format!("/api/v1/audit/export?after={after}"), &headers, "");
        assert_eq!(answer.status, 400, "{after}: {}", answer.body);
    }
    let other = ask(addr, "DELETE", "/api/v1/pause", &headers, "");
    assert_eq!((other.status, other.header("allow")), (405, "POST"));
    let status = ask(addr, "GET", "/api/v1/status", &headers, "").json();
    assert!(!status["paused"].is_null() && status["paused"] != json!(false), "{status}");
    drop(daemon);
}
