//! Crashes: what got 200 is there afterwards, no run is executed twice, what was in doubt is ended and said.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Folder, TOKEN, incident, marking_rule, try_post, wait_for, with};

/// How often the daemon is killed.
const ROUNDS: usize = 30;
/// Connections that send meanwhile.
const SENDERS: usize = 4;

#[test]
fn thirty_kills_under_load_lose_nothing_and_repeat_nothing() {
    let rule = marking_rule(
        "mark",
        "    guards: { rate: { max: 100000, per: 1h }, breaker: { failures: 128, within: 1s, open_for: 1s } }\n",
    );
    let mut folder = Folder::with_rules(&format!("rules:\n{rule}")).config("limits: { runs: 16 }\n");
    let (number, mut accepted) = (AtomicUsize::new(0), Vec::new());
    let mut rounds_with_runs = 0;
    for round in 0..ROUNDS {
        let before = folder.read("runs").len();
        let daemon = folder.start();
        let addr = daemon.folder.addr;
        let stop = AtomicBool::new(false);
        // A different moment each round, counted in answers rather than in time.
        let answers = AtomicUsize::new(0);
        let wanted = 5 + (round * 37) % 90;
        let send = || {
            let mut accepted = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let number = number.fetch_add(1, Ordering::SeqCst);
                let (event, entity) = (format!("e{number}"), format!("i{number}"));
                let target = serde_json::json!(format!("t{number}"));
                let push = with(incident(&event, &entity), &[("/incident/labels/resource", target)]);
                match try_post(addr, TOKEN, push.to_string().as_bytes()) {
                    Ok((200, _)) => accepted.push(event),
                    Ok((status, answer)) => assert_eq!(status, 503, "{answer}"),
                    Err(_) => break,
                }
                answers.fetch_add(1, Ordering::SeqCst);
            }
            accepted
        };
        folder = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
            while answers.load(Ordering::SeqCst) < wanted {
                std::thread::sleep(Duration::from_millis(1));
            }
            let folder = daemon.kill();
            stop.store(true, Ordering::SeqCst);
            accepted.extend(senders.into_iter().flat_map(|sender| sender.join().unwrap()));
            folder
        });
        rounds_with_runs += usize::from(folder.read("runs").len() > before);
    }
    // Kills that fall on an engine that does nothing would prove nothing.
    assert!(rounds_with_runs > ROUNDS / 2, "only {rounds_with_runs} of {ROUNDS} rounds ran anything");
    let daemon = folder.start();
    let last = accepted.last().unwrap().clone();
    daemon.decided(&last);
    wait_for("every run to end", || {
        let runs = daemon.folder.json(&["runs", "list", "--limit", "1000"]);
        let live = |run: &&serde_json::Value| matches!(run["state"].as_str(), Some("queued" | "running"));
        match runs.as_array().unwrap().iter().find(live) {
            None => Ok(()),
            Some(run) => Err(run.to_string()),
        }
    });
    let folder = daemon.stop();
    let db = rusqlite::Connection::open(folder.path("data/journal.db")).unwrap();
    let mut statement = db.prepare("SELECT event FROM record WHERE kind = 'received'").unwrap();
    let kept: HashSet<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for event in &accepted {
        assert!(kept.contains(event), "{event} got 200 and is lost");
    }
    let runs = folder.read("runs");
    let mut seen = HashSet::new();
    for line in runs.lines() {
        let run = line.split_whitespace().nth(1).unwrap();
        assert!(seen.insert(run), "run {run} was executed twice");
    }
    assert!(!seen.is_empty(), "no run was executed: {}", folder.read("log"));
    let verified = folder.run(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn a_run_that_kills_the_daemon_is_interrupted_and_its_processes_are_ended() {
    // The step leaves a process in a session of its own, tells its pid, and kills the daemon.
    let rules = "rules:\n  - id: kill\n    match: { events: [i_new], channels: [\"*\"] }\n    steps:\n      - shell: |\n          echo ran >> runs\n          setsid sleep 1000 &\n          echo $! > left\n          kill -9 \"$(cat daemon)\"\n          sleep 1000\n";
    let daemon = Folder::with_rules(rules).start();
    daemon.folder.write("daemon", &daemon.pid().to_string(), 0o644);
    let body = incident("e1", "i1").to_string();
    // The daemon may die before or after it answers.
    try_post(daemon.folder.addr, TOKEN, body.as_bytes()).ok();
    wait_for("the step to kill the daemon", || {
        let path = format!("/proc/{}/stat", daemon.pid());
        match std::fs::read_to_string(path) {
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        }
    });
    let daemon = daemon.kill().start();
    assert_eq!(daemon.end_of("e1"), "interrupted");
    let left = daemon.folder.read("left");
    let cmdline = std::fs::read_to_string(format!("/proc/{}/cmdline", left.trim())).unwrap_or_default();
    assert!(!cmdline.contains("sleep"), "process {left} was left");
    assert_eq!(daemon.stop().read("runs"), "ran\n");
}

#[test]
fn a_stop_lets_runs_end_and_records_it() {
    let rule = marking_rule("mark", "").replace("- shell: echo", "- shell: sleep 0.5; echo");
    let daemon = Folder::with_rules(&format!("rules:\n{rule}")).start();
    daemon.accept(&incident("e1", "i1"));
    daemon.decided("e1");
    let daemon = daemon.stop().start();
    let run = daemon.ended("e1");
    assert_eq!(run["run"]["state"], "succeeded", "{run}");
    assert_eq!(daemon.stop().read("runs").lines().count(), 1);
}
