//! What functions return, and what becomes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::rule::load::{Loaded, load};
use crate::rule::step::Action;
use crate::rule::view::EventView;

const NOW: Timestamp = Timestamp::from_millis(1_772_625_600_000);

fn loaded(rule: &str, script: &str) -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let http = "http: { allow: [\"inventory.internal:443\"] }";
    write("stanch.yaml", &format!("sources: [ {{ name: a, path: /a, auth: none }} ]\n{http}\n"), 0o644);
    write("scripts/heal.sh", "#!/bin/sh\n", 0o755);
    write("scripts/plan.rhai", script, 0o644);
    let head = "rules:\n  - id: a\n    match: { events: [i_new], channels: [\"*\"] }\n    target: t\n";
    write("rules/a.yaml", &format!("{head}    {rule}\n"), 0o644);
    let Ok(config) = crate::config::load::load(&dir.path().join("stanch.yaml")) else { panic!("a valid config") };
    load(&config.config, 1)
}

/// The plan for an event whose label `x` is `label`, or why there is none. `body` is what the function gives.
fn planned_for(label: &str, body: &str) -> Result<Value, String> {
    let loaded = loaded(
        "steps_from: plan::steps",
        &format!("fn steps(event) {{\n  let x = event.incident.labels.x;\n  {body}\n}}"),
    );
    let set = loaded.set.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
    let push =
        json!({ "event_id": "e", "event_type": "i_new", "incident": { "incident_id": "i", "labels": { "x": label } } });
    let event = crate::event::read(push.to_string().into(), "a".into(), NOW).unwrap();
    let view = EventView::new(&event);
    let own = crate::plan::own_steps(&set.rules[0], &set.sandbox, &view, "t", NOW);
    let plan = own.and_then(|own| own.plan(&view, "t", NOW));
    plan.map(|plan| plan.to_json()["steps"].clone()).map_err(|error| error.to_string())
}

fn planned(body: &str) -> Result<Value, String> {
    planned_for("db-07", body)
}

#[track_caller]
fn refused(label: &str, body: &str, why: &str) {
    let message = planned_for(label, body).expect_err("it must not be planned");
    assert!(message.starts_with("steps_from: ") && message.contains(why), "{message}");
}

#[test]
fn what_a_function_returns_is_read_like_a_rule_file() {
    let body = r#"[
        #{ name: "clear", run: ["./scripts/heal.sh", "--host", x, 80], timeout: "2m", retry: #{ attempts: 3, backoff: "5s" }, idempotent: true },
        #{ shell: "echo \"$STANCH_TARGET\"", env: #{ WHO: x }, "if": "steps.clear.exit_code == 0" },
        #{ http: #{ url: "https://inventory.internal/cleaned", query: #{ host: x }, json: #{ host: x, n: 1 } } },
        #{ wait: "5s" },
    ]"#;
    let plan = planned(body).unwrap();
    assert_eq!(plan[0]["run"], json!(["./scripts/heal.sh", "--host", "db-07", "80"]));
    assert_eq!(
        (&plan[0]["timeout"], &plan[0]["name"], &plan[0]["idempotent"]),
        (&json!("2m"), &json!("clear"), &json!(true))
    );
    assert_eq!((&plan[1]["env"]["WHO"], &plan[1]["if"]), (&json!("db-07"), &json!("steps.clear.exit_code == 0")));
    assert_eq!(plan[2]["http"]["url"], "https://inventory.internal/cleaned?host=db-07");
    assert_eq!((&plan[2]["http"]["json"], &plan[3]["wait"]), (&json!({ "host": "db-07", "n": 1 }), &json!("5s")));
}

#[test]
fn a_function_may_choose_and_may_be_given_the_target() {
    let body = r#"let tool = if x == "db-07" { "./scripts/heal.sh" } else { "/bin/true" }; [ #{ run: [tool] } ]"#;
    assert_eq!(planned(body).unwrap()[0]["run"], json!(["./scripts/heal.sh"]));
    assert_eq!(planned_for("other", body).unwrap()[0]["run"], json!(["/bin/true"]));
    let loaded = loaded("steps_from: plan::steps", "fn steps(event, target) { [ #{ run: [\"/bin/echo\", target] } ] }");
    assert!(loaded.set.is_some(), "{:#?}", loaded.diagnostics);
}

