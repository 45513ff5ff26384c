//! Incidents that were opened while nobody listened.

use serde_json::{Value, json};
use stanch::fake_flashduty::Fault;

use super::{Vendor, folder_for, rule};
use crate::support::{Daemon, incident, wait_for};

const RULE: &str = "    steps: [ { shell: echo $STANCH_INCIDENT_ID >> acted } ]\n";

fn missed(resource: &str) -> Value {
    json!({
        "title": "disk full", "channel_id": 5, "channel_name": "Orders", "incident_severity": "Warning",
        "labels": { "resource": resource },
    })
}

fn events(daemon: &Daemon) -> Vec<String> {
    let list = daemon.folder.json(&["events", "list"]);
    let mut ids: Vec<String> =
        list.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn wait_for_events(daemon: &Daemon, wanted: &[&str]) {
    wait_for("the missed events", || {
        let ids = events(daemon);
        if ids == wanted { Ok(()) } else { Err(format!("{ids:?} {}", daemon.folder.read("log"))) }
    });
}

#[test]
fn what_was_opened_while_the_daemon_was_away_is_acted_on_once() {
    let vendor = Vendor::start();
    vendor.open_with("i0", missed("db-00"));
    let daemon = vendor.folder(&rule("a", RULE), ", report: false").start();
    // A first start asks for nothing: nothing was missed.
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    assert_eq!(events(&daemon), ["e1"]);
    assert!(vendor.calls().is_empty(), "{:?}", vendor.calls());

    let folder = daemon.kill();
    // Known by its push; closed meanwhile; open, on more than one page.
    vendor.open_with("i1", missed("db-01"));
    vendor.open_with("closed", missed("db-02"));
    vendor.fake.close("closed");
    vendor.open_with("i2", missed("db-03"));
    vendor.open_with("i3", missed("db-04"));
    // The first question meets a busy vendor.
    vendor.fake.fail_next([Some(Fault::TooFrequent)]);
    let daemon = folder.start();
    wait_for_events(&daemon, &["catch-up-i0", "catch-up-i2", "catch-up-i3", "e1"]);
    for id in ["i0", "i2", "i3"] {
        assert_eq!(daemon.end_of(&format!("catch-up-{id}")), "succeeded");
    }
    let story = daemon.decided("catch-up-i2");
    assert_eq!((&story["body"]["caught_up"], &story["event"]["event_type"]), (&json!(true), &json!("i_new")));

    // A second one finds all of them known, also those whose state is another one.
    vendor.open_with("i2", missed("db-99"));
    let caught = daemon.folder.json(&["catch-up", "--since", "2h"]);
    assert_eq!(caught, json!({ "taken": 0, "known": 4, "unusable": 0, "more": false }));
    let mut acted: Vec<String> = daemon.stop().read("acted").lines().map(str::to_owned).collect();
    acted.sort();
    assert_eq!(acted, ["i0", "i1", "i2", "i3"]);
}

#[test]
fn what_was_missed_for_too_long_is_known_and_not_acted_on() {
    let vendor = Vendor::start();
    let daemon = vendor.folder(&rule("a", RULE), ", report: false, catch_up: false").start();
    let now = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs());
    let an_hour_ago = now.unwrap() - 3_600;
    let mut old = missed("db-01");
    old["created_at"] = json!(an_hour_ago);
    old["start_time"] = json!(an_hour_ago);
    vendor.open_with("old", old);
    vendor.open_with("no\u{1}id", missed("db-02"));
    let caught = daemon.folder.json(&["catch-up", "--since", "2h"]);
    assert_eq!(caught, json!({ "taken": 1, "known": 0, "unusable": 1, "more": false }));
    let (outcome, reason) = daemon.outcome("catch-up-old");
    assert_eq!(outcome, "suppressed");
    assert!(reason.starts_with("max_wait: the event was missed"), "{reason}");
    assert_eq!(daemon.stop().read("acted"), "");
}

#[test]
fn many_pages_are_read_to_their_end() {
    let vendor = Vendor::start();
    for number in 0..230 {
        vendor.open_with(&format!("i{number:03}"), missed(&format!("db-{number}")));
    }
    let unconcerned = rule("a", RULE).replace("[i_new]", "[i_merge]");
    let daemon = vendor.folder(&unconcerned, ", catch_up: false").start();
    let caught = daemon.folder.json(&["catch-up", "--since", "60d"]);
    assert_eq!(caught["taken"], 230, "{caught}");
    let windows: Vec<(i64, i64)> = vendor
        .fake
        .seen()
        .iter()
        .map(|seen| (seen.body["start_time"].as_i64().unwrap(), seen.body["end_time"].as_i64().unwrap()))
        .collect();
    assert!(windows.iter().all(|(from, to)| to - from <= 31 * 86_400), "{windows:?}");
    assert_eq!(vendor.calls().len(), 1 + 3, "one empty window, and three pages: {windows:?}");
}

#[test]
fn a_daemon_that_cannot_ask_serves_all_the_same_and_says_so() {
    let url = Vendor::start().fake.url();
    let daemon = folder_for(&url, &rule("a", RULE), ", report: false").start();
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    let daemon = daemon.kill().start();
    daemon.accept(&incident("e2", "i2"));
    assert_eq!(daemon.end_of("e2"), "succeeded");
    let output = daemon.folder.run(&["catch-up"]);
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("was not reached"), "{said}");
    let (_, metrics) = crate::support::admin(&daemon.folder.path("data/stanch.sock"), "GET", "/metrics", "").unwrap();
    assert!(metrics.contains("stanch_catch_up_total{outcome=\"failed\"}"), "{metrics}");
    assert!(daemon.folder.read("log").contains("not caught up"), "{}", daemon.folder.read("log"));
}

#[test]
fn without_flashduty_nobody_can_be_asked() {
    let daemon = crate::support::Folder::with_rules(crate::support::UNCONCERNED).start();
    let output = daemon.folder.run(&["catch-up"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no `flashduty` section"));
}

#[test]
fn a_push_cannot_claim_to_have_been_caught_up() {
    let vendor = Vendor::start();
    let daemon = vendor.folder(&rule("a", RULE), ", report: false").start();
    let mut push = incident("e1", "i1");
    push["caught_up"] = json!(true);
    push["event_time"] = json!(1_700_000_000_000_i64);
    daemon.accept(&push);
    assert_eq!(daemon.end_of("e1"), "succeeded", "its time counts from its receipt");
}
