//! Guards hold over a restart, and so does what waits or was cut off. A daemon is killed as a power cut would.

use serde_json::{Value, json};

use crate::support::{Daemon, Folder, admin, incident, marking_rule, wait_for, with};

fn start(extra: &str) -> Daemon {
    Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", extra))).start()
}

/// Sends a new incident on a target and waits for what becomes of it: its outcome, and the guard that objected.
fn send(daemon: &Daemon, number: usize, target: &str) -> (String, String) {
    let event = format!("e{number}");
    daemon.accept(&with(incident(&event, &format!("i{number}")), &[("/incident/labels/resource", json!(target))]));
    let (outcome, reason) = daemon.outcome(&event);
    if outcome == "run" {
        daemon.ended(&event);
    }
    (outcome, reason.split(':').next().unwrap_or_default().to_owned())
}

#[track_caller]
fn runs(daemon: &Daemon, number: usize, target: &str) {
    assert_eq!(send(daemon, number, target).0, "run");
}

#[track_caller]
fn objects(daemon: &Daemon, number: usize, target: &str, guard: &str) {
    assert_eq!(send(daemon, number, target), ("suppressed".into(), guard.into()));
}

#[test]
fn cooldown_holds_over_a_restart() {
    let daemon = start("    guards: { cooldown: 1h }\n");
    runs(&daemon, 1, "a");
    let daemon = daemon.kill().start();
    objects(&daemon, 2, "a", "cooldown");
    runs(&daemon, 3, "b");
}

#[test]
fn blast_radius_holds_over_a_restart() {
    let daemon = start("    guards: { blast_radius: { targets: 2, per: 1h } }\n");
    runs(&daemon, 1, "a");
    runs(&daemon, 2, "b");
    let daemon = daemon.kill().start();
    objects(&daemon, 3, "c", "blast_radius");
    runs(&daemon, 4, "a");
}

#[test]
fn threshold_counts_on_over_a_restart() {
    let daemon = start("    guards: { threshold: { count: 3, within: 1h } }\n");
    objects(&daemon, 1, "a", "threshold");
    objects(&daemon, 2, "b", "threshold");
    let daemon = daemon.kill().start();
    runs(&daemon, 3, "c");
}

#[test]
fn a_breaker_stays_open_over_a_restart() {
    let rule = marking_rule("mark", "    guards: { breaker: { failures: 2, within: 1h, open_for: 1h } }\n");
    let daemon = Folder::with_rules(&format!("rules:\n{}", rule.replace("shell: echo", "shell: false; echo"))).start();
    runs(&daemon, 1, "a");
    runs(&daemon, 2, "b");
    let daemon = daemon.kill().start();
    objects(&daemon, 3, "c", "breaker");
}

