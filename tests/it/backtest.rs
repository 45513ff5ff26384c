//! `stanch backtest`: on a journal that a daemon wrote, also while it runs.

use serde_json::{Value, json};

use crate::support::{Daemon, Folder, incident, marking_rule, with};

fn rules(rules: &[String]) -> String {
    format!("rules:\n{}", rules.concat())
}

fn host(event: &str, host: &str) -> Value {
    with(incident(event, event), &[("/incident/labels/resource", host.into())])
}

/// A daemon that ran one rule for three incidents on two hosts.
fn recorded() -> Daemon {
    let daemon = Folder::with_rules(&rules(&[marking_rule("clean", "")])).start();
    for (event, on) in [("e1", "db-1"), ("e2", "db-2"), ("e3", "db-1")] {
        daemon.accept(&host(event, on));
        assert_eq!(daemon.end_of(event), "succeeded");
    }
    daemon
}

fn backtest(folder: &Folder, args: &[&str]) -> Value {
    folder.json(&[&["backtest"], args].concat())["report"].clone()
}

#[test]
fn the_rules_that_ran_would_do_the_same_again() {
    let daemon = recorded();
    let check = |folder: &Folder| {
        let report = backtest(folder, &[]);
        assert_eq!((&report["events"], &report["tried"]["rules"][0]["runs"]), (&3.into(), &3.into()), "{report}");
        assert_eq!(report["tried"]["rules"][0]["top_targets"][0], json!({ "target": "db-1", "runs": 2 }));
        assert_eq!((&report["difference"]["same"], &report["difference"]["differs"]), (&3.into(), &json!([])));
    };
    check(&daemon.folder);
    // Nothing was executed, and nothing was written.
    assert_eq!(daemon.folder.read("runs").lines().count(), 3);
    check(&daemon.stop());
}

#[test]
fn another_set_is_held_against_what_ran_and_against_another() {
    let folder = recorded().stop();
    for (name, set) in [
        ("narrow", rules(&[marking_rule("clean", "    guards: { cooldown: 30m }\n")])),
        ("wide", rules(&[marking_rule("clean", ""), marking_rule("tell", "    mode: dry-run\n")])),
    ] {
        std::fs::create_dir(folder.path(name)).unwrap();
        folder.write(&format!("{name}/rules.yaml"), &set, 0o644);
    }
    let (narrow, wide) = (folder.path("narrow"), folder.path("wide"));
    let (narrow, wide) = (narrow.to_str().unwrap(), wide.to_str().unwrap());
    let report = backtest(&folder, &["--rules", narrow]);
    assert_eq!(report["tried"]["rules"][0]["suppressed"]["cooldown"], 1, "{report}");
    let removed = &report["difference"]["differs"][0];
    assert_eq!(
        (&removed["rule"], &removed["change"], &removed["count"]),
        (&"clean".into(), &"removed".into(), &1.into())
    );
    assert_eq!(removed["examples"][0]["target"], "db-1");
    let report = backtest(&folder, &["--rules", wide, "--against", narrow]);
    let differs: Vec<(&Value, &Value, &Value)> = report["difference"]["differs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["rule"], &one["change"], &one["count"]))
        .collect();
    assert_eq!(differs, [(&"clean".into(), &"added".into(), &1.into()), (&"tell".into(), &"added".into(), &3.into())]);
    assert_eq!(report["against"]["rules"][0]["runs"], 2);

    let human = folder.run(&["backtest", "--rules", wide, "--against", narrow]);
    let text = String::from_utf8(human.stdout).unwrap();
    for part in
        ["clean", "3 events", "db-1 ×2, db-2 ×1", "2 targets", "+ tell: would act", "approvals are given at once"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\u{1b}') && !text.contains('█') && human.stderr.is_empty(), "plain where it is piped");
    let again = folder.run(&["backtest", "--rules", wide, "--against", narrow]);
    assert_eq!(text.as_bytes(), again.stdout, "the same journal and rules give the same report");
}

#[test]
fn bodies_that_retention_took_are_named() {
    let folder = recorded().stop();
    let journal = rusqlite::Connection::open(folder.path("data/journal.db")).unwrap();
    let gone = "UPDATE record SET payload = NULL WHERE kind = 'received' AND event IN ('e1', 'e2')";
    assert_eq!(journal.execute(gone, []).unwrap(), 2);
    drop(journal);
    let report = backtest(&folder, &[]);
    let missing = &report["without_body"];
    assert_eq!((&missing["count"], &missing["last"]["event"]), (&2.into(), &"e2".into()), "{report}");
    assert_eq!(report["events"], 1);
    // What was done for the others is no difference: nothing can be said of it.
    assert_eq!((&report["difference"]["same"], &report["difference"]["differs"]), (&1.into(), &json!([])), "{report}");
    let text = String::from_utf8(folder.run(&["backtest"]).stdout).unwrap();
    assert!(text.contains("2 more have no body any more") && text.contains("e1"), "{text}");
}

#[test]
fn the_window_is_counted_from_the_newest_event() {
    let folder = recorded().stop();
    let journal = rusqlite::Connection::open(folder.path("data/journal.db")).unwrap();
    // As if what came before the last event had come a week earlier.
    let earlier =
        "UPDATE record SET at = at - 7 * 86400000 WHERE seq < (SELECT max(seq) FROM record WHERE kind = 'received')";
    assert_ne!(journal.execute(earlier, []).unwrap(), 0);
    drop(journal);
    assert_eq!(backtest(&folder, &[])["events"], 3);
    assert_eq!(backtest(&folder, &["--since", "8d"])["events"], 3);
    let report = backtest(&folder, &["--since", "1h"]);
    assert_eq!((&report["events"], &report["difference"]["same"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(report["difference"]["differs"], json!([]));
}

#[test]
fn what_cannot_be_tried_is_said() {
    let folder = Folder::with_rules(&rules(&[marking_rule("clean", "")]));
    let none = folder.run(&["backtest"]);
    assert_eq!(none.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no journal yet"));
    folder.write("rules/rules.yaml", "rules: [ { id: a } ]", 0o644);
    assert_eq!(folder.run(&["backtest"]).status.code(), Some(1));
    assert_eq!(folder.run(&["backtest", "--since", "soon"]).status.code(), Some(2));
}
