//! Changes on disk come into force by themselves: all of them together, or none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use stanch::journal::FILE_NAME;
use stanch::journal::read::Reader;
use stanch::journal::record::Record;

use crate::support::{Daemon, Folder, TOKEN, UNCONCERNED, admin, incident, marking_rule, post, try_post, wait_for};
use crate::visitor::{self, bearer};

fn rules(ids: &[&str]) -> String {
    let rules: Vec<String> = ids.iter().map(|id| marking_rule(id, "    mode: dry-run\n")).collect();
    format!("rules:\n{}", rules.concat())
}

fn ask(daemon: &Daemon, path: &str) -> Value {
    let answer = admin(&daemon.folder.path("data/stanch.sock"), "GET", path, "");
    serde_json::from_str(&answer.unwrap().1).unwrap()
}

/// Waits until a set with so many rules is in force.
fn in_force(daemon: &Daemon, rules: usize) {
    wait_for("the change to come into force", || {
        let status = ask(daemon, "/api/v1/status");
        if status["rules"] == rules { Ok(()) } else { Err(format!("{status}\n{}", daemon.folder.read("log"))) }
    });
}

fn refused(daemon: &Daemon, why: &str) {
    wait_for("the change to be refused", || {
        let note = ask(daemon, "/readyz")["note"].as_str().unwrap_or_default().to_owned();
        if note.contains(why) { Ok(()) } else { Err(format!("{note}\n{}", daemon.folder.read("log"))) }
    });
}

#[test]
fn files_written_renamed_added_and_taken_away_are_noticed() {
    let daemon = Folder::with_rules(&rules(&["one"])).start();
    let folder = &daemon.folder;
    folder.write("rules/rules.yaml", &rules(&["one", "two"]), 0o644);
    in_force(&daemon, 2);
    // As an editor saves: a new file takes the place of the old one.
    folder.write("rules/.rules.yaml.swp", &rules(&["one", "two", "three"]), 0o644);
    fs::rename(folder.path("rules/.rules.yaml.swp"), folder.path("rules/rules.yaml")).unwrap();
    in_force(&daemon, 3);
    // A folder of which nothing was known.
    fs::create_dir_all(folder.path("rules/team/deep")).unwrap();
    folder.write("rules/team/deep/more.yaml", &rules(&["four"]), 0o644);
    in_force(&daemon, 4);
    folder.write("rules/team/deep/more.yaml", &rules(&["four", "five"]), 0o644);
    in_force(&daemon, 5);
    fs::remove_dir_all(folder.path("rules/team")).unwrap();
    in_force(&daemon, 3);
    // The whole folder is another one.
    fs::create_dir(folder.path("new")).unwrap();
    folder.write("new/rules.yaml", &rules(&["a", "b"]), 0o644);
    fs::rename(folder.path("rules"), folder.path("old")).unwrap();
    fs::rename(folder.path("new"), folder.path("rules")).unwrap();
    in_force(&daemon, 2);
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.decided("e1")["event"]["decision"]["rules"][0]["rule"], "a");
}

#[test]
fn a_swapped_link_is_noticed() {
    let folder = Folder::with_rules(UNCONCERNED);
    for (version, ids) in [("v1", ["one"].as_slice()), ("v2", &["one", "two"])] {
        fs::create_dir(folder.path(version)).unwrap();
        folder.write(&format!("{version}/rules.yaml"), &rules(ids), 0o644);
    }
    fs::remove_dir_all(folder.path("rules")).unwrap();
    symlink("v1", folder.path("current")).unwrap();
    symlink("current", folder.path("rules")).unwrap();
    let daemon = folder.start();
    in_force(&daemon, 1);
    symlink("v2", daemon.folder.path("next")).unwrap();
    fs::rename(daemon.folder.path("next"), daemon.folder.path("current")).unwrap();
    in_force(&daemon, 2);
}

#[test]
fn config_and_modules_are_noticed() {
    let module = |result: &str| format!("fn wanted(event) {{ {result} }}");
    let folder = Folder::with_rules(&format!("rules:\n{}", marking_rule("one", "    when: gate::wanted(event)\n")));
    folder.write("scripts/gate.rhai", &module("false"), 0o644);
    let daemon = folder.start();
    let generation = || ask(&daemon, "/api/v1/status")["generation"].as_u64().unwrap();
    let changed = |before: u64| {
        wait_for("a new set", || if generation() > before { Ok(()) } else { Err(daemon.folder.read("log")) });
    };
    daemon.folder.write("scripts/gate.rhai", &module("true"), 0o644);
    changed(1);
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.outcome("e1").0, "run");
    let before = generation();
    let config = daemon.folder.read("stanch.yaml");
    daemon.folder.write("stanch.yaml", &format!("{config}mode: dry-run\n"), 0o644);
    changed(before);
    daemon.accept(&incident("e2", "i2"));
    assert_eq!(daemon.outcome("e2").0, "dry-run");
}