#[test]
fn attempts_escalate_once_over_a_restart() {
    let daemon = start("    guards: { attempts: { max: 1, per: 1h, then: [ { shell: echo escalated >> runs } ] } }\n");
    runs(&daemon, 1, "a");
    let daemon = daemon.kill().start();
    runs(&daemon, 2, "a");
    let daemon = daemon.kill().start();
    objects(&daemon, 3, "a", "attempts");
    let lines: Vec<String> = daemon.stop().read("runs").lines().map(str::to_owned).collect();
    assert_eq!(lines.iter().filter(|line| *line == "escalated").count(), 1, "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn a_storm_warning_holds_over_a_restart() {
    let daemon = start("    guards: { storm_hold: 1h }\n");
    daemon.accept(&with(incident("s", "is"), &[("/event_type", json!("i_storm"))]));
    daemon.decided("s");
    let daemon = daemon.kill().start();
    objects(&daemon, 1, "a", "storm_hold");
}

/// The same rule without guards, under a budget of the config.
fn start_under(budget: &str) -> Daemon {
    let rules = format!("rules:\n{}", marking_rule("mark", ""));
    Folder::with_rules(&rules).config(&format!("budgets: [ {{ name: all, {budget} }} ]\n")).start()
}

#[test]
fn a_budget_holds_over_a_restart() {
    let daemon = start_under("rate: { max: 1, per: 1h }");
    runs(&daemon, 1, "a");
    let daemon = daemon.kill().start();
    objects(&daemon, 2, "b", "budget");
}

#[test]
fn a_budget_of_targets_holds_over_a_restart() {
    let daemon = start_under("blast_radius: { targets: 1, per: 1h }");
    runs(&daemon, 1, "a");
    let daemon = daemon.kill().start();
    objects(&daemon, 2, "b", "budget");
    runs(&daemon, 3, "a");
}

#[test]
fn slots_and_newest_times_hold_over_a_restart() {
    let rule = marking_rule("mark", "    dedupe: { by: [target], for: 1h }\n");
    let daemon = Folder::with_rules(&format!("rules:\n{rule}")).start();
    runs(&daemon, 1, "a");
    let before = incident("before", "i1");
    let after = with(incident("after", "i1"), &[("/event_type", json!("i_snooze"))]);
    daemon.accept(&after);
    daemon.decided("after");
    let daemon = daemon.kill().start();
    objects(&daemon, 2, "a", "dedupe");
    // Made before what the last life of the daemon saw of the incident, however late it comes.
    let earlier = json!(before["event_time"].as_u64().unwrap() - 60_000);
    daemon.accept(&with(before, &[("/event_time", earlier), ("/incident/labels/resource", json!("b"))]));
    assert!(!daemon.decided("before")["event"]["decision"]["late_since"].is_null());
    assert_eq!(daemon.stop().read("runs").lines().count(), 1);
}

/// A rule whose runs tell that they began, and go on until `go` is there.
fn slow(extra: &str) -> String {
    format!(
        "rules:\n  - id: slow\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    target: \"{{{{ labels.resource }}}}\"\n    steps:\n      - name: one\n        shell: echo one >> log.txt\n      - name: two\n        shell: |\n          echo two >> log.txt\n          while [ ! -e go ] && [ -e stanch.yaml ]; do sleep 0.02; done\n          echo \"attempt $STANCH_ATTEMPT\" >> log.txt\n{extra}"
    )
}

fn wait_for_two(daemon: &Daemon, times: usize) {
    wait_for("the second step to begin", || {
        let log = daemon.folder.read("log.txt");
        if log.lines().filter(|line| *line == "two").count() >= times { Ok(()) } else { Err(log) }
    });
}

fn push(event: &str, target: &str) -> Value {
    with(incident(event, &format!("i-{event}")), &[("/incident/labels/resource", json!(target))])
}

#[test]
fn one_crash_opens_no_breaker_but_a_rule_that_is_cut_off_again_and_again_does() {
    let rule = slow("    guards: { breaker: { failures: 3, within: 1h, open_for: 1h } }\n");
    let mut daemon = Folder::with_rules(&rule).config("limits: { runs: 16 }\n").start();
    for (crash, targets) in [["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]].into_iter().enumerate() {
        for target in targets {
            daemon.accept(&push(&format!("e-{target}"), target));
        }
        wait_for_two(&daemon, 3 * (crash + 1));
        daemon = daemon.kill().start();
        for target in targets {
            assert_eq!(daemon.end_of(&format!("e-{target}")), "interrupted");
        }
        daemon.folder.write("go", "", 0o644);
        daemon.accept(&push(&format!("after-{crash}"), "z"));
        let (outcome, reason) = daemon.outcome(&format!("after-{crash}"));
        if crash < 2 {
            assert_eq!(outcome, "run", "after {} crashes: {reason}", crash + 1);
            daemon.ended(&format!("after-{crash}"));
        } else {
            assert!(reason.starts_with("breaker: "), "three crashes in it are no coincidence: {outcome} {reason}");
        }
        std::fs::remove_file(daemon.folder.path("go")).unwrap();
        // What the runs between the crashes wrote does not count.
        let log = daemon.folder.read("log.txt");
        let cut_off: Vec<&str> = log.lines().filter(|line| *line == "two").take(3 * (crash + 1)).collect();
        daemon.folder.write("log.txt", &format!("{}\n", cut_off.join("\n")), 0o644);
    }
}

#[test]
fn a_run_whose_unfinished_steps_are_idempotent_goes_on_where_it_was_cut_off() {
    let rule = slow("        idempotent: true\n");
    let daemon = Folder::with_rules(&rule).start();
    daemon.accept(&push("e1", "a"));
    wait_for_two(&daemon, 1);
    let daemon = daemon.kill().start();
    // What the crash left of the first try is ended by now, so it does not see this.
    daemon.folder.write("go", "", 0o644);
    let run = daemon.ended("e1");
    assert_eq!(run["run"]["state"], "succeeded", "{run}");
    assert!(run["said"][0]["what"].as_str().unwrap().starts_with("went on from step 2"), "{run}");
    let log = daemon.stop().read("log.txt");
    assert_eq!(log, "one\ntwo\ntwo\nattempt 2\n");
}

#[test]
fn a_run_of_returned_steps_and_a_list_goes_on_where_it_was_cut_off() {
    let folder = Folder::with_rules(
        "rules:\n  - id: slow\n    match: { events: [i_new], channels: [\"*\"] }\n    target: \"{{ labels.resource }}\"\n    steps_from: plans::slow\n",
    );
    let plans = r#"
fn slow(event, target) {
    [
        #{ name: "one", shell: "echo one >> log.txt" },
        #{ name: "all", each: #{ "in": [target + "1", target + "2"], steps: [
            #{ idempotent: true, shell: "echo two >> log.txt; while [ ! -e go ] && [ -e stanch.yaml ]; do sleep 0.02; done; echo \"$STANCH_ITEM\" >> log.txt" },
        ] } },
    ]
}
"#;
    folder.write("scripts/plans.rhai", plans, 0o644);
    let daemon = folder.start();
    daemon.accept(&push("e1", "a"));
    wait_for_two(&daemon, 1);
    let daemon = daemon.kill().start();
    daemon.folder.write("go", "", 0o644);
    let run = daemon.ended("e1");
    assert_eq!(run["run"]["state"], "succeeded", "{run}");
    assert!(run["said"][0]["what"].as_str().unwrap().starts_with("went on from step 2"), "{run}");
    assert_eq!(daemon.stop().read("log.txt"), "one\ntwo\ntwo\na1\ntwo\na2\n");
}

