//! Files of the journal that were cut, zeroed or changed, and journals of other versions: repaired, refused with a
//! message, or found by `audit verify`.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Output;

use serde_json::json;
use stanch::journal::chain::{Content, link};
use stanch::journal::read::Reader;
use stanch::journal::store::Store;
use stanch::journal::{FILE_NAME, HEAD_NAME, Recovered};

use crate::support::{Folder, UNCONCERNED, incident, marking_rule, wait_for, with};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// A folder whose daemon took five pushes and was killed, so that all of it is still in the write-ahead log.
fn killed() -> Folder {
    let daemon = Folder::with_rules(UNCONCERNED).start();
    for number in 0..5 {
        daemon.accept(&incident(&format!("e{number}"), &format!("i{number}")));
    }
    daemon.decided("e4");
    daemon.kill()
}

#[test]
fn a_torn_or_zeroed_tail_is_refused_unless_its_head_is_moved_away() {
    type Hurt = fn(&fs::File, u64);
    let torn: Hurt = |file, len| file.set_len(len - 100).unwrap();
    let zeroed: Hurt = |file, len| file.write_all_at(&[0; 4096], len - 4096).unwrap();
    let gone: Hurt = |file, _| file.set_len(0).unwrap();
    for (name, hurt) in [("torn", torn), ("zeroed", zeroed), ("gone", gone)] {
        let folder = killed();
        let wal = fs::OpenOptions::new().write(true).open(folder.path("data/journal.db-wal")).unwrap();
        hurt(&wal, wal.metadata().unwrap().len());
        drop(wal);
        let refused = folder.start_in_vain();
        assert_eq!(refused.status.code(), Some(5), "{name}: {}", said(&refused));
        let verified = folder.run(&["audit", "verify"]);
        assert_eq!(verified.status.code(), Some(5), "{name}: {}", said(&verified));
        if name == "gone" {
            // Nothing is left of it, not even the schema.
            continue;
        }
        assert!(said(&refused).contains("its last commits are lost"), "{name}: {}", said(&refused));
        assert!(said(&verified).contains("its last commits are lost"), "{name}: {}", said(&verified));
        let answer = folder.run(&["audit", "verify", "--format", "json"]).stdout;
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["intact"] == false && answer["error"].as_str().unwrap().contains("are lost"), "{answer}");
        fs::remove_file(folder.path("data").join(HEAD_NAME)).unwrap();
        let folder = folder.start().stop();
        assert!(folder.read("log").contains("is missing or empty"), "{name}: {}", folder.read("log"));
        let verified = folder.run(&["audit", "verify"]);
        assert!(verified.status.success(), "{name}: {}", said(&verified));
    }
}

#[test]
fn without_a_head_outside_start_and_verify_say_so() {
    for (content, word) in [(None, "missing"), (Some(&b""[..]), "missing"), (Some(&[7; 72][..]), "torn")] {
        let folder = killed();
        let head = folder.path("data").join(HEAD_NAME);
        match content {
            None => fs::remove_file(&head).unwrap(),
            Some(bytes) => fs::write(&head, bytes).unwrap(),
        }
        let verified = folder.run(&["audit", "verify"]);
        assert!(verified.status.success(), "{}", said(&verified));
        let warning = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(warning.contains(word) && warning.contains("nothing outside the journal"), "{warning}");
        let found = folder.json(&["audit", "verify"]);
        assert_eq!(found["compared_with"], json!([]), "{found}");
        // The next commit notes the head anew, and says nothing at the start after.
        let folder = folder.start().kill();
        assert!(folder.read("log").contains(word), "{}", folder.read("log"));
        let found = folder.json(&["audit", "verify"]);
        assert_eq!(found["compared_with"], json!(["journal.head"]), "{found}");
        folder.write("log", "", 0o644);
        let folder = folder.start().stop();
        assert!(!folder.read("log").contains("nothing outside the journal"), "{}", folder.read("log"));
    }
}

#[test]
fn a_new_journal_lacks_no_head() {
    let folder = Folder::with_rules(UNCONCERNED).start().stop();
    assert!(!folder.read("log").contains("WARN"), "{}", folder.read("log"));
}

#[test]
fn a_head_that_was_kept_elsewhere_convicts_a_journal_that_was_cut() {
    let folder = killed().start().stop();
    let kept = folder.json(&["audit", "verify"])["head"].as_str().unwrap().to_owned();
    assert!(folder.run(&["audit", "verify", "--head", &kept]).status.success());
    // Whoever can write to the folder can cut both.
    let db = rusqlite::Connection::open(folder.path("data/journal.db")).unwrap();
    db.execute("DELETE FROM record WHERE seq > (SELECT max(seq) - 2 FROM record)", []).unwrap();
    drop(db);
    fs::remove_file(folder.path("data").join(HEAD_NAME)).unwrap();
    assert!(folder.run(&["audit", "verify"]).status.success());
    let verified = folder.run(&["audit", "verify", "--head", &kept]);
    assert_eq!(verified.status.code(), Some(5));
    assert!(said(&verified).contains("its last commits are lost"), "{}", said(&verified));
    let verified = folder.run(&["audit", "verify", "--head", "3"]);
    assert_eq!(verified.status.code(), Some(2));
}

