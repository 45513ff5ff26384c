//! Journals of other versions: gone on with, or refused and left alone; and the copy that leads back.

use std::fs;
use std::path::Path;

use serde_json::json;
use stanch::journal::chain::{Content, link};
use stanch::journal::store::Store;
use stanch::journal::{FILE_NAME, HEAD_NAME, Recovered};

use super::damage::{killed, said};
use crate::support::{Folder, UNCONCERNED, incident, marking_rule, wait_for, with};

/// The content of the files in the folder `data`. An empty write-ahead log is none, its index is what SQLite has in
/// memory, and the lock and the socket have no content.
fn files_of(folder: &Folder) -> Vec<(String, Vec<u8>)> {
    let names =
        fs::read_dir(folder.path("data")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let counts = |name: &String| !name.ends_with("-shm") && name != "lock" && name != "stanch.sock";
    let read = |name: String| (fs::read(folder.path("data").join(&name)).unwrap(), name);
    let mut files: Vec<_> = names.filter(counts).map(read).filter(|(bytes, _)| !bytes.is_empty()).collect();
    files.sort_by(|a, b| a.1.cmp(&b.1));
    files.into_iter().map(|(bytes, name)| (name, bytes)).collect()
}

/// Whether the write-ahead log is among them.
fn has_log(files: &[(String, Vec<u8>)]) -> bool {
    files.iter().any(|(name, _)| name == "journal.db-wal")
}

#[test]
fn a_journal_of_a_newer_version_is_refused_and_left_alone() {
    // The newer one stopped, or it was killed, so that the newest of it is in its write-ahead log.
    for is_killed in [false, true] {
        let folder = if is_killed { killed() } else { killed().start().stop() };
        let copy = folder.path("newer.db");
        assert!(folder.run(&["backup", copy.to_str().unwrap()]).status.success());
        let path = folder.path("data/journal.db");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_killed).unwrap();
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        db.pragma_update(None, "user_version", version + 1).unwrap();
        drop(db);
        rusqlite::Connection::open(&copy).unwrap().pragma_update(None, "user_version", version + 1).unwrap();
        let before = files_of(&folder);
        assert_eq!(has_log(&before), is_killed);
        let words = [
            format!("schema version {}", version + 1),
            format!("this stanch ({}) knows only {version}", env!("CARGO_PKG_VERSION")),
            "stanch restore".to_owned(),
        ];
        let copy = copy.to_str().unwrap();
        let elsewhere = folder.path("elsewhere.db");
        let elsewhere = elsewhere.to_str().unwrap();
        let commands: [&[&str]; 4] =
            [&["audit", "verify"], &["audit", "export"], &["backup", elsewhere], &["restore", copy]];
        let commands = commands.map(|command| folder.run(command));
        for output in [folder.start_in_vain()].into_iter().chain(commands) {
            assert_eq!(output.status.code(), Some(5), "{}", said(&output));
            assert!(words.iter().all(|word| said(&output).contains(word)), "{}", said(&output));
        }
        assert!(files_of(&folder) == before, "something was changed");
        assert!(!folder.path("elsewhere.db").exists());
    }
}

/// What another version says when it starts.
pub(crate) fn started_by(version: &str) -> serde_json::Value {
    json!({ "kind": "started", "version": version, "rules_hash": "", "dry_run": false })
}

/// Appends a record to the chain as another version would have written it.
pub(crate) fn append(folder: &Folder, kind: &str, data: &serde_json::Value) {
    append_to(&rusqlite::Connection::open(folder.path("data/journal.db")).unwrap(), folder, kind, data);
}

fn append_to(db: &rusqlite::Connection, folder: &Folder, kind: &str, data: &serde_json::Value) {
    let head = Store::open_read_only(&folder.path("data/journal.db")).unwrap().verify().unwrap().head;
    let data = data.to_string();
    let content = Content { at_ms: 1_700_000_000_000, kind, event: None, run: None, entity: None, data: &data };
    let (seq, digest) = (head.seq + 1, content.digest());
    let hash = link(&head.hash, seq, &digest);
    db.execute(
        "INSERT INTO record (seq, at, kind, data, digest, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        rusqlite::params![seq, content.at_ms, content.kind, data, digest.as_slice(), hash.as_slice()],
    )
    .unwrap();
}