#[test]
fn a_run_that_goes_on_and_is_cut_off_each_time_is_given_up() {
    let mut daemon = Folder::with_rules(&slow("        idempotent: true\n")).start();
    daemon.accept(&push("e1", "a"));
    for times in 1..=3 {
        wait_for_two(&daemon, times);
        daemon = daemon.kill().start();
    }
    let run = daemon.ended("e1");
    assert_eq!(run["run"]["state"], "interrupted", "{run}");
    assert!(run["run"]["error"].as_str().unwrap().contains("went on 2 times already"), "{run}");
}

#[test]
fn a_run_does_not_go_on_under_a_pause_nor_by_another_rule() {
    let daemon = Folder::with_rules(&slow("        idempotent: true\n")).start();
    daemon.accept(&push("e1", "a"));
    wait_for_two(&daemon, 1);
    assert!(daemon.folder.run(&["pause", "--reason", "drill"]).status.success());
    let daemon = daemon.kill().start();
    let run = daemon.ended("e1");
    assert!(run["run"]["error"].as_str().unwrap().contains("the engine is paused: drill"), "{run}");
    assert!(daemon.folder.run(&["resume"]).status.success());

    daemon.accept(&push("e2", "a"));
    wait_for_two(&daemon, 2);
    let folder = daemon.kill();
    folder.write("rules/rules.yaml", &slow("        idempotent: true\n").replace("echo one", "echo uno"), 0o644);
    let daemon = folder.start();
    let run = daemon.ended("e2");
    assert!(run["run"]["error"].as_str().unwrap().contains("not what it was when the run began"), "{run}");
    assert!(!daemon.stop().read("log.txt").contains("uno"));
}

#[test]
fn a_stop_ends_what_does_not_end_in_its_grace_and_starts_nothing_new() {
    let daemon = Folder::with_rules(&slow("")).config("limits: { grace: 300ms }\n").start();
    daemon.accept(&push("e1", "a"));
    wait_for_two(&daemon, 1);
    daemon.accept(&push("e2", "a"));
    assert_eq!(daemon.outcome("e2").0, "run");
    let folder = daemon.stop();
    assert_eq!(folder.read("log.txt"), "one\ntwo\n");
    folder.write("go", "", 0o644);
    let daemon = folder.start();
    let run = daemon.ended("e1");
    assert_eq!(run["run"]["state"], "interrupted", "{run}");
    assert!(run["run"]["error"].as_str().unwrap().contains("the daemon stopped"), "{run}");
    assert_eq!(daemon.end_of("e2"), "succeeded", "what waited goes on after the restart");
}

