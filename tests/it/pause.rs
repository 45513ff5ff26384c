//! The kill switch: of everything, of a rule, of a channel; durable, seen everywhere, and at once.

use serde_json::{Value, json};

use crate::support::{Daemon, Folder, admin, incident, marking_rule, wait_for, with};

fn two_rules() -> Daemon {
    Folder::with_rules(&format!("rules:\n{}{}", marking_rule("one", ""), marking_rule("two", ""))).start()
}

/// The outcome of each rule for a new incident, by the names of the rules.
fn outcomes(daemon: &Daemon, event: &str, channel: &str) -> Vec<String> {
    daemon.accept(&with(incident(event, event), &[("/incident/channel_name", json!(channel))]));
    let decided = daemon.decided(event);
    let rules = decided["event"]["decision"]["rules"].as_array().unwrap();
    rules.iter().map(|rule| rule["outcome"].as_str().unwrap().to_owned()).collect()
}

fn ok(daemon: &Daemon, args: &[&str]) -> String {
    let output = daemon.folder.run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn metrics(daemon: &Daemon) -> String {
    admin(&daemon.folder.path("data/stanch.sock"), "GET", "/metrics", "").unwrap().1
}

#[test]
fn a_rule_can_be_paused_alone_over_restart_and_reload() {
    let daemon = two_rules();
    ok(&daemon, &["pause", "--rule", "one", "--reason", "it misbehaves"]);
    let daemon = daemon.kill().start();
    ok(&daemon, &["reload"]);
    assert_eq!(outcomes(&daemon, "e1", "Orders"), ["suppressed", "run"]);
    let story = daemon.decided("e1");
    let rule = &story["event"]["decision"]["rules"][0];
    assert_eq!(rule["reason"], "pause: rule one is paused: it misbehaves", "{rule}");
    ok(&daemon, &["resume", "--rule", "one"]);
    assert_eq!(outcomes(&daemon, "e2", "Orders"), ["run", "run"]);
}

#[test]
fn a_channel_can_be_paused_by_name_or_id() {
    let daemon = two_rules();
    for (nth, channel) in ["Orders", "1163577812973"].into_iter().enumerate() {
        ok(&daemon, &["pause", "--channel", channel]);
        assert_eq!(outcomes(&daemon, &format!("a{nth}"), "Orders"), ["suppressed", "suppressed"]);
        ok(&daemon, &["resume", "--channel", channel]);
        assert_eq!(outcomes(&daemon, &format!("b{nth}"), "Orders"), ["run", "run"]);
    }
    ok(&daemon, &["pause", "--channel", "Payments"]);
    assert_eq!(outcomes(&daemon, "c", "Orders"), ["run", "run"]);
}

#[test]
fn what_is_paused_is_seen_everywhere() {
    let daemon = two_rules();
    assert!(metrics(&daemon).contains("stanch_paused 0"));
    ok(&daemon, &["pause", "--reason", "drill", "--for", "1h"]);
    ok(&daemon, &["pause", "--rule", "two"]);
    let text = metrics(&daemon);
    assert!(text.contains("stanch_paused 1") && text.contains("stanch_pauses 2"), "{text}");
    let banner = ok(&daemon, &["runs", "list"]);
    assert!(banner.contains("the engine is PAUSED: drill"), "{banner}");
    assert!(banner.contains("rule two is PAUSED"), "{banner}");
    let (status, ready) = admin(&daemon.folder.path("data/stanch.sock"), "GET", "/readyz", "").unwrap();
    assert_eq!(status, 200, "pushes are still taken: {ready}");
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready["paused"][0]["reason"], "drill", "{ready}");
    assert!(ready["paused"][0]["by"].as_str().unwrap().contains("on the admin socket"), "{ready}");
    assert!(daemon.folder.read("log").contains("paused: nothing of it starts"));
    // Ending the pause of the engine leaves that of the rule, and says so.
    let left = ok(&daemon, &["resume"]);
    assert!(left.contains("rule two is PAUSED"), "{left}");
    assert_eq!(outcomes(&daemon, "e1", "Orders"), ["run", "suppressed"]);
}

#[test]
fn a_pause_for_a_time_ends_by_itself() {
    let daemon = two_rules();
    ok(&daemon, &["pause", "--for", "300ms"]);
    wait_for("the pause to end", || {
        let text = metrics(&daemon);
        if text.contains("stanch_paused 0") { Ok(()) } else { Err(text) }
    });
    assert_eq!(outcomes(&daemon, "e1", "Orders"), ["run", "run"]);
}

#[test]
fn a_misspelt_rule_pauses_nothing_and_says_so() {
    let daemon = two_rules();
    let output = daemon.folder.run(&["pause", "--rule", "tow"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no rule `tow` is in force"));
    assert_eq!(daemon.folder.run(&["resume", "--rule", "one"]).status.code(), Some(1));
    assert_eq!(daemon.folder.run(&["pause", "--rule", "one", "--channel", "x"]).status.code(), Some(2));
}

#[test]
fn pause_now_ends_what_runs_in_its_scope_and_nothing_else() {
    let slow = |id: &str| {
        format!(
            "  - id: {id}\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    target: {id}\n    steps:\n      - shell: |\n          echo {id} >> began\n          while [ ! -e go ] && [ -e stanch.yaml ]; do sleep 0.02; done\n"
        )
    };
    let daemon = Folder::with_rules(&format!("rules:\n{}{}", slow("one"), slow("two"))).start();
    daemon.accept(&incident("e1", "i1"));
    wait_for("both to begin", || match daemon.folder.read("began").lines().count() {
        2 => Ok(()),
        other => Err(other.to_string()),
    });
    ok(&daemon, &["pause", "--rule", "one", "--now"]);
    let states = || -> Vec<String> {
        let story = daemon.decided("e1");
        let runs = story["runs"].as_array().unwrap();
        runs.iter().map(|run| run["run"]["state"].as_str().unwrap().to_owned()).collect()
    };
    wait_for("the run of the rule to end", || match &states()[..] {
        [one, two] if one == "cancelled" && two == "running" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    daemon.folder.write("go", "", 0o644);
    wait_for("the other to end", || match &states()[..] {
        [_, two] if two == "succeeded" => Ok(()),
        other => Err(format!("{other:?}")),
    });
}