#[test]
fn a_copy_is_kept_when_another_version_takes_the_journal_over_and_leads_back() {
    let folder = killed().start().stop();
    let kept = folder.path(&format!("data/journal.before-{}.db", env!("CARGO_PKG_VERSION")));
    assert!(!kept.exists(), "the same version needs none");
    append(&folder, "started", &started_by("0.0.9"));
    let before = folder.json(&["audit", "verify"]);
    let daemon = folder.start();
    assert!(daemon.folder.read("log").contains("a copy is kept"), "{}", daemon.folder.read("log"));
    daemon.accept(&incident("after", "i-after"));
    daemon.decided("after");
    let folder = daemon.stop();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&kept).unwrap()) & 0o777, 0o600);

    fs::rename(folder.path("data"), folder.path("newer")).unwrap();
    let copy = folder.path("newer").join(kept.file_name().unwrap());
    let restored = folder.run(&["restore", copy.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", said(&restored));
    assert_eq!(folder.json(&["audit", "verify"])["head"], before["head"], "it is the journal of before");
    let daemon = folder.start();
    let events = daemon.folder.json(&["events", "list"]);
    assert!(!events.to_string().contains("i-after"), "{events}");
    // What it starts on was last started by the other version still, so a copy is there again.
    assert!(kept.exists());
}

#[test]
fn a_record_that_a_newer_version_knows_is_not_called_damage() {
    let folder = killed().start().stop();
    append(&folder, "started", &started_by("9.9.9"));
    append(&folder, "yet-unknown", &json!({ "kind": "yet-unknown", "of": "the future" }));
    let refused = folder.start_in_vain();
    assert_eq!(refused.status.code(), Some(5), "{}", said(&refused));
    for word in ["`yet-unknown`", "intact", "stanch 9.9.9 wrote it", "stanch restore"] {
        assert!(said(&refused).contains(word), "no {word:?} in {}", said(&refused));
    }
    assert!(!said(&refused).contains("damaged"), "{}", said(&refused));
    // The chain holds, whatever its records mean.
    assert!(folder.run(&["audit", "verify"]).status.success());
    let copy = folder.path("copy.db");
    assert!(folder.run(&["backup", copy.to_str().unwrap()]).status.success());
}

#[test]
fn a_version_that_cannot_read_the_journal_writes_nothing_and_leaves_the_copies_that_lead_back() {
    for is_killed in [false, true] {
        let folder = killed().start().stop();
        let db = rusqlite::Connection::open(folder.path("data/journal.db")).unwrap();
        db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_killed).unwrap();
        append_to(&db, &folder, "started", &started_by("9.9.9"));
        append_to(&db, &folder, "yet-unknown", &json!({ "kind": "yet-unknown" }));
        // The index that this version would add where it is lacking.
        db.execute_batch("DROP INDEX alerts_by_incident").unwrap();
        drop(db);
        for version in ["9.9.8", "9.9.9"] {
            folder.write(&format!("data/journal.before-{version}.db"), "the way back", 0o600);
        }
        fs::remove_file(folder.path("data").join(HEAD_NAME)).unwrap();
        let before = files_of(&folder);
        assert_eq!(has_log(&before), is_killed);
        for _ in 0..3 {
            let refused = folder.start_in_vain();
            assert_eq!(refused.status.code(), Some(5), "{}", said(&refused));
        }
        let after = files_of(&folder);
        let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before));
        assert!(after == before, "something was changed");
    }
}

