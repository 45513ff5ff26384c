//! Acting once: the same push, however often and however fast it comes, runs its rule once.

use std::collections::HashMap;

use serde_json::json;

use crate::support::{Folder, TOKEN, incident, marking_rule, post, with};

#[test]
fn the_same_push_a_hundred_times_at_once_runs_once() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).start();
    let body = incident("e1", "i1").to_string();
    let addr = daemon.folder.addr;
    let answers: Vec<(u16, serde_json::Value)> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..100).map(|_| scope.spawn(|| post(addr, TOKEN, body.as_bytes()))).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (status, answer) in answers {
        assert_eq!(status, 200);
        *counts.entry(answer["status"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(counts, HashMap::from([("accepted".into(), 1), ("duplicate".into(), 99)]));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    assert_eq!(daemon.stop().read("runs").lines().count(), 1);
}

#[test]
fn a_hundred_bodies_under_one_id_leave_one_event_and_one_run() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).start();
    let addr = daemon.folder.addr;
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let sender = |number: usize| {
            let body = with(incident("e1", "i1"), &[("/incident/title", json!(format!("title {number}")))]);
            scope.spawn(move || post(addr, TOKEN, body.to_string().as_bytes()).0)
        };
        let senders: Vec<_> = (0..100).map(sender).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 99);
    assert_eq!(daemon.end_of("e1"), "succeeded");
    assert_eq!(daemon.stop().read("runs").lines().count(), 1);
}

#[test]
fn an_incident_is_acted_upon_once_until_it_closes_or_reopens() {
    let rules = format!("rules:\n{}", marking_rule("mark", "").replace("[i_new]", "[i_new, i_reopen, i_snooze]"));
    let daemon = Folder::with_rules(&rules).start();
    let event = |id: &str, kind: &str, progress: &str| {
        with(incident(id, "i1"), &[("/event_type", json!(kind)), ("/incident/progress", json!(progress))])
    };
    daemon.accept(&event("e1", "i_new", "Triggered"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    daemon.accept(&event("e2", "i_snooze", "Triggered"));
    let (outcome, reason) = daemon.outcome("e2");
    assert_eq!(outcome, "suppressed");
    let run = daemon.ended("e1")["run"]["run"].as_str().unwrap().to_owned();
    assert!(reason.contains("dedupe") && reason.contains(&run), "{reason}");
    daemon.accept(&event("e3", "i_rslv", "Closed"));
    daemon.decided("e3");
    daemon.accept(&event("e4", "i_reopen", "Triggered"));
    assert_eq!(daemon.end_of("e4"), "succeeded");
    // What was taken survives a restart.
    let daemon = daemon.stop().start();
    daemon.accept(&event("e5", "i_snooze", "Triggered"));
    assert_eq!(daemon.outcome("e5").0, "suppressed");
    assert_eq!(daemon.stop().read("runs").lines().count(), 2);
}

#[test]
fn a_closing_alone_and_a_reopening_alone_free_the_slot() {
    for (kind, progress) in [("i_rslv", "Closed"), ("i_reopen", "Triggered")] {
        let rules = format!("rules:\n{}", marking_rule("mark", "").replace("[i_new]", "[i_new, i_wake]"));
        let daemon = Folder::with_rules(&rules).start();
        daemon.accept(&incident("e1", "i1"));
        assert_eq!(daemon.end_of("e1"), "succeeded");
        let changes = [("/event_type", json!(kind)), ("/incident/progress", json!(progress))];
        daemon.accept(&with(incident("e2", "i1"), &changes));
        daemon.decided("e2");
        daemon.accept(&with(incident("e3", "i1"), &[("/event_type", json!("i_wake"))]));
        assert_eq!(daemon.end_of("e3"), "succeeded", "{kind} frees the slot");
    }
}
