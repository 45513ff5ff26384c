//! The fake Flashduty by itself: it refuses what the vendor refuses, and pushes what people do.

use clap::Parser as _;
use serde_json::{Map, Value, json};
use stanch::fake_flashduty::Webhook;

use super::{APP_KEY, Vendor, folder_for, rule};
use crate::support::{TOKEN, wait_for};

#[path = "../../../examples/fake-flashduty/main.rs"]
#[expect(dead_code, reason = "its `main` is the program's own")]
mod example;

#[test]
fn what_the_vendor_refuses_is_refused() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = |path: &str, key: &str, body: Value| {
        let url = format!("{}/incident/{path}?app_key={key}", vendor.fake.url());
        vendor.block_on(async {
            let answer = http.post(url).json(&body).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        })
    };
    for (path, body, status) in [
        ("info", json!({ "incident_id": "i1" }), 200),
        ("info", json!({ "incident_id": "i2" }), 400),
        ("ack", json!({ "incident_ids": [] }), 400),
        ("comment", json!({ "incident_ids": ["i1"], "comment": "x".repeat(1_025) }), 400),
        ("comment", json!({ "incident_ids": ["i1"], "comment": "磁".repeat(1_024) }), 200),
        ("snooze", json!({ "incident_ids": ["i1"], "minutes": 1_441 }), 400),
        ("list", json!({ "start_time": 0, "end_time": 31 * 86_400 + 1 }), 400),
        ("list", json!({ "start_time": 0, "end_time": 60, "limit": 101 }), 400),
        ("alert/list", json!({ "incident_id": "i1" }), 200),
        ("no-such-call", json!({}), 404),
    ] {
        let (answered, envelope) = call(path, APP_KEY, body.clone());
        assert_eq!(answered, status, "{path} {body}: {envelope}");
        assert_eq!(envelope["error"].is_null(), status == 200, "{envelope}");
        assert!(envelope["request_id"].is_string());
    }
    assert_eq!(call("info", "another-key", json!({ "incident_id": "i1" })).1["error"]["code"], "Unauthorized");
}

#[test]
fn what_people_do_is_pushed_and_a_muted_comment_is_not() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let daemon = vendor.folder(&rule("a", "    steps: [ { flashduty: { comment: x, ack: true } } ]\n"), "").start();
    let url = format!("http://{}/flashduty", daemon.folder.addr);
    vendor.fake.set_webhook(Some(Webhook::new(&url, "X-Stanch-Token", TOKEN).unwrap()));
    let person = Map::from_iter([("person".to_owned(), json!({ "person_id": 7 }))]);
    vendor.open_with("i1", json!({ "labels": { "resource": "db-07" } }));
    let (event, status) = vendor.block_on(vendor.fake.push("i_new", "i1", person)).unwrap();
    assert_eq!(status, 200);
    assert_eq!(daemon.end_of(&event), "succeeded");
    let types = || -> Vec<String> {
        let list = daemon.folder.json(&["events", "list"]);
        list.as_array().unwrap().iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
    };
    wait_for("the acknowledgement to come back", || {
        let types = types();
        if types.iter().any(|kind| kind == "i_ack") { Ok(()) } else { Err(format!("{types:?}")) }
    });
    vendor.wait_for_calls("/incident/comment", 2);
    assert!(!types().iter().any(|kind| kind == "i_comm"), "{:?}", types());
}

#[test]
fn the_example_program_pushes_an_incident_and_prints_the_calls_that_it_leads_to() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let daemon = folder_for(&format!("http://{port}"), &rule("a", "    steps: [ { wait: 1ms } ]\n"), "").start();
    let payload = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/demo/events/disk-full.json");
    let (listen, webhook) = (port.to_string(), format!("http://{}/flashduty", daemon.folder.addr));
    let secret = daemon.folder.path("secrets/token").display().to_string();
    let args = example::Args::parse_from([
        "fake-flashduty",
        "--listen",
        &listen,
        "--app-key",
        APP_KEY,
        "--push",
        payload,
        "--webhook",
        &webhook,
        "--secret-file",
        &secret,
        "--calls",
        "1",
    ]);
    let mut out = Vec::new();
    tokio::runtime::Runtime::new().unwrap().block_on(example::run(args, &mut out)).unwrap();
    let said = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[1].starts_with("pushed i_new ") && lines[1].ends_with(": 200"), "{said}");
    assert!(lines[2].starts_with("200 /incident/comment ") && lines[2].contains("rule a succeeded"), "{said}");
}