#[test]
fn what_another_program_does_to_a_journal_that_was_just_taken_over_loses_nothing() {
    let folder = killed().start().stop();
    append(&folder, "started", &started_by("0.0.9"));
    let daemon = folder.start();
    assert!(daemon.folder.read("log").contains("a copy is kept"), "{}", daemon.folder.read("log"));
    // Whoever closes the journal last moves the log into it and removes the log. That the daemon has it open still is told
    // by its lock alone, where the other program has an SQLite that is a few years old.
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(daemon.folder.path("data/journal.db")).unwrap());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let held = |line: &&str| line.contains(&format!(" {} ", daemon.pid())) && line.contains(&format!(":{inode} "));
    let held: Vec<_> = locks.lines().filter(held).collect();
    assert!(held.iter().any(|lock| lock.contains("POSIX") && lock.contains("READ")), "{held:?} of\n{locks}");
    let db = rusqlite::Connection::open(daemon.folder.path("data/journal.db")).unwrap();
    db.query_row("SELECT count(*) FROM record", [], |_| Ok(())).unwrap();
    drop(db);
    assert!(daemon.folder.path("data/journal.db-wal").exists(), "the log of a daemon that runs was removed");
    daemon.accept(&incident("after", "i-after"));
    daemon.decided("after");
    let daemon = daemon.kill().start();
    let events = daemon.folder.json(&["events", "list"]);
    assert!(events.to_string().contains("i-after"), "{events}");
}

/// A journal as the first version wrote it: runs that succeeded, failed, were approved, denied and interrupted, events
/// that were late, suppressed and of no concern, a reload, and a pause that is still on.
const V1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/journal-v1.db");

/// A journal as the very first daemon wrote it, before it was ever released: it knew fewer kinds of record, and a run waited
/// for an approval when it stopped.
const FIRST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/journal-first.db");

fn with_v1() -> Folder {
    with_journal(V1, UNCONCERNED)
}

fn with_journal(file: &str, rules: &str) -> Folder {
    // Its records become older and older, and none of them may go.
    let folder = Folder::with_rules(rules).config("retention: { events: 3650d, runs: 3650d }\n");
    fs::create_dir(folder.path("data")).unwrap();
    fs::copy(file, folder.path("data").join(FILE_NAME)).unwrap();
    folder
}

#[test]
fn a_journal_of_the_very_first_daemon_is_gone_on_with() {
    let folder = with_journal(FIRST, &format!("rules:\n{}", marking_rule("disk-full-report", "")));
    assert_eq!(folder.json(&["audit", "verify"])["records"], json!(34));
    let daemon = folder.start();
    let state = |run: &str| daemon.folder.json(&["runs", "show", run])["run"]["state"].as_str().unwrap().to_owned();
    // What waited then has waited too long by now, or its rule is gone.
    wait_for("the run that waited to be given up", || match state("r-639f9aade0c0af75").as_str() {
        "expired" | "cancelled" => Ok(()),
        other => Err(other.to_owned()),
    });
    assert_eq!(["r-fb10fedb598d08e8", "r-bf0fb67d7d3e62bd"].map(state), ["succeeded", "failed"]);
    // The slot of an incident that was acted on then is taken still, and another incident is acted on.
    daemon.accept(&incident("old", "673f1a2b3c4d5e6f7a8b9c01"));
    assert_eq!(daemon.outcome("old").0, "suppressed");
    daemon.accept(&incident("new", "i-new"));
    assert_eq!(daemon.end_of("new"), "succeeded");
    assert!(daemon.stop().run(&["audit", "verify"]).status.success());
}

