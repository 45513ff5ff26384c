//! Moving the write-ahead log into the database: cut off or failing at any point of it, it loses nothing that was answered
//! with 200. strace looks only at calls on the database itself, which nothing but checkpoints writes to.

use serde_json::json;

use crate::faults::{received, verifies};
use crate::support::{Daemon, Folder, TOKEN, UNCONCERNED, incident, try_post, wait_for, with};

/// Large pushes, so that few make a log long enough: two checkpoints of some thousand pages.
const PUSHES: usize = 200;
const PUSH_BYTES: usize = 200_000;

/// A daemon that has run before, with these faults of the calls on its database.
fn start(calls: &str, fault: &str) -> Daemon {
    let folder = Folder::with_rules(UNCONCERNED).start().stop();
    let path = folder.path("data/journal.db");
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{fault}"));
    folder.traced(&["-P", path.to_str().unwrap(), "-e", &trace, "-e", &inject]).start()
}

/// Sends pushes until one is not accepted. Gives the ids of those that were.
fn send(daemon: &Daemon) -> Vec<String> {
    let mut accepted = Vec::new();
    for number in 0..PUSHES {
        let event = format!("e{number}");
        let description = json!("x".repeat(PUSH_BYTES));
        let push = with(incident(&event, &format!("i{number}")), &[("/incident/description", description)]);
        match try_post(daemon.folder.addr, TOKEN, push.to_string().as_bytes()) {
            Ok((200, _)) => accepted.push(event),
            Ok((status, answer)) => {
                assert_eq!(status, 503, "{answer}");
                break;
            }
            Err(_) => break,
        }
    }
    accepted
}

/// Starts the daemon again, and looks for what was accepted.
fn nothing_is_lost(folder: Folder, accepted: &[String], when: &str) {
    let daemon = folder.traced(&[]).start();
    daemon.decided(accepted.last().unwrap());
    let folder = daemon.stop();
    let kept = received(&folder);
    let lost: Vec<_> = accepted.iter().filter(|event| !kept.contains(*event)).collect();
    assert!(lost.is_empty(), "{lost:?} got 200 and are lost {when}");
    verifies(&folder);
}

#[test]
fn a_kill_at_any_point_of_a_checkpoint_loses_nothing() {
    for (calls, nth) in [("pwrite64", 1), ("pwrite64", 700), ("pwrite64", 2_500), ("fdatasync", 1), ("fdatasync", 2)] {
        let when = format!("after a kill at call {nth} of {calls}");
        let mut daemon = start(calls, &format!("signal=KILL:when={nth}"));
        let accepted = send(&daemon);
        assert!((1..PUSHES).contains(&accepted.len()), "{} accepted: no kill at call {nth} of {calls}", accepted.len());
        wait_for("the killed daemon to be gone", || daemon.has_ended().then_some(()).ok_or_else(|| when.clone()));
        nothing_is_lost(daemon.kill(), &accepted, &when);
    }
}

#[test]
fn a_checkpoint_that_fails_ends_the_daemon_with_the_reason() {
    for (calls, said) in [("fdatasync", "cannot sync the journal"), ("pwrite64", "cannot checkpoint the journal")] {
        let daemon = start(calls, "error=EIO:when=1+");
        let accepted = send(&daemon);
        assert!((1..PUSHES).contains(&accepted.len()), "{} accepted after a failed {calls}", accepted.len());
        let (code, folder) = daemon.end_by_itself();
        let log = folder.read("log");
        assert_eq!(code, Some(5), "{log}");
        assert!(log.contains(said), "{log}");
        nothing_is_lost(folder, &accepted, &format!("after a failed {calls}"));
    }
}

#[test]
fn a_database_that_has_no_room_to_grow_stays_behind_its_log_and_says_so() {
    let daemon = start("pwrite64", "error=ENOSPC:when=1+");
    let accepted = send(&daemon);
    assert_eq!(accepted.len(), PUSHES);
    let folder = daemon.stop();
    let log = folder.read("log");
    assert!(log.contains("the write-ahead log of the journal stays long"), "{log}");
    nothing_is_lost(folder, &accepted, "after a full disk");
}
