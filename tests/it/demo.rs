//! `stanch demo` tells a story that is true, and leaves nothing behind.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::program::{Running, both, program, stanch, stdout};

#[test]
fn it_shows_every_part_of_the_main_job_and_cleans_up() {
    let place = tempfile::tempdir().unwrap();
    let output = stanch(Path::new("/")).arg("demo").env("TMPDIR", place.path()).output().unwrap();
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    for told in [
        "200 accepted",
        "200 duplicate",
        "rule free-disk-space: run on db-07",
        // What the commands themselves said.
        "hosts/db-07/cache/report-1.tmp",
        "0 files left",
        "late:",
        "rule restart-service: dry-run on web-03",
        "--service orders-api",
        "failed with exit code 3",
        "no consumer is connected",
        "for the on-call of payments.settle: ",
        "match.labels.env expects",
        "401",
        "init my-stanch",
    ] {
        assert!(text.contains(told), "no {told:?} in:\n{text}");
    }
    assert!(!text.contains('\x1b'), "no colour where nobody sees it:\n{text}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "the folder is removed");
}

#[test]
fn the_loop_with_flashduty_closes_and_is_told() {
    let place = tempfile::tempdir().unwrap();
    let output = stanch(Path::new("/")).args(["demo", "--loop"]).env("TMPDIR", place.path()).output().unwrap();
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    for told in [
        "0 files left",
        "resolve: sent",
        "comment: sent",
        "disk full: / at 97%\" is Closed",
        "| Stanch: rule free-disk-space succeeded on db-07",
        "i_rslv came back",
        "somebody.else@example.com is not named",
        "by wang.lei@example.com",
        "recheck objects: incident",
        "resolve: sent at try 2",
        "comment: unknown",
        "1 taken in",
    ] {
        assert!(text.contains(told), "no {told:?} in:\n{text}");
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "the folder is removed");
}

#[test]
fn a_generous_umask_does_not_keep_it_from_working() {
    let place = tempfile::tempdir().unwrap();
    let output = program(Path::new("/bin/sh"))
        .args(["-c", "umask 002; exec \"$0\" demo", env!("CARGO_BIN_EXE_stanch")])
        .env("TMPDIR", place.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
}

#[test]
fn a_place_where_nothing_can_be_written_is_named() {
    let output = stanch(Path::new("/")).arg("demo").env("TMPDIR", "/nowhere/at/all").output().unwrap();
    assert_ne!(output.status.code(), Some(0));
    assert!(both(&output).contains("/nowhere/at/all"), "{}", both(&output));
}

#[test]
fn kept_it_answers_until_it_is_interrupted() {
    let place = tempfile::tempdir().unwrap();
    let mut child = stanch(Path::new("/"))
        .args(["demo", "--keep"])
        .env("TMPDIR", place.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(child.stdout.take().unwrap());
    let running = Running(child);
    let mut lines = told.lines().map(Result::unwrap);
    // The printed line is what a person copies; it has no words that need quoting.
    let line = lines.find(|line| line.contains(" send ")).expect("a line that sends");
    let arguments: Vec<&str> = line.split_whitespace().skip(1).collect();

    let output = stanch(Path::new("/")).args(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(stdout(&output).contains("\"accepted\""), "{}", both(&output));

    let ended = running.interrupt();
    assert_eq!(ended.code(), Some(0));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "the folder is removed");
    drop(lines);
}
