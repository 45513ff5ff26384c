//! Storms: many incidents at once, one that flaps, and the kill switch in the middle of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use serde_json::json;

use crate::support::{Daemon, Folder, TOKEN, incident, marking_rule, try_post, wait_for, with};

/// Connections that send at the same time.
const SENDERS: usize = 8;

fn journal(daemon: &Daemon) -> Connection {
    Connection::open(daemon.folder.path("data/journal.db")).unwrap()
}

fn count(db: &Connection, sql: &str) -> u64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Waits until everything that was received is decided, and every run that began has ended.
fn settle(db: &Connection) {
    wait_for("the storm to be decided and its runs to end", || {
        let undecided = count(
            db,
            "SELECT count(*) FROM record WHERE kind = 'received' AND seq > coalesce(
                (SELECT json_extract(data, '$.to_seq') FROM record WHERE kind = 'decided' ORDER BY seq DESC LIMIT 1), 0)",
        );
        let acting = count(
            db,
            "SELECT count(*) FROM (SELECT run FROM record WHERE kind = 'run-intended'
                EXCEPT SELECT run FROM record WHERE kind = 'run-ended')",
        );
        match (undecided, acting) {
            (0, 0) => Ok(()),
            _ => Err(format!("{undecided} events undecided, {acting} runs acting")),
        }
    });
}

/// Sends the pushes `from..to`, each an incident of its own on a target of its own, as fast as they are taken. A push
/// that is turned away with 503 is sent again, as the receiver asks.
fn send(daemon: &Daemon, from: usize, to: usize) {
    let next = AtomicUsize::new(from);
    let addr = daemon.folder.addr;
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= to {
                        break;
                    }
                    let target = json!(format!("t{number}"));
                    let push = with(
                        incident(&format!("e{number}"), &format!("i{number}")),
                        &[("/incident/labels/resource", target)],
                    );
                    let body = push.to_string();
                    wait_for("a push to be taken", || match try_post(addr, TOKEN, body.as_bytes()) {
                        Ok((200, _)) => Ok(()),
                        other => Err(format!("{other:?}")),
                    });
                }
            });
        }
    });
}

/// Sends `incidents` to three rules with caps and a budget over them, and checks that each cap is met exactly.
fn caps_hold_in_a_storm_of(incidents: usize) {
    let quiet = "breaker: { failures: 128, within: 1s, open_for: 1s }";
    let rules = [
        marking_rule("capped", &format!("    guards: {{ rate: {{ max: 7, per: 1h }}, {quiet} }}\n")),
        marking_rule(
            "narrow",
            &format!(
                "    guards: {{ rate: {{ max: 100000, per: 1h }}, blast_radius: {{ targets: 5, per: 1h, by: channel }}, {quiet} }}\n"
            ),
        ),
        marking_rule("wide", &format!("    guards: {{ rate: {{ max: 100000, per: 1h }}, {quiet} }}\n")),
    ];
    let config = "limits: { runs: 4 }\nbudgets: [ { name: whole engine, rate: { max: 30, per: 1h } } ]\n";
    let daemon = Folder::with_rules(&format!("rules:\n{}", rules.concat())).config(config).start();
    send(&daemon, 0, incidents);
    let db = journal(&daemon);
    settle(&db);
    assert_eq!(count(&db, "SELECT count(*) FROM record WHERE kind = 'received'"), incidents as u64);
    let folder = daemon.stop();
    let runs = folder.read("runs");
    let of = |rule: &str| runs.lines().filter(|line| line.starts_with(&format!("{rule} "))).count();
    let (capped, narrow, wide) = (of("capped"), of("narrow"), of("wide"));
    assert_eq!((capped, narrow, capped + narrow + wide), (7, 5, 30), "wide: {wide}");
    assert!(folder.run(&["audit", "verify"]).status.success());
}

/// Pauses in the middle of a storm of `incidents`, and checks that nothing began after the pause was on record, neither
/// then nor after a reload and a kill.
fn the_kill_switch_stops_a_storm_of(incidents: usize) {
    let guards =
        "    guards: { rate: { max: 100000, per: 1h }, breaker: { failures: 128, within: 1s, open_for: 1s } }\n";
    let rules = format!("rules:\n{}", marking_rule("mark", guards));
    let daemon = Folder::with_rules(&rules).config("limits: { runs: 4 }\n").start();
    let began = || daemon.folder.read("runs").lines().count();
    std::thread::scope(|scope| {
        let storm = scope.spawn(|| send(&daemon, 0, incidents));
        wait_for("the storm to be on", || if began() > 10 { Ok(()) } else { Err(began().to_string()) });
        let asked = std::time::Instant::now();
        assert!(daemon.folder.run(&["pause", "--reason", "storm"]).status.success());
        println!("paused in the middle of a storm within {:?}, the command's own start included", asked.elapsed());
        storm.join().unwrap();
    });
    assert!(daemon.folder.run(&["reload"]).status.success());
    send(&daemon, incidents, incidents + 10);
    let db = journal(&daemon);
    settle(&db);
    let late = "SELECT count(*) FROM record WHERE kind = 'run-intended'
        AND seq > (SELECT seq FROM record WHERE kind = 'paused')";
    assert_eq!(count(&db, late), 0);
    let intended = count(&db, "SELECT count(*) FROM record WHERE kind = 'run-intended'");
    assert!(intended < incidents as u64, "the storm was over before the pause came");
    drop(db);
    let daemon = daemon.kill().start();
    send(&daemon, incidents + 10, incidents + 20);
    let db = journal(&daemon);
    settle(&db);
    assert_eq!(count(&db, late), 0);
    assert_eq!(daemon.outcome(&format!("e{}", incidents + 15)).0, "suppressed");
    drop(db);
    let folder = daemon.stop();
    assert_eq!(folder.read("runs").lines().count() as u64, intended);
}

#[test]
fn caps_hold_exactly_in_a_storm() {
    caps_hold_in_a_storm_of(1_000);
}

#[test]
fn the_kill_switch_stops_a_storm_and_outlives_reload_and_kill() {
    the_kill_switch_stops_a_storm_of(500);
}

#[test]
fn an_incident_that_flaps_is_acted_upon_as_often_as_its_cap_allows() {
    let guards = "    guards: { rate: { max: 3, per: 1h, by: target } }\n";
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", guards))).start();
    // Each closing frees the dedupe slot, so only the cap is left between the incident and its target.
    for round in 0..100 {
        for (kind, progress) in [("i_new", "Triggered"), ("i_rslv", "Closed")] {
            let push = incident(&format!("{kind}-{round}"), "i1");
            daemon.accept(&with(push, &[("/event_type", json!(kind)), ("/incident/progress", json!(progress))]));
        }
        if round < 3 {
            daemon.ended(&format!("i_new-{round}"));
        }
    }
    assert!(daemon.outcome("i_new-99").1.starts_with("rate: "));
    assert_eq!(daemon.stop().read("runs").lines().count(), 3);
}

#[test]
#[ignore = "takes minutes; `make soak` runs it"]
fn caps_hold_exactly_in_a_storm_of_ten_thousand() {
    caps_hold_in_a_storm_of(10_000);
}

#[test]
#[ignore = "takes minutes; `make soak` runs it"]
fn the_kill_switch_stops_a_storm_of_ten_thousand() {
    the_kill_switch_stops_a_storm_of(10_000);
}