/// Every record of a journal as text; the error where it cannot be read.
fn content(path: &Path) -> Result<String, String> {
    let reader = Reader::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    reader
        .scan_with_bodies(|stored| {
            text += &format!("{} {} {:?} {:?}\n", stored.seq, stored.at, stored.record, stored.payload);
            true
        })
        .map_err(|error| error.to_string())?;
    let head = reader.verify().map_err(|error| error.to_string())?.head;
    Ok(format!("{text}{head}"))
}

#[test]
fn a_flipped_byte_is_found_or_was_in_unused_space() {
    let rules = format!("rules:\n{}", marking_rule("mark", ""));
    let daemon = Folder::with_rules(&rules).start();
    for number in 0..10 {
        daemon.accept(&incident(&format!("e{number}"), &format!("i{number}")));
    }
    daemon.ended("e9");
    let folder = daemon.stop();
    // What is in the write-ahead log is told by its own checksums; here it is moved into the database first.
    let db = rusqlite::Connection::open(folder.path("data/journal.db")).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    db.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
    drop(db);
    let path = folder.path("data/journal.db");
    let whole = fs::read(&path).unwrap();
    let intact = content(&path).unwrap();
    let copy = folder.path("copy.db");
    let (mut found, mut unused) = (0, 0);
    // A step without a common factor with the sizes of pages and cells, so that it comes everywhere.
    for at in (0..whole.len()).step_by(131) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&copy, &bytes).unwrap();
        match content(&copy) {
            Err(_) => found += 1,
            Ok(text) => {
                assert!(text == intact, "a flipped byte at {at} changed what is read, and nothing told");
                unused += 1;
            }
        }
    }
    assert!(found > 50, "{found} flips were found, and {unused} were in unused space");
}

/// The content of the journal's files. An empty write-ahead log is none, and its index is what SQLite has in memory.
fn files_of(folder: &Folder) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let read = |name| fs::read(folder.path("data").join(name)).ok().filter(|bytes| !bytes.is_empty());
    ["journal.db", "journal.db-wal", HEAD_NAME].map(|name| (name, read(name))).to_vec()
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
        assert_eq!(before[1].1.is_some(), is_killed);
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

/// Appends a record to the chain as another version would have written it.
fn append(folder: &Folder, kind: &str, data: &serde_json::Value) {
    let path = folder.path("data/journal.db");
    let head = Store::open_read_only(&path).unwrap().verify().unwrap().head;
    let data = data.to_string();
    let content = Content { at_ms: 1_700_000_000_000, kind, event: None, run: None, entity: None, data: &data };
    let (seq, digest) = (head.seq + 1, content.digest());
    let hash = link(&head.hash, seq, &digest);
    let db = rusqlite::Connection::open(&path).unwrap();
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
    append(&folder, "started", &json!({ "kind": "started", "version": "0.0.9", "rules_hash": "", "dry_run": false }));
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
    append(&folder, "yet-unknown", &json!({ "kind": "yet-unknown", "of": "the future" }));
    let refused = folder.start_in_vain();
    assert_eq!(refused.status.code(), Some(5), "{}", said(&refused));
    let writer = format!("stanch {} wrote it", env!("CARGO_PKG_VERSION"));
    for word in ["`yet-unknown`", "intact", &writer, "stanch restore"] {
        assert!(said(&refused).contains(word), "no {word:?} in {}", said(&refused));
    }
    assert!(!said(&refused).contains("damaged"), "{}", said(&refused));
    // The chain holds, whatever its records mean.
    assert!(folder.run(&["audit", "verify"]).status.success());
    let copy = folder.path("copy.db");
    assert!(folder.run(&["backup", copy.to_str().unwrap()]).status.success());
}

#[test]
fn an_empty_file_is_no_journal_to_verify() {
    let folder = Folder::with_rules(UNCONCERNED);
    fs::create_dir(folder.path("data")).unwrap();
    fs::write(folder.path("data").join(FILE_NAME), "").unwrap();
    let verified = folder.run(&["audit", "verify"]);
    assert_eq!(verified.status.code(), Some(5), "{}", said(&verified));
    assert!(said(&verified).contains("no schema"), "{}", said(&verified));
}

#[test]
fn json_on_a_terminal_steers_nothing() {
    let daemon = Folder::with_rules(UNCONCERNED).start();
    let title = "\u{202e}back\u{9b}2J\u{7f}\u{e0041}";
    daemon.accept(&with(incident("e1", "i1"), &[("/incident/title", json!(title))]));
    daemon.decided("e1");
    let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}' || c == '\u{e0041}';
    let show = daemon.folder.json(&["events", "show", "e1"]);
    assert_eq!(show["event"]["title"], json!(title));
    for args in [&["audit", "export"][..], &["events", "show", "e1", "--format", "json"]] {
        let text = String::from_utf8(daemon.folder.run(args).stdout).unwrap();
        assert!(!text.contains(steers), "{args:?}: {text:?}");
        assert!(text.contains("\\u202eback"), "{args:?}: {text}");
    }
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
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/journal-v{version}.db"));
    fs::copy(folder.path("data/journal.db"), &made).unwrap();
}
