//! Faults of the disk, made by strace: what fails is told, nothing acts that cannot be recorded, and what was
//! answered with 200 is there afterwards.

use std::collections::HashSet;

use crate::support::{Daemon, Folder, TOKEN, UNCONCERNED, incident, marking_rule, try_post, wait_for};

/// The ids of all pushes in the journal of a folder.
pub(crate) fn received(folder: &Folder) -> HashSet<String> {
    let db = rusqlite::Connection::open(folder.path("data/journal.db")).unwrap();
    let mut statement = db.prepare("SELECT event FROM record WHERE kind = 'received'").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Sends pushes one after another until one is not accepted. Gives the ids of those that were, and what the last
/// was answered, if it was.
fn send_until_refused(daemon: &Daemon) -> (Vec<String>, Option<u16>) {
    let mut accepted = Vec::new();
    for number in 0..1_000 {
        let event = format!("e{number}");
        let body = incident(&event, &format!("i{number}")).to_string();
        match try_post(daemon.folder.addr, TOKEN, body.as_bytes()) {
            Ok((200, _)) => accepted.push(event),
            Ok((status, _)) => return (accepted, Some(status)),
            Err(_) => return (accepted, None),
        }
    }
    panic!("every push was accepted: {}", daemon.folder.read("log"));
}

pub(crate) fn verifies(folder: &Folder) {
    let verified = folder.run(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn after_a_failed_fsync_nothing_is_accepted_and_the_daemon_ends() {
    for when in [12, 19, 30] {
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={when}+");
        let folder = Folder::with_rules(UNCONCERNED).traced(&["-e", "trace=fsync,fdatasync", "-e", &inject]);
        let daemon = folder.start();
        let (accepted, refused) = send_until_refused(&daemon);
        // The commit that failed may have been that of a decision; then the daemon may be gone before it can answer.
        assert!(matches!(refused, None | Some(503)), "{refused:?}");
        assert!(!accepted.is_empty());
        let (code, folder) = daemon.end_by_itself();
        let log = folder.read("log");
        assert_eq!(code, Some(5), "{log}");
        assert!(log.contains("disk I/O error") && log.contains("journal.db"), "{log}");
        let daemon = folder.traced(&[]).start();
        daemon.decided(accepted.last().unwrap());
        let folder = daemon.stop();
        let kept = received(&folder);
        let lost: Vec<_> = accepted.iter().filter(|event| !kept.contains(*event)).collect();
        assert!(lost.is_empty(), "{lost:?} got 200 and are lost");
        verifies(&folder);
    }
}

#[test]
fn a_full_disk_refuses_pushes_until_there_is_room_again() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).start();
    daemon.accept(&incident("e0", "i0"));
    assert_eq!(daemon.end_of("e0"), "succeeded");
    let fault = daemon.fault("pwrite64", "ENOSPC");
    for event in ["e1", "e2"] {
        let (status, answer) = daemon.push(&incident(event, event));
        assert_eq!(status, 503, "{answer}");
    }
    drop(fault);
    // What was refused is not known: the sender's retry is a new event, and is acted upon once.
    daemon.accept(&incident("e1", "e1"));
    assert_eq!(daemon.end_of("e1"), "succeeded");
    let folder = daemon.stop();
    assert_eq!(folder.read("runs").lines().count(), 2);
    assert!(folder.read("log").contains("the journal could not be written"), "{}", folder.read("log"));
    assert_eq!(received(&folder), HashSet::from(["e0".to_owned(), "e1".to_owned()]));
    verifies(&folder);
}

#[test]
fn no_step_follows_one_whose_end_could_not_be_recorded() {
    for error in ["ENOSPC", "EROFS", "EIO"] {
        let rules = "rules:\n  - id: two\n    match: { events: [i_new], channels: [\"*\"] }\n    steps:\n      - shell: |\n          echo one >> runs\n          until [ -e go ]; do sleep 0.02; done\n      - shell: echo two >> runs\n";
        let daemon = Folder::with_rules(rules).start();
        daemon.accept(&incident("e1", "i1"));
        wait_for("the first step to begin", || match daemon.folder.read("runs").as_str() {
            "one\n" => Ok(()),
            other => Err(other.to_owned()),
        });
        let fault = daemon.fault("pwrite64", error);
        daemon.folder.write("go", "", 0o644);
        let (code, folder) = daemon.end_by_itself();
        drop(fault);
        assert_eq!(code, Some(5), "{error}: {}", folder.read("log"));
        let daemon = folder.start();
        assert_eq!(daemon.end_of("e1"), "interrupted", "{error}");
        let folder = daemon.stop();
        assert_eq!(folder.read("runs"), "one\n", "{error}");
        verifies(&folder);
    }
}

#[test]
fn a_data_folder_that_cannot_be_written_is_no_start() {
    for name in ["lock", "journal.db", "journal.head"] {
        let folder = Folder::with_rules(UNCONCERNED);
        let path = folder.path("data").join(name);
        let path = path.to_str().unwrap();
        let folder = folder.traced(&["-P", path, "-e", "trace=openat,open", "-e", "inject=openat,open:error=EROFS"]);
        let output = folder.start_in_vain();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{name}: {said}");
        assert!(said.contains(path) && said.contains("Read-only"), "{name}: {said}");
    }
}
