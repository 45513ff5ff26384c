//! The API does what the command line does: with the same answers, within bounds, and without letting anybody act who may
//! only see.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::support::{Daemon, Folder, incident, marking_rule, wait_for, with};
use crate::visitor::{ADMIN, Answer, READER, ask, bearer, console, with_console};

fn get(addr: SocketAddr, path: &str) -> Answer {
    ask(addr, "GET", path, &[("authorization", &bearer(READER))], "")
}

/// A daemon that ran one rule for two hosts.
fn recorded() -> (Daemon, SocketAddr) {
    let (daemon, addr) = console(&format!("rules:\n{}", marking_rule("clean", "")));
    for (event, host) in [("e-1", "db-1"), ("e-2", "db-2")] {
        daemon.accept(&with(incident(event, event), &[("/incident/labels/resource", json!(host))]));
        assert_eq!(daemon.end_of(event), "succeeded");
    }
    (daemon, addr)
}

#[test]
fn a_backtest_answers_what_the_command_line_says_and_executes_nothing() {
    let (daemon, addr) = recorded();
    let answer = get(addr, "/api/v1/backtest?since=7d");
    assert_eq!(answer.status, 200, "{answer:?}");
    let (answer, said) = (answer.json(), daemon.folder.json(&["backtest", "--since", "7d"]));
    assert_eq!(answer["report"]["tried"]["rules"], said["report"]["tried"]["rules"]);
    assert_eq!(answer["report"]["difference"], said["report"]["difference"]);
    assert_eq!((&answer["report"]["difference"]["same"], &answer["compared_with"]), (&json!(2), &json!("recorded")));
    let hours = answer["report"]["tried"]["rules"][0]["hours"].as_array().unwrap();
    assert_eq!(hours.iter().map(|hour| hour["runs"].as_u64().unwrap()).sum::<u64>(), 2);
    assert_eq!(daemon.folder.read("runs").lines().count(), 2, "nothing was executed");
    for query in ["since=400d", "since=soon", "approvals=maybe", "rules=/etc"] {
        let refused = get(addr, &format!("/api/v1/backtest?{query}"));
        assert_eq!((refused.status, refused.code()), (400, "bad-request".into()), "{query}");
    }
    assert_eq!(ask(addr, "GET", "/api/v1/backtest", &[], "").status, 401);
}

#[test]
fn there_is_one_backtest_at_a_time_and_pushes_are_taken_meanwhile() {
    // Each event takes the rule's script its whole time, so that a backtest of them goes on for a while.
    let slow = "rules:\n  - id: slow\n    match: { events: [i_new], channels: [\"*\"] }\n    when: |\n      let n = 0;\n      while n < 100000000 { n += 1; }\n      true\n    steps: [ { run: [/bin/true] } ]\n";
    let (daemon, addr) = console(slow);
    for nth in 0..60 {
        daemon.accept(&incident(&format!("e-{nth}"), &format!("5f00000000000000000000{nth:02x}")));
    }
    daemon.decided("e-59");
    let asking: Vec<_> = (0..4).map(|_| std::thread::spawn(move || get(addr, "/api/v1/backtest?since=1d"))).collect();
    daemon.accept(&incident("e-meanwhile", "5f0000000000000000000099"));
    let answers: Vec<Answer> = asking.into_iter().map(|one| one.join().unwrap()).collect();
    let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(!done.is_empty() && !refused.is_empty(), "{answers:?}");
    assert!(refused.iter().all(|answer| (answer.status, answer.code()) == (503, "busy".into())), "{refused:?}");
    let errors = done[0].json()["report"]["tried"]["rules"][0]["condition_errors"].as_u64().unwrap();
    assert!(errors >= 60, "{errors}");
}

#[test]
fn the_chain_is_held_against_the_head_outside_and_one_that_was_kept() {
    let (_daemon, addr) = recorded();
    let verified = get(addr, "/api/v1/audit/verify").json();
    assert_eq!(verified["compared_with"], json!(["journal.head"]), "{verified}");
    let head = format!("{}:{}", verified["seq"], verified["hash"].as_str().unwrap());
    let kept = get(addr, &format!("/api/v1/audit/verify?head={head}")).json();
    assert_eq!(kept["compared_with"], json!(["journal.head", "the head given"]));
    let other = format!("{}:{}", verified["seq"], "0".repeat(64));
    let refused = get(addr, &format!("/api/v1/audit/verify?head={other}"));
    assert_eq!((refused.status, refused.code()), (409, "head-not-held".into()));
    assert_eq!(get(addr, "/api/v1/audit/verify?head=x").status, 400);
}

