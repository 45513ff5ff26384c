//! The journal through its handle, on a file in a folder of its own.

use std::fs::TryLockError;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::chain::{Head, HeadFile, Outside};
use super::read::Reader;
use super::record::{PauseScope, Record};
use super::retention::RECORDS_KEPT_MIN;
use super::store::{SCHEMA_VERSION, StoreError, Verified};
use super::writer::Submission;
use super::{
    Admitted, Committed, FILE_NAME, HEAD_NAME, Intake, Journal, Opened, RecordSink, Recovered, Refused, UNDECIDED_MAX,
    take_within,
};
use crate::clock::{ManualClock, Timestamp};
use crate::config::Retention;
use crate::event::Event;

const NOW: Timestamp = Timestamp::from_millis(1_772_625_600_000);

fn push(id: &str, title: &str) -> Event {
    let push = json!({ "event_id": id, "event_type": "i_new", "incident": { "incident_id": "i", "title": title } });
    crate::event::read(push.to_string().into(), "a".into(), NOW).unwrap()
}

/// Opens the journal; with `pages`, its file may not become larger than it is by more than so many pages.
fn open_with_room(data: &Path, pages: Option<u32>) -> Opened {
    let recovered = Recovered::open(data, false).unwrap();
    if let Some(pages) = pages {
        let db = recovered.store.db();
        let count: u32 = db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        db.query_row(&format!("PRAGMA max_page_count = {}", count + pages), [], |_| Ok(())).unwrap();
    }
    recovered.start(std::sync::Arc::new(ManualClock::at(NOW)), |_| {}).unwrap().1
}

fn open(data: &Path) -> Opened {
    open_with_room(data, None)
}

fn close(opened: Opened) {
    opened.journal.close();
    opened.writer.join().unwrap();
}

/// Keeps the writer busy until the sender is dropped, so that what is submitted meanwhile becomes one batch.
fn block(journal: &Journal) -> std::sync::mpsc::Sender<()> {
    let (release, released) = std::sync::mpsc::channel();
    let (busy, is_busy) = std::sync::mpsc::channel();
    let work = Box::new(move |_: &mut super::store::Store| {
        busy.send(()).unwrap();
        released.recv().unwrap_err();
    });
    assert!(journal.submissions.send(Submission::Maintain(work)).is_ok());
    is_busy.recv().unwrap();
    release
}

fn resumed() -> Record {
    Record::Resumed { scope: PauseScope::Everything, by: None }
}

fn paused(reason: String) -> Record {
    Record::Paused { reason: Some(reason), until: None, scope: PauseScope::Everything, by: None }
}

/// More than a page holds.
fn large() -> String {
    "x".repeat(100_000)
}

#[tokio::test]
async fn a_batch_is_committed_in_order_and_tells_repeated_pushes_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    let journal = opened.journal.clone();
    let release = block(&journal);
    let (a, b, same, other, record) = {
        // Each future submits when it is first polled; `join!` polls them in this order, and then they wait.
        let submit = async {
            tokio::join!(
                journal.admit(push("e1", "one")),
                journal.admit(push("e2", "two")),
                journal.admit(push("e1", "one")),
                journal.admit(push("e2", "other")),
                journal.append(vec![resumed(), Record::Stopped]),
            )
        };
        let release = async {
            tokio::task::yield_now().await;
            drop(release);
        };
        tokio::join!(submit, release).0
    };
    assert_eq!((a, b), (Ok(Admitted::Accepted), Ok(Admitted::Accepted)));
    assert_eq!((same, other), (Ok(Admitted::Duplicate), Ok(Admitted::Conflict)));
    assert_eq!(record, Ok(()));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(match opened.committed.recv().await.unwrap() {
            Committed::Push { seq, event, .. } => (seq, event.id.to_string()),
            Committed::Record { seq, record, .. } => (seq, record.kind().to_owned()),
        });
    }
    let expected = [(1, "e1"), (2, "e2"), (3, "resumed"), (4, "stopped")];
    assert_eq!(seen, expected.map(|(seq, name)| (seq, name.to_owned())));
    close(opened);
}

#[tokio::test]
async fn a_push_stays_single_over_a_restart_and_the_undecided_are_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    assert_eq!(opened.journal.admit(push("e1", "one")).await, Ok(Admitted::Accepted));
    close(opened);
    let mut recovered = Recovered::open(folder.path(), false).unwrap();
    let left = recovered.history.drain_undecided();
    assert_eq!(left.iter().map(|left| (left.seq, left.event.as_str())).collect::<Vec<_>>(), [(1, "e1")]);
    drop(recovered);
    let opened = open(folder.path());
    assert_eq!(opened.journal.admit(push("e1", "one")).await, Ok(Admitted::Duplicate));
    assert_eq!(opened.journal.admit(push("e1", "two")).await, Ok(Admitted::Conflict));
    close(opened);
}

