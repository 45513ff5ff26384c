//! What rules and runs say on their incident.

use serde_json::{Value, json};
use stanch::fake_flashduty::Fault;

use super::{APP_KEY, Vendor, rule, written_back};
use crate::support::{Folder, incident, marking_rule, wait_for, with};

#[test]
fn every_call_of_a_rule_reaches_flashduty_in_the_order_written() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let steps = "    steps:
      - flashduty: { comment: \"begins on {{ target }}\", ack: true }
      - name: look
        run: [/bin/echo, fine]
        stdin: none
      - flashduty:
          snooze: 30m
          field: { name: healed_by, value: \"{{ steps.look.stdout | trim }}\" }
          resolve: { root_cause: full, resolution: \"freed {{ target }}\" }
      - flashduty: { reopen: true }
";
    let daemon = vendor.folder(&rule("a", steps), "").start();
    daemon.accept(&incident("e1", "i1"));
    let views = written_back(&daemon, "e1");

    let calls: Vec<&str> = views.iter().map(|view| view["call"].as_str().unwrap()).collect();
    assert_eq!(calls, ["comment", "ack", "snooze", "field", "resolve", "reopen", "comment"]);
    assert!(views.iter().all(|view| view["outcome"] == "sent"), "{views:#?}");
    assert!(views.iter().all(|view| view["request_id"].as_str().unwrap().starts_with("fake-")), "{views:#?}");
    let paths: Vec<String> = vendor.fake.seen().into_iter().map(|seen| seen.path).collect();
    let expected = ["comment", "ack", "snooze", "field/reset", "resolve", "reopen", "comment"];
    assert_eq!(paths, expected.map(|name| format!("/incident/{name}")));

    let now = vendor.fake.incident("i1").unwrap();
    assert_eq!((&now["root_cause"], &now["resolution"]), (&json!("full"), &json!("freed db-07")));
    assert_eq!((&now["fields"]["healed_by"], &now["progress"]), (&json!("fine"), &json!("Triggered")));
    let comments = vendor.fake.comments("i1");
    assert_eq!(comments[0], "begins on db-07");
    assert!(
        vendor
            .fake
            .seen()
            .iter()
            .filter(|seen| seen.path == "/incident/comment")
            .all(|seen| { seen.body["mute_reply"] == true && seen.body["incident_ids"] == json!(["i1"]) })
    );
    // It tells what matched, what ran, the outcome, and where more is told.
    let report = &comments[1];
    for told in ["rule a succeeded on db-07", "i_new \"disk full on db-07\"", "look: ok", "stanch runs show r-"] {
        assert!(report.contains(told), "no {told:?} in {report}");
    }
    // People see the same.
    let shown = daemon.folder.run(&["events", "show", "e1"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("flashduty resolve on i1: sent, request fake-"), "{shown}");
}

#[test]
fn with_a_third_of_all_calls_failing_everything_arrives_once_and_in_order() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let steps: String = (0..9).map(|nth| format!("      - flashduty: {{ comment: \"number {nth}\" }}\n")).collect();
    let daemon = vendor.folder(&rule("a", &format!("    report: false\n    steps:\n{steps}")), "").start();
    // Three of ten, in each of the ways after which a comment may be sent again.
    let (busy, broken) = (Some(Fault::TooFrequent), Some(Fault::Internal));
    vendor.fake.fail_always([busy, None, None, broken, None, None, busy, None, None, None]);
    daemon.accept(&incident("e1", "i1"));
    let views = written_back(&daemon, "e1");
    assert!(views.iter().all(|view| view["outcome"] == "sent"), "{views:#?}");
    assert_eq!(vendor.fake.comments("i1"), (0..9).map(|nth| format!("number {nth}")).collect::<Vec<_>>());
    assert!(vendor.calls().iter().any(|(_, status)| *status == 429));
    assert!(views.iter().any(|view| view["attempts"] == 2), "{views:#?}");
}

#[test]
fn a_call_that_fails_four_times_is_set_aside_and_shown_and_the_next_goes_on() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let steps = "    report: false\n    steps: [ { flashduty: { comment: lost, ack: true } } ]\n";
    let daemon = vendor.folder(&rule("a", steps), "").start();
    vendor.fake.fail_next([Some(Fault::Internal); 4]);
    daemon.accept(&incident("e1", "i1"));
    // The run does not wait for it.
    assert_eq!(daemon.end_of("e1"), "succeeded");
    let views = written_back(&daemon, "e1");
    assert_eq!((&views[0]["outcome"], &views[0]["attempts"]), (&json!("failed"), &json!(4)), "{views:#?}");
    assert!(views[0]["error"].as_str().unwrap().contains("InternalError"), "{views:#?}");
    assert_eq!(views[1]["outcome"], "sent");
    assert_eq!(vendor.fake.seen().iter().filter(|seen| seen.path == "/incident/comment").count(), 4);
    let run = daemon.ended("e1")["run"]["run"].as_str().unwrap().to_owned();
    let shown = daemon.folder.run(&["runs", "show", &run]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("flashduty comment on i1: failed (try 4)"), "{shown}");
    let socket = daemon.folder.path("data/stanch.sock");
    let (_, metrics) = crate::support::admin(&socket, "GET", "/metrics", "").unwrap();
    for line in [
        "stanch_writeback_total{call=\"comment\",outcome=\"failed\"} 1",
        "stanch_writeback_total{call=\"comment\",outcome=\"again\"} 3",
        "stanch_writeback_total{call=\"ack\",outcome=\"sent\"} 1",
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
}

#[test]
fn what_is_refused_for_good_is_not_tried_again() {
    let vendor = Vendor::start();
    // The incident is not known there.
    let daemon = vendor.folder(&rule("a", "    steps: [ { flashduty: { ack: true } } ]\n"), "").start();
    daemon.accept(&incident("e1", "i1"));
    let views = written_back(&daemon, "e1");
    assert!(views.iter().all(|view| view["outcome"] == "failed" && view["attempts"] == 1), "{views:#?}");
    assert!(views[0]["error"].as_str().unwrap().contains("there is no incident i1"), "{views:#?}");
    assert_eq!(vendor.calls(), [("/incident/ack".to_owned(), 400), ("/incident/comment".to_owned(), 400)]);
}

#[test]
fn a_comment_is_cut_to_what_flashduty_takes() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let steps = "    report: false\n    steps: [ { flashduty: { comment: \"{{ incident.title }}\" } } ]\n";
    let daemon = vendor.folder(&rule("a", steps), "").start();
    daemon.accept(&with(incident("e1", "i1"), &[("/incident/title", json!("磁盘".repeat(1_000)))]));
    written_back(&daemon, "e1");
    let comment = vendor.fake.comments("i1").remove(0);
    assert_eq!(comment.chars().count(), 1_024);
    assert!(comment.starts_with("磁盘磁盘") && comment.ends_with('…'), "{comment}");
}

#[test]
fn each_run_leaves_one_comment_unless_its_rule_or_the_config_says_no() {
    let vendor = Vendor::start();
    for id in ["i1", "i2", "i3"] {
        vendor.open(id);
    }
    let rules = |first: &str| {
        let rules = [
            ("says", first, "i_new"),
            ("silent", "    report: false\n", "i_reopen"),
            ("says-anyway", "    report: true\n", "i_wake"),
        ];
        let rules = rules.map(|(id, more, on)| marking_rule(id, more).replace("[i_new]", &format!("[{on}]")));
        format!("rules:\n{}", rules.concat())
    };
    let push = |event: &str, id: &str, kind: &str| {
        with(incident(event, id), &[("/event_type", json!(kind)), ("/incident/labels/resource", json!(id))])
    };
    let daemon = vendor.folder(&rules(""), "").start();
    for (event, id, kind) in [("e1", "i1", "i_new"), ("e2", "i2", "i_reopen"), ("e3", "i3", "i_wake")] {
        daemon.accept(&push(event, id, kind));
        assert_eq!(daemon.end_of(event), "succeeded");
    }
    vendor.wait_for_calls("/incident/comment", 2);
    let counts = ["i1", "i2", "i3"].map(|id| vendor.fake.comments(id).len());
    assert_eq!(counts, [1, 0, 1]);
    let folder = daemon.stop();

    // The same rules where the config says no.
    let folder = folder.config(&format!(
        "flashduty: {{ api: \"{}\", app_key: {{ file: secrets/app-key }}, report: false }}\n",
        vendor.fake.url()
    ));
    let daemon = folder.start();
    daemon.accept(&push("e4", "i1", "i_reopen"));
    daemon.accept(&with(push("e5", "i1", "i_new"), &[("/incident/labels/resource", json!("other"))]));
    assert_eq!(daemon.end_of("e5"), "succeeded");
    daemon.accept(&with(push("e6", "i3", "i_reopen"), &[("/incident/labels/resource", json!("again"))]));
    daemon.accept(&with(push("e7", "i3", "i_wake"), &[("/incident/labels/resource", json!("again"))]));
    vendor.wait_for_calls("/incident/comment", 3);
    assert_eq!(["i1", "i2", "i3"].map(|id| vendor.fake.comments(id).len()), [1, 0, 2]);
}

#[test]
fn a_dry_run_comments_only_where_that_is_asked_for() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let steps =
        "    mode: dry-run\n    steps: [ { run: [/bin/echo, \"{{ target }}\"] }, { flashduty: { ack: true } } ]\n";
    let rules = format!(
        "{}{}",
        rule("quiet", steps),
        rule("tells", &format!("    report: dry-run\n{steps}")).trim_start_matches("rules:\n")
    );
    let daemon = vendor.folder(&rules, "").start();
    daemon.accept(&incident("e1", "i1"));
    vendor.wait_for_calls("/incident/comment", 1);
    let story = daemon.decided("e1");
    let said = &story["write_backs"];
    assert_eq!((said.as_array().unwrap().len(), &said[0]["rule"]), (1, &json!("tells")), "{said}");
    let comment = vendor.fake.comments("i1").remove(0);
    assert!(comment.contains("(dry-run): rule tells would act on db-07"), "{comment}");
    assert!(comment.contains("/bin/echo db-07") && comment.ends_with("Nothing was executed."), "{comment}");
    assert_eq!(vendor.calls().len(), 1, "nothing else is done");
}