#[test]
fn a_second_signal_ends_what_runs_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        // A grace that no test would live to see the end of.
        let daemon = Folder::with_rules(&slow("")).config("limits: { grace: 1h }\n").start();
        daemon.accept(&push("e1", "a"));
        wait_for_two(&daemon, 1);
        daemon.signal(first);
        let said = |daemon: &Daemon, what: &str| {
            wait_for(what, || {
                let log = daemon.folder.read("log");
                if log.contains(what) { Ok(()) } else { Err(log) }
            });
        };
        said(&daemon, "stanch is stopping");
        // What runs has its grace, and nothing else holds the daemon up by now.
        assert!(!daemon.folder.read("log").contains("asked to stop again"));
        daemon.signal(second);
        let (code, folder) = daemon.end_by_itself();
        assert_eq!(code, Some(0), "{first} and {second} are an orderly end: {}", folder.read("log"));
        assert!(folder.read("log").contains("asked to stop again"), "{}", folder.read("log"));
        assert_eq!(folder.read("log.txt"), "one\ntwo\n");
        folder.write("go", "", 0o644);
        let daemon = folder.start();
        let run = daemon.ended("e1");
        assert_eq!(run["run"]["state"], "interrupted", "{run}");
        let db = rusqlite::Connection::open(daemon.folder.path("data/journal.db")).unwrap();
        let stops: u32 =
            db.query_row("SELECT count(*) FROM record WHERE kind = 'stopped'", [], |row| row.get(0)).unwrap();
        assert_eq!(stops, 1, "{first} and {second}");
        // It was ended before the stop, not found in doubt by the start: its rule is not to blame.
        assert!(run["run"]["error"].as_str().unwrap().contains("the daemon stopped"), "{run}");
    }
}

/// An event over which the daemon ends with `code`, where it ends by itself, is tried again once and then set aside. Gives
/// the log of all its lives.
fn poison(fault: &str, code: Option<i32>) -> String {
    let rules = format!("rules:\n{}", marking_rule("mark", ""));
    let mut folder = Folder::with_rules(&rules).env(fault, "poison");
    let daemon = folder.start();
    daemon.accept(&incident("before", "i0"));
    daemon.ended("before");
    // It is durable before it is decided on, whether or not the answer still comes.
    daemon.push_into_the_dark(&incident("poison", "i1"));
    let (ended, back) = daemon.end_by_itself();
    folder = back;
    assert_eq!(ended, code, "{}", folder.read("log"));
    // The second try is at the start. What stands behind it in the journal comes after it.
    let daemon = folder.start_unasked();
    let (ended, folder) = daemon.end_by_itself();
    assert_eq!(ended, code, "{}", folder.read("log"));
    let daemon = folder.start();
    let story = daemon.decided("poison");
    let why = story["event"]["decision"]["set_aside"].as_str().unwrap();
    assert!(why.contains("died 2 times"), "{why}");
    daemon.accept(&incident("after", "i2"));
    assert_eq!(daemon.end_of("after"), "succeeded");
    let shown = daemon.folder.run(&["events", "show", "poison"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("set aside"), "{shown:?}");
    let metrics = admin(&daemon.folder.path("data/stanch.sock"), "GET", "/metrics", "").unwrap().1;
    assert!(metrics.contains("\nstanch_set_aside_total 1\n"), "{metrics}");
    let log = daemon.folder.read("log");
    assert!(log.contains("an event was set aside") && log.contains("died 2 times"), "{log}");
    // It stays set aside, and is counted once over all starts.
    let daemon = daemon.kill().start();
    assert_eq!(daemon.decided("poison")["event"]["decision"]["set_aside"], why);
    let folder = daemon.stop();
    assert_eq!(folder.read("log").matches("an event was set aside").count(), 1);
    assert_eq!(folder.read("runs").lines().count(), 2, "the other events led to one run each");
    folder.read("log")
}

#[test]
fn an_event_over_which_the_daemon_dies_is_set_aside_after_two_tries() {
    poison("STANCH_FAULT_DIE_AT_EVENT", None);
}

#[test]
fn an_event_over_which_the_deciding_task_panics_is_set_aside_after_two_tries() {
    // A code that lets a service manager start it again.
    let log = poison("STANCH_FAULT_PANIC_AT_EVENT", Some(70));
    assert_eq!(log.matches("a panic, which is a defect of Stanch").count(), 2, "{log}");
}