#[test]
fn a_journal_of_the_first_version_opens_verifies_and_folds() {
    let folder = with_v1();
    let verified = folder.json(&["audit", "verify"]);
    assert_eq!(verified["records"], json!(V1_RECORDS), "{verified}");
    let recovered = Recovered::open(&folder.path("data"), false).unwrap();
    let history = &recovered.history;
    assert_eq!(history.undecided().count(), 0);
    assert!(history.paused(history.last_at()).is_some_and(|pause| pause.reason.as_deref() == Some("fixture")));
    assert_eq!(history.runs.iter().count(), 0);
    let failures = |rule: &str| {
        let rule = serde_json::from_value(json!(rule)).unwrap();
        history.failures(&rule).count()
    };
    assert_eq!((failures("fails"), failures("dies"), failures("mark")), (1, 1, 0));
    drop(recovered);
    let daemon = folder.start();
    let ends = |event: &str| daemon.decided(event)["runs"][0]["run"]["state"].as_str().unwrap_or("none").to_owned();
    let found = ["ok", "bad", "yes", "no", "cut"].map(ends);
    assert_eq!(found, ["succeeded", "failed", "succeeded", "denied", "interrupted"]);
    assert!(!daemon.decided("late")["event"]["decision"]["late_since"].is_null());
    assert_eq!(daemon.outcome("again").0, "suppressed");
    // What its guards had counted counts on.
    daemon.accept(&incident("new", "i-new"));
    daemon.decided("new");
    let folder = daemon.stop();
    assert!(folder.run(&["audit", "verify"]).status.success());
}

/// How many records are in it.
const V1_RECORDS: u64 = 38;

/// Makes such a journal. The first version's is checked in and never made again; this tells how it was, and makes the
/// next version's.
#[test]
#[ignore = "writes a fixture; run it when the schema gets a new version"]
fn make_a_journal_fixture() {
    let rule = |id: &str, kind: &str, more: &str, step: &str| {
        format!(
            "  - id: {id}\n    match: {{ events: [i_new], channels: [\"*\"], labels: {{ kind: {kind} }} }}\n    target: \"{{{{ labels.resource }}}}\"\n{more}    steps: [ {{ shell: {step} }} ]\n"
        )
    };
    let rules = [
        rule("mark", "ok", "", "echo done"),
        rule("fails", "bad", "", "exit 7"),
        rule("asks", "ask", "    mode: approve\n", "echo done"),
        rule("dies", "cut", "", "echo began >> runs; sleep 1000"),
    ];
    let daemon = Folder::with_rules(&format!("rules:\n{}", rules.concat())).start();
    let of_kind = |event: &str, entity: &str, kind: &str| {
        let labels = json!({ "kind": kind, "resource": entity });
        with(incident(event, entity), &[("/incident/labels", labels)])
    };
    daemon.accept(&of_kind("ok", "i1", "ok"));
    assert_eq!(daemon.end_of("ok"), "succeeded");
    daemon.accept(&of_kind("again", "i1", "ok"));
    daemon.decided("again");
    let late = with(of_kind("late", "i1", "ok"), &[("/event_time", json!(1_700_000_000_000_i64))]);
    daemon.accept(&late);
    daemon.decided("late");
    daemon.accept(&of_kind("bad", "i2", "bad"));
    assert_eq!(daemon.end_of("bad"), "failed");
    for (event, verb) in [("yes", "approve"), ("no", "deny")] {
        daemon.accept(&of_kind(event, event, "ask"));
        let run = daemon.decided(event)["event"]["decision"]["rules"][0]["run"].as_str().unwrap().to_owned();
        assert!(daemon.folder.run(&["runs", verb, &run]).status.success());
        daemon.ended(event);
    }
    daemon.accept(&of_kind("none", "i3", "none"));
    daemon.decided("none");
    assert!(daemon.folder.run(&["reload"]).status.success());
    daemon.accept(&of_kind("cut", "i4", "cut"));
    wait_for("the step that is cut off", || match daemon.folder.read("runs").as_str() {
        "began\n" => Ok(()),
        other => Err(other.to_owned()),
    });
    let daemon = daemon.kill().start();
    assert_eq!(daemon.end_of("cut"), "interrupted");
    assert!(daemon.folder.run(&["pause", "--reason", "fixture"]).status.success());
    let folder = daemon.stop();
    let db = rusqlite::Connection::open(folder.path("data/journal.db")).unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE; VACUUM;").unwrap();
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    drop(db);
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/journal-v{version}.db"));
    fs::copy(folder.path("data/journal.db"), &made).unwrap();
}