#[test]
fn an_alert_without_an_incident_has_nothing_to_write_to() {
    let vendor = Vendor::start();
    let rules = rule("a", "    steps: [ { run: [/bin/true] }, { flashduty: { ack: true } } ]\n")
        .replace("[i_new]", "[a_new]")
        .replace("    target: \"{{ labels.resource }}\"\n", "");
    let daemon = vendor.folder(&rules, "").start();
    let mut push = incident("e1", "i1");
    let subject = push.as_object_mut().unwrap().remove("incident").unwrap();
    push["event_type"] = json!("a_new");
    push["alert"] = with(subject, &[("/alert_id", json!("alert-1"))]);
    daemon.accept(&push);
    let (outcome, reason) = daemon.outcome("e1");
    assert_eq!(outcome, "plan-error", "{reason}");
    assert!(reason.contains("belongs to no incident"), "{reason}");
}

#[test]
fn the_app_key_is_nowhere_but_in_the_requests() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let steps = "    steps:
      - name: leak
        shell: cat secrets/app-key; cat secrets/app-key >&2; exit 1
    on_failure: [ { flashduty: { comment: \"{{ run.error }}: {{ steps.leak.stderr }}\" } } ]\n";
    let daemon = vendor.folder(&rule("a", steps), "").start();
    vendor.fake.fail_next([Some(Fault::DropBefore), Some(Fault::Internal)]);
    daemon.accept(&incident("e1", "i1"));
    let views = written_back(&daemon, "e1");
    assert_eq!(views[0]["outcome"], "unknown", "{views:#?}");
    let url = vendor.fake.url();
    drop(vendor);
    daemon.accept(&with(incident("e2", "i2"), &[("/incident/labels/resource", json!("db-08"))]));
    assert_eq!(daemon.end_of("e2"), "failed");
    wait_for("Flashduty to be missed", || {
        let story = daemon.decided("e2");
        let outcome = story["runs"][0]["write_backs"][0]["outcome"].as_str().unwrap_or_default().to_owned();
        if outcome == "unreached" { Ok(()) } else { Err(story.to_string()) }
    });
    let folder = daemon.stop();
    let exported = folder.run(&["audit", "export"]);
    let exported = String::from_utf8_lossy(&exported.stdout).into_owned();
    assert!(exported.contains("written-back") && exported.contains("***"), "{exported}");
    for (place, text) in [("journal", exported), ("log", folder.read("log"))] {
        assert!(!text.contains(APP_KEY), "the app key is in the {place}:\n{text}");
        assert!(!text.contains("app_key="), "a URL is in the {place}, of {url}:\n{text}");
    }
}

#[test]
fn a_rule_for_flashduty_needs_it_in_the_config() {
    for more in [
        "    steps: [ { flashduty: { ack: true } } ]\n",
        "    steps: [ { wait: 1s } ]\n    guards: { recheck: incident }\n",
        "    steps: [ { wait: 1s } ]\n    report: true\n",
    ] {
        let folder = Folder::with_rules(&rule("a", more));
        let output = folder.start_in_vain();
        assert_eq!(output.status.code(), Some(3));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("flashduty-missing"), "{said}");
    }
}

#[test]
fn a_plan_shows_what_would_be_written() {
    let vendor = Vendor::start();
    let call = "{ comment: \"on {{ target }}\", resolve: { resolution: done }, snooze: 1h, field: { name: a, value: [1, x] } }";
    let rules = rule("a", &format!("    mode: dry-run\n    steps: [ {{ flashduty: {call} }} ]\n"));
    let daemon = vendor.folder(&rules, "").start();
    daemon.accept(&incident("e1", "i1"));
    let plan: Value = daemon.decided("e1")["event"]["decision"]["rules"][0]["plan"]["steps"][0]["flashduty"].clone();
    let expected = json!({
        "comment": "on db-07", "resolve": { "resolution": "done" }, "snooze": "1h",
        "field": { "name": "a", "value": [1, "x"] },
    });
    assert_eq!(plan, expected);
}

#[test]
fn a_daemon_in_dry_run_sends_nothing_of_earlier_runs() {
    let vendor = Vendor::start();
    vendor.open("i1");
    vendor.open("i2");
    let steps = "    report: dry-run\n    steps: [ { flashduty: { ack: true } } ]\n";
    let daemon = vendor.folder(&rule("a", steps), ", catch_up: false").start();
    vendor.fake.fail_always([Some(Fault::TooFrequent)]);
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    let folder = daemon.kill();
    vendor.fake.fail_next([]);
    let before = vendor.calls().len();

    let daemon = folder.arg("--dry-run").start();
    daemon.accept(&with(incident("e2", "i2"), &[("/incident/labels/resource", json!("db-08"))]));
    vendor.wait_for_calls("/incident/comment", 1);
    assert_eq!(vendor.fake.comments("i2").len(), 1);
    assert_eq!(vendor.calls().len(), before + 1, "the acknowledgement of before waits");

    let daemon = daemon.stop().without_args().start();
    assert!(written_back(&daemon, "e1").iter().all(|view| view["outcome"] == "sent"));
    assert_eq!(vendor.fake.incident("i1").unwrap()["progress"], "Processing");
}

#[test]
fn a_reload_brings_flashduty_and_takes_it_away() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let rules = format!("rules:\n{}", marking_rule("mark", ""));
    let folder = Folder::with_rules(&rules);
    folder.write("secrets/app-key", APP_KEY, 0o600);
    let plain = folder.read("stanch.yaml");
    let daemon = folder.start();
    let section = format!("flashduty: {{ api: \"{}\", app_key: {{ file: secrets/app-key }} }}\n", vendor.fake.url());
    let reload = |text: &str| {
        daemon.folder.write("stanch.yaml", text, 0o644);
        let output = daemon.folder.run(&["reload"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let run = |event: &str, target: &str| {
        let changes = [("/incident/labels/resource", json!(target)), ("/incident/incident_id", json!("i1"))];
        let reopened = [("/event_type", json!("i_reopen"))];
        daemon.accept(&with(incident(&format!("open-{event}"), "i1"), &reopened));
        daemon.accept(&with(incident(event, "i1"), &changes));
        assert_eq!(daemon.end_of(event), "succeeded");
    };
    run("e1", "a");
    reload(&format!("{plain}{section}"));
    run("e2", "b");
    vendor.wait_for_calls("/incident/comment", 1);
    reload(&plain);
    run("e3", "c");
    assert_eq!(vendor.fake.comments("i1").len(), 1);
}