#[test]
fn a_broken_change_is_told_and_the_old_set_goes_on_until_it_is_mended() {
    let daemon = Folder::with_rules(&rules(&["one", "two", "three"])).start();
    daemon.folder.write("rules/rules.yaml", &rules(&["four"]).replace("target:", "targte:"), 0o644);
    refused(&daemon, "targte");
    let status = ask(&daemon, "/api/v1/status");
    assert_eq!((&status["rules"], &status["generation"]), (&3.into(), &1.into()));
    assert!(status["reload_refused"]["reason"].as_str().unwrap().contains("unknown-key"), "{status}");
    let metrics = admin(&daemon.folder.path("data/stanch.sock"), "GET", "/metrics", "").unwrap().1;
    let failures = metrics.lines().find_map(|line| line.strip_prefix("stanch_reload_failures_total ")).unwrap();
    assert_ne!(failures, "0", "{metrics}");
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.decided("e1")["event"]["decision"]["generation"], 1);
    // Most rules gone is refused too, until a person insists.
    daemon.folder.write("rules/rules.yaml", &rules(&["one"]), 0o644);
    refused(&daemon, "--force");
    assert!(daemon.folder.run(&["reload", "--force"]).status.success());
    in_force(&daemon, 1);
    daemon.folder.write("rules/rules.yaml", &rules(&["one", "two"]), 0o644);
    in_force(&daemon, 2);
    assert_eq!(ask(&daemon, "/readyz"), serde_json::json!({ "status": "ready", "rules": 2, "paused": [] }));
}

#[test]
fn secrets_are_rotated_by_writing_them() {
    let (newer, admin_new) = ("another-secret-of-the-tests-98765", "another-admin-token-of-the-tests");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = Folder::with_rules(UNCONCERNED)
        .config(&format!("admin: {{ listen: \"{port}\", token: {{ file: secrets/admin }} }}\n"));
    folder.write("secrets/admin", "the-first-admin-token-of-the-tests", 0o600);
    let daemon = folder.start();
    let status =
        |token: &str| visitor::ask(port, "GET", "/api/v1/status", &[("authorization", &bearer(token))], "").status;
    assert_eq!((status("the-first-admin-token-of-the-tests"), status(admin_new)), (200, 401));
    daemon.folder.write("secrets/admin", admin_new, 0o600);
    wait_for("the new admin token", || if status(admin_new) == 200 { Ok(()) } else { Err(daemon.folder.read("log")) });
    assert_eq!(status("the-first-admin-token-of-the-tests"), 401);
    let push =
        |event: &str, token: &str| post(daemon.folder.addr, token, incident(event, event).to_string().as_bytes()).0;
    assert_eq!((push("e1", TOKEN), push("e2", newer)), (200, 401));
    daemon.folder.write("secrets/token", newer, 0o600);
    wait_for("the new secret", || if push("e3", newer) == 200 { Ok(()) } else { Err(daemon.folder.read("log")) });
    assert_eq!(push("e4", TOKEN), 401);
    // Emptied, it is an alarm and not an open door.
    daemon.folder.write("secrets/token", "", 0o600);
    refused(&daemon, "it is empty");
    assert_eq!((push("e5", newer), push("e6", "")), (200, 401));
}

/// Sets that differ in one rule: `r0` beside `base` to begin with, then `r1`, and so on. Each may act once.
fn round_of_storm(round: usize) -> String {
    let rule = |id: &str| marking_rule(id, "    guards: { rate: { max: 1, per: 1h } }\n");
    format!("rules:\n{}{}", rule(&format!("r{round}")), rule("base"))
}

