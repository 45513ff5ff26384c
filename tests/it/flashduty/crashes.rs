//! The outbox over crashes: what was queued goes out, and no comment goes out twice.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use stanch::fake_flashduty::Fault;

use super::{Vendor, rule, settled, written_back};
use crate::support::{Folder, TOKEN, incident, try_post, wait_for, with};

const KEYS: &str = ", report: false, catch_up: false";

#[test]
fn a_comment_in_doubt_is_not_sent_again_and_what_may_be_repeated_is() {
    let vendor = Vendor::start();
    vendor.open("i1");
    vendor.open("i2");
    let steps = "    steps: [ { flashduty: { comment: \"on {{ target }}\", ack: true } } ]\n";
    let acks = rule("acks", "    steps: [ { flashduty: { ack: true, comment: after } } ]\n");
    let rules = format!("{}{}", rule("a", steps), acks.trim_start_matches("rules:\n").replace("[i_new]", "[i_wake]"));
    let daemon = vendor.folder(&rules, KEYS).start();
    // Done, and not answered for so long that the daemon dies before.
    vendor.fake.fail_next([Some(Fault::Slow(Duration::from_secs(60))), Some(Fault::Slow(Duration::from_secs(60)))]);
    daemon.accept(&incident("e1", "i1"));
    vendor.wait_for_calls("/incident/comment", 1);
    let other = [("/event_type", json!("i_wake")), ("/incident/labels/resource", json!("db-08"))];
    daemon.accept(&with(incident("e2", "i2"), &other));
    vendor.wait_for_calls("/incident/ack", 1);
    let daemon = daemon.kill().start();

    let views = written_back(&daemon, "e1");
    assert_eq!((&views[0]["outcome"], &views[1]["outcome"]), (&json!("unknown"), &json!("sent")), "{views:#?}");
    assert!(views[0]["error"].as_str().unwrap().contains("not sent again"), "{views:#?}");
    assert_eq!(vendor.fake.comments("i1"), ["on db-07"], "it did arrive, once");

    let views = written_back(&daemon, "e2");
    assert!(views.iter().all(|view| view["outcome"] == "sent"), "{views:#?}");
    let acks = vendor
        .fake
        .seen()
        .iter()
        .filter(|seen| seen.path.ends_with("ack") && seen.body["incident_ids"] == json!(["i2"]))
        .count();
    assert_eq!(acks, 2, "an acknowledgement may be repeated");
    assert_eq!(vendor.fake.comments("i2"), ["after"]);
}

#[test]
fn a_connection_that_breaks_after_the_effect_leaves_one_comment() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let daemon =
        vendor.folder(&rule("a", "    steps: [ { flashduty: { comment: once, ack: true } } ]\n"), KEYS).start();
    vendor.fake.fail_next([Some(Fault::DropAfter), Some(Fault::DropAfter)]);
    daemon.accept(&incident("e1", "i1"));
    let views = written_back(&daemon, "e1");
    assert_eq!((&views[0]["outcome"], &views[1]["outcome"]), (&json!("unknown"), &json!("sent")), "{views:#?}");
    assert_eq!(views[1]["attempts"], 2);
    assert_eq!(vendor.fake.comments("i1"), ["once"]);
}

#[test]
fn what_is_queued_while_flashduty_is_away_goes_out_after_a_restart() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let daemon = vendor.folder(&rule("a", "    steps: [ { flashduty: { comment: later } } ]\n"), KEYS).start();
    vendor.fake.fail_always([Some(Fault::TooFrequent)]);
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    let folder = daemon.kill();
    vendor.fake.fail_next([]);
    let daemon = folder.start();
    let views = written_back(&daemon, "e1");
    assert_eq!(views[0]["outcome"], "sent", "{views:#?}");
    assert_eq!(vendor.fake.comments("i1"), ["later"]);
}