#[tokio::test]
async fn too_many_undecided_are_refused_until_some_are_decided() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    let taken = std::sync::Arc::clone(&opened.journal.undecided).try_acquire_many_owned(UNDECIDED_MAX as u32 - 1);
    assert_eq!(opened.journal.admit(push("e1", "one")).await, Ok(Admitted::Accepted));
    let overloaded = Err(Refused::Overloaded { waiting: UNDECIDED_MAX });
    assert_eq!(opened.journal.admit(push("e2", "two")).await, overloaded);
    drop(opened.committed.recv().await);
    assert_eq!(opened.journal.admit(push("e2", "two")).await, Ok(Admitted::Accepted));
    drop(taken);
    close(opened);
}

#[tokio::test]
async fn after_the_close_everything_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let journal = opened.journal.clone();
    close(opened);
    let closed = Refused::Closed { reason: "the daemon stops".into() };
    assert_eq!(journal.admit(push("e1", "one")).await, Err(closed.clone()));
    assert_eq!(journal.append(vec![resumed()]).await, Err(closed));
}

#[tokio::test]
async fn a_full_disk_refuses_pushes_and_the_journal_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open_with_room(folder.path(), Some(2));
    match opened.journal.admit(push("e1", &large())).await {
        Err(Refused::Unwritten { reason }) => assert!(reason.contains("full"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(opened.journal.admit(push("e2", "small")).await, Ok(Admitted::Accepted));
    close(opened);
    let reader = Reader::open(&folder.path().join(FILE_NAME)).unwrap();
    assert_eq!(reader.verify().unwrap().head.seq, 1);
}

#[tokio::test]
async fn a_record_lost_to_a_full_disk_closes_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open_with_room(folder.path(), Some(2));
    match opened.journal.append(vec![paused(large())]).await {
        Err(Refused::Closed { reason }) => assert!(reason.contains("full"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(opened.journal.closed_now().is_some_and(|reason| reason.contains("full")));
    opened.writer.join().unwrap();
}

#[tokio::test]
async fn a_record_behind_a_push_that_failed_closes_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open_with_room(folder.path(), Some(2));
    let journal = opened.journal.clone();
    let release = block(&journal);
    let submit = async { tokio::join!(journal.admit(push("e1", &large())), journal.append(vec![resumed()])) };
    let release = async {
        tokio::task::yield_now().await;
        drop(release);
    };
    let ((pushed, recorded), ()) = tokio::join!(submit, release);
    for refused in [pushed.map(drop), recorded] {
        match refused {
            Err(Refused::Closed { reason }) => assert!(reason.contains("full"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(opened.journal.closed_now().is_some());
    opened.writer.join().unwrap();
}

#[tokio::test]
async fn maintenance_and_the_close_behind_a_push_that_failed_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open_with_room(folder.path(), Some(2));
    let journal = opened.journal.clone();
    let release = block(&journal);
    let (done, is_done) = tokio::sync::oneshot::channel();
    let submit = async { journal.admit(push("e1", &large())).await };
    let rest = async {
        tokio::task::yield_now().await;
        let work = Box::new(move |_: &mut super::store::Store| done.send(()).unwrap());
        assert!(journal.submissions.send(Submission::Maintain(work)).is_ok());
        journal.close();
        drop(release);
    };
    let (pushed, ()) = tokio::join!(submit, rest);
    assert!(matches!(pushed, Err(Refused::Unwritten { .. })), "{pushed:?}");
    assert_eq!(is_done.await, Ok(()));
    let closed = tokio::time::timeout(Duration::from_secs(30), journal.closed()).await;
    assert_eq!(closed.as_deref(), Ok("the daemon stops"));
    opened.writer.join().unwrap();
}

#[tokio::test]
async fn a_second_opener_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    assert!(matches!(Recovered::open(folder.path(), false), Err(StoreError::InUse { .. })));
    close(opened);
    assert!(Recovered::open(folder.path(), false).is_ok());
}

#[test]
fn a_lock_that_is_let_go_of_meanwhile_is_taken_and_one_that_is_kept_is_not() {
    let mut refusals = 3;
    let let_go = || match refusals {
        0 => Ok(()),
        _ => {
            refusals -= 1;
            Err(TryLockError::WouldBlock)
        }
    };
    assert!(take_within(Duration::MAX, let_go).is_ok());
    let kept = take_within(Duration::from_millis(1), || Err(TryLockError::WouldBlock));
    assert!(matches!(kept, Err(TryLockError::WouldBlock)));
}

#[test]
fn a_newer_schema_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let newer = SCHEMA_VERSION + 1;
    let recovered = Recovered::open(folder.path(), false).unwrap();
    recovered.store.db().pragma_update(None, "user_version", newer).unwrap();
    drop(recovered);
    match Recovered::open(folder.path(), false) {
        Err(StoreError::TooNew { found, .. }) => assert_eq!(found, newer),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_journal_shorter_than_its_head_says_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    opened.journal.append(vec![resumed()]).await.unwrap();
    close(opened);
    let head_file = HeadFile::open(&folder.path().join(HEAD_NAME)).unwrap();
    let Outside::Known(head) = head_file.read().unwrap() else { panic!("no head was noted") };
    head_file.write(&Head { seq: head.seq + 1, ..head }).unwrap();
    match Recovered::open(folder.path(), false) {
        Err(StoreError::Damaged { what, .. }) => assert!(what.contains("its last commits are lost"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_nobody_wants_any_more_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    opened.journal.append((0..2_000).map(|_| resumed()).collect()).await.unwrap();
    let read = |is_unwanted: bool| {
        let reader = Reader::open(opened.journal.path()).unwrap().until(move || is_unwanted).unwrap();
        (reader.verify().map(|verified| verified.head.seq), reader.scan(1, |_| true))
    };
    assert!(matches!(read(false), (Ok(2_000), Ok(()))));
    let is_cut = |error| matches!(error, StoreError::Sqlite { source, .. } if source.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted));
    let (verified, scanned) = read(true);
    assert!(is_cut(verified.unwrap_err()) && is_cut(scanned.unwrap_err()));
    close(opened);
}

#[tokio::test]
async fn signs_are_given_while_a_journal_is_folded() {
    static SIGNS: AtomicUsize = AtomicUsize::new(0);
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    opened.journal.append(vec![resumed(); 5_000]).await.unwrap();
    close(opened);
    let count = || {
        SIGNS.fetch_add(1, Ordering::Relaxed);
    };
    let recovered = Recovered::open_telling(folder.path(), false, count).unwrap();
    let signs = SIGNS.load(Ordering::Relaxed);
    assert!(signs > 0);
    // Whoever asked is not told of what comes after the start.
    recovered.store.verify().unwrap();
    assert_eq!(SIGNS.load(Ordering::Relaxed), signs);
}

#[tokio::test]
async fn retention_keeps_what_a_restart_needs() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let journal = &opened.journal;
    journal.append_folded(NOW, vec![resumed(), paused("maintenance".into())]).await.unwrap();
    journal.admit(push("e1", "one")).await.unwrap();
    let hour = Duration::from_secs(3_600);
    let shortest = Retention { events: hour, runs: hour };
    // Within the time for which slots are remembered only the body goes.
    assert_eq!(journal.retain(&shortest, NOW.plus(RECORDS_KEPT_MIN)).await, 1);
    let much_later = NOW.plus(RECORDS_KEPT_MIN * 10);
    // Something must be left, so that there is a number before which all is old.
    journal.append_folded(much_later, vec![Record::Stopped]).await.unwrap();
    assert_eq!(journal.retain(&shortest, much_later).await, 1);
    assert_eq!(journal.retain(&shortest, much_later).await, 0);
    let reader = Reader::open(journal.path()).unwrap();
    assert_eq!(reader.verify().unwrap(), Verified { dropped: 1, head: reader.verify().unwrap().head });
    journal.append_folded(much_later, vec![resumed()]).await.unwrap();
    assert_eq!(journal.retain(&shortest, much_later).await, 2);
    assert_eq!(reader.verify().unwrap().dropped, 3);
    close(opened);
}

#[tokio::test]
async fn retention_leaves_a_chain_that_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    for number in 0..3 {
        opened.journal.admit(push(&format!("e{number}"), "old")).await.unwrap();
    }
    let later = NOW.plus(RECORDS_KEPT_MIN).plus(Duration::from_secs(100));
    opened.journal.append_folded(later, vec![resumed()]).await.unwrap();
    let keep = |seconds| Duration::from_secs(seconds);
    let journal = &opened.journal;
    let reader = Reader::open(journal.path()).unwrap();
    // First only the bodies go, then the records.
    let longer = RECORDS_KEPT_MIN + keep(500);
    assert_eq!(journal.retain(&Retention { events: keep(50), runs: longer }, later).await, 3);
    assert!(reader.push_at(1).unwrap().unwrap().payload.is_none());
    assert_eq!(reader.verify().unwrap().head.seq, 4);
    assert_eq!(journal.retain(&Retention { events: keep(50), runs: keep(50) }, later).await, 3);
    assert!(reader.push_at(1).unwrap().is_none());
    assert_eq!(reader.verify().unwrap().head.seq, 4);
    assert_eq!(journal.retain(&Retention { events: keep(50), runs: keep(50) }, later).await, 0);
    assert_eq!(journal.admit(push("e9", "new")).await, Ok(Admitted::Accepted));
    assert_eq!(reader.verify().unwrap().head.seq, 5);
    close(opened);
}