/// A journal whose file takes SQLite a minute to check: a table beside the records has an index whose condition is dear to
/// look at, in each of many rows. It became so after it was made.
fn slow_to_check() -> (Daemon, SocketAddr) {
    let (folder, addr) = with_console(Folder::with_rules(&format!("rules:\n{}", marking_rule("clean", ""))), "");
    let folder = folder.start().stop();
    let db = rusqlite::Connection::open(folder.path("data/journal.db")).unwrap();
    db.execute_batch(
        "CREATE TABLE dear (n INTEGER);
         CREATE INDEX by_dear ON dear (n) WHERE length(hex(zeroblob(n))) >= 0;
         WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < 100000)
         INSERT INTO dear SELECT n % 100 FROM rows;
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'zeroblob(n)', 'zeroblob(n + 200000)') WHERE name = 'by_dear';",
    )
    .unwrap();
    drop(db);
    (folder.start(), addr)
}

/// Asks for a check of the chain and does not wait for the answer.
fn begin_to_verify(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    let token = bearer(READER);
    let head = format!("GET /api/v1/audit/verify HTTP/1.1\r\nhost: {addr}\r\nauthorization: {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn a_check_of_the_chain_that_nobody_waits_for_ends_and_so_does_the_daemon() {
    let (daemon, addr) = slow_to_check();
    daemon.accept(&incident("e-1", "5f0000000000000000000001"));
    assert_eq!(daemon.end_of("e-1"), "succeeded");
    let explain = || get(addr, "/api/v1/events/e-1/explain");
    let take_both_places = || {
        let waiting = [begin_to_verify(addr), begin_to_verify(addr)];
        wait_for("both places to be taken", || {
            let answer = explain();
            if answer.status == 503 { Ok(()) } else { Err(format!("{answer:?}")) }
        });
        waiting
    };
    drop(take_both_places());
    assert_eq!(explain().status, 200);
    // What somebody waits for does not hold up the end either.
    let waiting = take_both_places();
    daemon.stop();
    drop(waiting);
}

#[test]
fn an_export_holds_what_the_command_line_writes() {
    let (daemon, addr) = recorded();
    let mut lines: Vec<Value> = Vec::new();
    loop {
        let after = lines.last().map_or(0, |line| line["seq"].as_u64().unwrap());
        let page = get(addr, &format!("/api/v1/audit/export?after={after}&limit=5"));
        if page.body.is_empty() {
            break;
        }
        lines.extend(page.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    let said = String::from_utf8(daemon.folder.run(&["audit", "export"]).stdout).unwrap();
    let said: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, said);
    assert!(lines.iter().any(|line| line["body"]["event_id"] == "e-1"));
}

#[test]
fn tests_are_chosen_and_schemas_told_as_on_the_command_line() {
    let test = |name: &str, expect: &str| {
        let text =
            "event_type: i_new, incident: { incident_id: i1, channel_id: 1, channel_name: A, labels: { resource: h } }";
        format!("  - name: {name}\n    event: {{ {text} }}\n    expect: [ {{ rule: clean, outcome: {expect} }} ]\n")
    };
    let rules =
        format!("rules:\n{}tests:\n{}{}", marking_rule("clean", ""), test("it runs", "run"), test("wrong", "late"));
    let (folder, addr) = with_console(Folder::with_rules(&rules), "");
    let _daemon = folder.start();
    let tested = |query: &str| {
        ask(addr, "POST", &format!("/api/v1/test{query}"), &[("authorization", &bearer(READER))], "").json()
    };
    let count = |tested: &Value| (tested["passed"].as_u64(), tested["failed"].as_u64());
    assert_eq!(count(&tested("")), (Some(1), Some(1)), "{}", tested(""));
    assert_eq!(count(&tested("?filter=IT+RUNS")), (Some(1), Some(0)));
    assert_eq!(count(&tested("?filter=none")), (Some(0), Some(0)));
    for (name, args) in [("rules", &["schema"][..]), ("config", &["schema", "--of-config"])] {
        let schema = get(addr, &format!("/api/v1/schema/{name}")).json();
        let said = crate::support::stanch().args(args).output().unwrap().stdout;
        assert_eq!(schema, serde_json::from_slice::<Value>(&said).unwrap(), "{name}");
    }
}

#[test]
fn every_event_is_explained_on_its_own_history_whatever_was_asked_before() {
    let (daemon, addr) = console(&format!("rules:\n{}", marking_rule("clean", "    guards: { cooldown: 1h }\n")));
    for event in ["e-1", "e-2", "e-3"] {
        daemon.accept(&incident(event, event));
        daemon.decided(event);
        if event == "e-1" {
            daemon.ended(event);
        }
    }
    let outcome = |event: &str| {
        let answer = get(addr, &format!("/api/v1/events/{event}/explain")).json();
        answer["current"]["rules"][0]["outcome"].as_str().unwrap().to_owned()
    };
    // Forwards the fold of the one before is gone on with, backwards it is begun anew.
    for event in ["e-1", "e-2", "e-3", "e-3", "e-1", "e-2"] {
        let expected = if event == "e-1" { "run" } else { "suppressed" };
        assert_eq!(outcome(event), expected, "{event}");
    }
    let admin = ask(addr, "GET", "/api/v1/events/e-1/explain", &[("authorization", &bearer(ADMIN))], "");
    assert_eq!(admin.json()["recorded"]["rules"][0]["outcome"], "run");
}