#[test]
fn a_run_that_a_crash_cut_short_is_reported_after_the_restart() {
    let vendor = Vendor::start();
    vendor.open("i1");
    let steps = "    steps: [ { shell: touch began; exec sleep 60 } ]\n";
    let daemon = vendor.folder(&rule("a", steps), ", catch_up: false").start();
    daemon.accept(&incident("e1", "i1"));
    wait_for("the step to begin", || match daemon.folder.path("began").exists() {
        true => Ok(()),
        false => Err(daemon.folder.read("log")),
    });
    let daemon = daemon.kill().start();
    assert_eq!(daemon.end_of("e1"), "interrupted");
    let views = written_back(&daemon, "e1");
    assert_eq!((views.len(), &views[0]["outcome"]), (1, &json!("sent")), "{views:#?}");
    let comment = vendor.fake.comments("i1").remove(0);
    assert!(comment.contains("rule a was interrupted") && comment.contains("between nothing and all"), "{comment}");
}

/// How often the daemon is killed, and incidents a round.
const ROUNDS: usize = 8;
const INCIDENTS: usize = 6;

#[test]
fn kills_at_any_moment_send_no_comment_twice_and_keep_the_order() {
    let vendor = Vendor::start();
    let steps = "    guards: { rate: { max: 100000, per: 1h }, breaker: { failures: 128, within: 1s, open_for: 1s } }
    steps:
      - flashduty: { comment: \"{{ target }} one\" }
      - flashduty: { comment: \"{{ target }} two\" }
    on_success: [ { flashduty: { comment: \"{{ target }} three\", resolve: true } } ]\n";
    let mut folder: Folder = vendor.folder(&rule("a", steps), KEYS);
    // Answers take long enough that kills fall between effect and answer.
    vendor.fake.fail_always([Some(Fault::Slow(Duration::from_millis(100))), None]);
    let mut ids = Vec::new();
    for round in 0..ROUNDS {
        let daemon = folder.start();
        let before = vendor.fake.seen().len();
        for number in 0..INCIDENTS {
            let id = format!("i{round}-{number}");
            vendor.open(&id);
            let push = with(incident(&format!("e{id}"), &id), &[("/incident/labels/resource", json!(id))]);
            assert_eq!(try_post(daemon.folder.addr, TOKEN, push.to_string().as_bytes()).unwrap().0, 200);
            ids.push(id);
        }
        // A different moment each round, counted in calls rather than in time.
        let wanted = before + 1 + (round * 5) % 17;
        vendor.block_on(async { while vendor.fake.seen_more_than(wanted - 1).await < wanted {} });
        folder = daemon.kill();
    }
    let daemon = folder.start();
    settled(&daemon);
    let mut in_doubt = 0;
    for id in &ids {
        let comments = vendor.fake.comments(id);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        comments.iter().for_each(|text| *counts.entry(text).or_default() += 1);
        assert!(counts.values().all(|count| *count == 1), "{id}: {comments:?}");
        let expected = ["one", "two", "three"].map(|word| format!("{id} {word}"));
        let places: Vec<usize> =
            comments.iter().map(|text| expected.iter().position(|one| one == text).unwrap()).collect();
        assert!(places.is_sorted(), "{id}: {comments:?}");
        let story = daemon.decided(&format!("e{id}"));
        let views = story["runs"][0]["write_backs"].as_array().unwrap().clone();
        for view in &views {
            let text = view["comment"].as_str().unwrap_or_default();
            match view["outcome"].as_str().unwrap() {
                "sent" if view["call"] == "comment" => assert!(counts.contains_key(text), "{id}: {view}"),
                "sent" => {}
                "unknown" => in_doubt += 1,
                other => panic!("{id}: {other}: {view}"),
            }
        }
        let is_resolved = views.iter().any(|view| view["call"] == "resolve");
        assert_eq!(vendor.fake.incident(id).unwrap()["progress"] == "Closed", is_resolved, "{id}: {views:#?}");
    }
    // Else the kills missed what they are for.
    assert!(in_doubt > 0, "no kill fell between a comment and its answer");
}
