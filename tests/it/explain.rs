//! `stanch explain` takes a file or an event of the journal, one of them, and its other options with either.

use clap::Parser as _;
use stanch::cli::Cli;

fn is_accepted(arguments: &[&str]) -> bool {
    Cli::try_parse_from([&["stanch", "explain"], arguments].concat()).is_ok()
}

#[test]
fn options_go_with_a_file_and_with_an_event() {
    for arguments in [
        &["push.json"][..],
        &["push.json", "--rule", "disk-full", "--format", "json"],
        &["--event", "e-1"],
        &["--event", "e-1", "--rule", "disk-full", "--now", "--format", "json"],
    ] {
        assert!(is_accepted(arguments), "{arguments:?}");
    }
}

#[test]
fn it_is_about_exactly_one_event() {
    for arguments in [&[][..], &["--rule", "disk-full"], &["push.json", "--event", "e-1"], &["push.json", "--now"]] {
        assert!(!is_accepted(arguments), "{arguments:?}");
    }
}
