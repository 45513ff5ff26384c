//! Files of the journal that were cut, zeroed or changed: repaired, refused with a message, or found by `audit verify`.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Output;

use serde_json::json;
use stanch::journal::read::Reader;
use stanch::journal::{FILE_NAME, HEAD_NAME};

use crate::support::{Folder, UNCONCERNED, incident, marking_rule, with};

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// A folder whose daemon took five pushes and was killed, so that all of it is still in the write-ahead log.
pub(crate) fn killed() -> Folder {
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