/// Ends those who send, also where a check fails meanwhile.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Changes the rules so often and has them read again each time, every other time broken, while pushes come in.
fn storm(rounds: usize) {
    let daemon = Folder::with_rules(&round_of_storm(0)).start();
    let done = AtomicBool::new(false);
    let (sent, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (addr, socket) = (daemon.folder.addr, daemon.folder.path("data/stanch.sock"));
    let (accepted, good) = std::thread::scope(|scope| {
        let ends = Ends(&done);
        let senders: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut accepted = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        let event = format!("e{}", sent.fetch_add(1, Ordering::Relaxed));
                        let body = incident(&event, &event).to_string();
                        if try_post(addr, TOKEN, body.as_bytes()).is_ok_and(|(status, _)| status == 200) {
                            accepted.push(event);
                            taken.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    // Events are decided in the order in which they came.
                    accepted.iter().last().map(|event| daemon.decided(event));
                    accepted
                })
            })
            .collect();
        // The round whose rules each set has, by the number that the reload answered.
        let mut good = BTreeMap::from([(1, 0)]);
        for round in 1..=rounds {
            let before = taken.load(Ordering::Relaxed);
            let valid = round_of_storm(round);
            let text = match round % 4 {
                0 => "rules: [".to_owned(),
                2 => valid.replace("target:", "targte:"),
                _ => valid,
            };
            daemon.folder.write("rules/rules.yaml", &text, 0o644);
            let (status, answer) = admin(&socket, "POST", "/api/v1/reload", "").unwrap();
            assert_eq!(status == 200, round % 2 == 1, "{answer}");
            if status == 200 {
                let answer: Value = serde_json::from_str(&answer).unwrap();
                good.insert(answer["generation"].as_u64().unwrap(), round);
            }
            // However fast the machine is, no round is without a push.
            wait_for("a push in this round", || match taken.load(Ordering::Relaxed) {
                newer if newer > before => Ok(()),
                _ => Err(daemon.folder.read("log")),
            });
        }
        drop(ends);
        (senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect::<Vec<_>>(), good)
    });
    assert_eq!(good.len(), 1 + rounds / 2);
    let folder = daemon.stop();
    let sets = sets(&folder, &good);

    let (mut received, mut decided, mut generation, mut began) = (BTreeSet::new(), BTreeSet::new(), 1, 0);
    let reader = Reader::open(&folder.path("data").join(FILE_NAME)).unwrap();
    let scanned = reader.scan(0, |stored| {
        match &stored.record {
            Record::Received { event, .. } => drop(received.insert((stored.seq, event.to_string()))),
            Record::Reloaded { generation: newer, .. } => generation = *newer,
            Record::Decided { from_seq, to_seq, generation: by, decisions, .. } => {
                assert_eq!(*by, generation, "a decision names the set that was in force");
                let asked: BTreeSet<&str> = decisions.iter().map(|decided| decided.rule.as_str()).collect();
                let its: BTreeSet<&str> = ["base", sets[by].as_str()].into();
                assert_eq!(asked, its, "what is in force is the set of its number and never a mixture");
                assert!((*from_seq..=*to_seq).all(|seq| decided.insert(seq)), "decided once");
            }
            Record::RunIntended { rule, generation: by, .. } => {
                assert_eq!(*by, generation, "an intent names the set that was in force");
                let has_it = rule.as_str() == "base" || rule.as_str() == sets[by];
                assert!(has_it, "{rule} acts by set {by}, which does not have it");
                began += 1;
            }
            _ => {}
        }
        true
    });
    scanned.unwrap();
    let in_journal: BTreeSet<&str> = received.iter().map(|(_, event)| event.as_str()).collect();
    assert!(accepted.iter().all(|event| in_journal.contains(event.as_str())));
    assert!(received.iter().all(|(seq, _)| decided.contains(seq)), "every event was decided");
    // A storm in which nothing is decided or done would prove nothing.
    assert!(accepted.len() >= rounds && began > 0, "{} events and {began} runs", accepted.len());
    println!("{rounds} reloads, {} of them good: {} events decided, {began} runs", rounds / 2, received.len());
}

/// The rule that each set has beside `base`, by the number of the set. A set that was noticed on disk before it was asked
/// for has a number of its own; its hash tells whose text it is.
fn sets(folder: &Folder, good: &BTreeMap<u64, usize>) -> BTreeMap<u64, String> {
    let mut hashes = BTreeMap::new();
    let reader = Reader::open(&folder.path("data").join(FILE_NAME)).unwrap();
    let scanned = reader.scan(0, |stored| {
        match &stored.record {
            Record::Started { rules_hash, .. } => drop(hashes.insert(1, rules_hash.clone())),
            Record::Reloaded { generation, rules_hash, .. } => {
                let other = hashes.insert(*generation, rules_hash.clone());
                assert!(other.is_none(), "each set has a number of its own");
            }
            _ => {}
        }
        true
    });
    scanned.unwrap();
    let rounds: BTreeMap<&str, usize> =
        good.iter().map(|(generation, round)| (hashes[generation].as_str(), *round)).collect();
    assert_eq!(rounds.len(), good.len(), "each text has a hash of its own");
    hashes.iter().map(|(generation, hash)| (*generation, format!("r{}", rounds[hash.as_str()]))).collect()
}

#[test]
fn a_storm_of_reloads_half_of_them_broken_loses_nothing() {
    storm(200);
}

#[test]
#[ignore = "takes ten seconds and all of the machine; `make soak` runs it"]
fn a_thousand_reloads_half_of_them_broken_lose_nothing() {
    storm(1_000);
}