#[test]
fn returned_text_is_data_and_never_a_template() {
    for label in ["{{ labels.x }}", "{% raw %}", "$(id)", "a\nb\"c\\", "\u{202e}"] {
        let plan =
            planned_for(label, r#"[ #{ run: ["/bin/echo", "--", x, "--host=" + x], env: #{ A: x } } ]"#).unwrap();
        assert_eq!(plan[0]["run"], json!(["/bin/echo", "--", label, format!("--host={label}")]));
        assert_eq!(plan[0]["env"]["A"], label);
    }
    // An author who writes a template there expects something else than would happen.
    refused("a", r#"[ #{ run: ["/bin/echo", "{{ target }}"] } ]"#, "is not rendered");
}

#[test]
fn what_is_code_or_is_run_must_stand_in_a_script() {
    refused("/bin/rm", "[ #{ run: [x] } ]", "the program to run must be literal");
    refused("m", r#"[ #{ run: ["/bin/r" + x] } ]"#, "the program to run must be literal");
    refused("rm -rf /", "[ #{ shell: x } ]", "`shell` must stand in a script");
    refused("; id", r#"[ #{ shell: "echo " + x } ]"#, "`shell` must stand in a script");
    refused("; id", "[ #{ shell: `echo ${x}` } ]", "`shell` must stand in a script");
    refused("; id", r#"[ #{ run: ["sh", "-c", "echo " + x] } ]"#, "would read its value as code");
    refused("-c", r#"[ #{ run: ["sh", x, "id"] } ]"#, "take its value for an option");
    refused("1e id", r#"[ #{ run: ["sed", "s/a/b/", "-e" + x] } ]"#, "take its value for an option");
    refused("./scripts/heal.sh", r#"[ #{ run: ["sh", x] } ]"#, "would run the script that its value names");
    refused("LD_PRELOAD=/tmp/x", r#"[ #{ run: ["env", x, "/bin/true"] } ]"#, "would be run as a program");
    refused("-delete", r#"[ #{ run: ["find", "/data", x] } ]"#, "take its value for an option");
    refused("true", r#"[ #{ wait: "1s", "if": x } ]"#, "`if` must stand in a script");
    refused("HOME", r#"let env = #{}; env[x] = "1"; [ #{ run: ["/bin/true"], env: env } ]"#, "the name of a variable");
    refused("/", r#"[ #{ run: ["/bin/true"], cwd: "/tmp" + x } ]"#, "`cwd` must stand in a script");
    refused("root", r#"[ #{ run: ["/bin/true"], user: x } ]"#, "`user` must stand in a script");
    refused(
        "../admin",
        r#"[ #{ http: #{ url: "https://inventory.internal/" + x } } ]"#,
        "`url` must stand in a script",
    );
    // A text of the event that happens to be one of an author's was not written by the event.
    assert!(planned_for("/bin/true", r#"if x == "/bin/true" { [ #{ run: [x] } ] } else { [] }"#).is_ok());
}

#[test]
fn a_function_may_send_steps_to_other_hosts_and_over_lists() {
    let body = r#"[
        #{ name: "roll", each: #{ "in": [x, "db-08"], "as": "host", batch: 2, steps: [
            #{ "if": "host != \"db-09\"", shell: "echo \"$STANCH_ITEM\"" },
            #{ ssh: #{ host: x, user: "ops", run: ["uptime", "--", x] } },
        ] } },
        #{ "if": "steps.roll.ok", each: #{ "in": "labels.x.split(\",\")", steps: [ #{ wait: "1s" } ] } },
    ]"#;
    let plan = planned(body).unwrap();
    assert_eq!(plan[0]["each"]["in"], json!(["db-07", "db-08"]));
    assert_eq!(plan[0]["each"]["steps"]["db-08"][1]["ssh"]["run"], json!(["uptime", "--", "db-07"]));
    assert_eq!(plan[1]["each"]["in"], json!(["db-07"]));
    refused("-oProxyCommand=id", r#"[ #{ ssh: #{ host: x, run: ["uptime"] } } ]"#, "at [0].ssh.host");
    refused("a;id", r#"[ #{ ssh: #{ host: x, run: ["uptime"] } } ]"#, "at [0].ssh.host");
    refused("id", r#"[ #{ ssh: #{ host: "a", run: [x] } } ]"#, "the program to run must be literal");
    refused("; id", r#"[ #{ ssh: #{ host: "a", shell: "echo " + x } } ]"#, "`shell` must stand in a script");
    refused("; id", r#"[ #{ ssh: #{ host: "a", run: ["sh", "-c", "echo " + x] } } ]"#, "would read its value as code");
    refused("[1]", r#"[ #{ each: #{ "in": x, steps: [ #{ wait: "1s" } ] } } ]"#, "`in` must stand in a script");
    refused(
        "it",
        r#"[ #{ each: #{ "in": ["a"], "as": x, steps: [ #{ wait: "1s" } ] } } ]"#,
        "`as` must stand in a script",
    );
    let message = planned_for("all", r#"[ #{ each: #{ "in": [x], steps: [ #{ wait: "1s" } ] } } ]"#).unwrap_err();
    assert!(message.contains("would mean everything"), "{message}");
}

#[test]
fn a_script_that_a_function_names_is_sealed_when_the_rules_are_loaded() {
    let sealed = |steps: &str| {
        let loaded = loaded("steps_from: plan::steps", &format!("fn steps(event) {{ {steps} }}"));
        let set = loaded.set.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
        let push = json!({ "event_id": "e", "event_type": "i_new", "incident": { "incident_id": "i" } });
        let event = crate::event::read(push.to_string().into(), "a".into(), NOW).unwrap();
        let own = crate::plan::own_steps(&set.rules[0], &set.sandbox, &EventView::new(&event), "t", NOW).unwrap();
        let Action::Run(run) = &own.steps[0].action else { panic!("{:?}", own.steps) };
        run.files.len()
    };
    assert_eq!(sealed(r#"[ #{ run: ["./scripts/heal.sh"] } ]"#), 1);
    assert_eq!(sealed(r#"[ #{ run: ["sh", "./scripts/heal.sh"] } ]"#), 1);
    assert_eq!(sealed(r#"[ #{ run: ["/bin/true"] } ]"#), 0);
}

#[test]
fn what_follows_returned_steps_may_ask_for_any_of_them() {
    let found = |rule: &str| {
        let loaded = loaded(rule, "fn steps(event) { [ #{ name: \"a\", wait: \"1s\" } ] }");
        loaded.diagnostics.into_iter().map(|found| found.code).collect::<Vec<_>>()
    };
    assert_eq!(found("steps_from: plan::steps\n    on_failure: [ { if: steps.a.ok, wait: 1s } ]"), [""; 0]);
    assert_eq!(found("steps_from: plan::steps\n    when: steps.a.ok"), ["unknown-step"]);
}

#[test]
fn wrong_returns_are_said_with_their_place() {
    let cases = [
        ("5", "the returned value must be a list"),
        ("()", "must be a list, not nothing"),
        ("#{ run: [\"/bin/true\"] }", "must be a list, not a mapping"),
        ("[]", "is an empty list"),
        ("[ 1 ]", "at [0]: the step must be a mapping"),
        ("[ #{} ]", "at [0]: the step is empty"),
        ("[ #{ wait: \"1s\" }, #{ rnu: [\"/bin/true\"] } ]", "at [1]"),
        ("[ #{ wait: \"1s\", retyr: 1 } ]", "at [0].retyr: the step has no key `retyr` (did you mean `retry`?)"),
        ("[ #{ run: \"/bin/true\" } ]", "at [0].run"),
        ("[ #{ run: [\"/bin/true\", [1]] } ]", "at [0].run[1]"),
        ("[ #{ run: [\"./scripts/none.sh\"] } ]", "at [0].run[0]: `./scripts/none.sh` does not exist"),
        ("[ #{ http: #{ url: \"https://evil.example/\" } } ]", "at [0].http.url: `evil.example:443` is not on"),
        ("[ #{ wait: \"1s\", timeout: \"soon\" } ]", "at [0].timeout"),
        ("[ #{ wait: \"1s\", \"if\": \"1 +\" } ]", "at [0].if"),
        ("[ #{ wait: () } ]", "at [0].wait"),
        ("[ #{ wait: \"1s\", name: \"a\" }, #{ wait: \"1s\", name: \"a\" } ]", "at [1].name"),
        ("let all = []; for n in 0..65 { all.push(#{ wait: \"1s\" }); } all", "has 65 elements; at most 64"),
        ("let all = [1]; for n in 0..40 { all = [all]; } all", "nests deeper"),
        ("[ #{ run: [\"/bin/true\", event.incident.none] } ]", "`none` is not there"),
        ("loop {}", "stopped after"),
        ("let text = \"aaaaaaaa\"; loop { text += text; }", "too large"),
        ("throw \"no plan for this\"", "no plan for this"),
        ("[ #{ run: [\"/bin/true\", 0..1] } ]", "no step can use"),
    ];
    for (body, why) in cases {
        refused("db-07", body, why);
    }
}

#[test]
fn a_function_that_is_not_there_is_found_at_load() {
    let found = |rule: &str| {
        let loaded = loaded(rule, "fn steps(event) { [] }\nfn many(a, b, c) { [] }\nprivate fn own(event) { [] }");
        assert!(loaded.set.is_none(), "{rule}");
        let error = loaded.diagnostics.into_iter().find(|found| found.code != "no-rules").unwrap();
        (error.code, error.message)
    };
    for (name, why) in [
        ("none::steps", "no script module `none`"),
        ("plan::stepz", "did you mean `steps`"),
        ("plan::many", "takes 3 arguments, not 1"),
        ("plan::own", "has no function `own`"),
        ("plan::steps();x", "is not the name"),
    ] {
        let (code, message) = found(&format!("steps_from: \"{name}\""));
        assert!(code == "invalid-script" && message.contains(why), "{code} {message}");
    }
    assert_eq!(found("steps_from: steps").0, "invalid-value");
    assert_eq!(found("steps_from: [plan]").0, "wrong-type");
    assert_eq!(found("steps: [ { wait: 1s } ]\n    steps_from: plan::steps").0, "invalid-value");
}
