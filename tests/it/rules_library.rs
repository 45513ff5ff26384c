//! The rules that come with Stanch: they pass the check and their own tests, say when not to use them, and each concerns
//! its own kind of event alone. Their scripts are tried in `library_scripts`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ::stanch as stanch_lib;
use serde_json::Value;

use crate::program::{both, stanch, stdout};
use crate::support::{Folder, wait_for, with};

/// A copy of what the rules need, with the modes that a careful checkout has.
fn library() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::copy(repository.join("stanch.yaml"), place.path().join("stanch.yaml")).unwrap();
    for folder in ["rules", "rules/fixtures", "scripts"] {
        let to = place.path().join(folder);
        fs::create_dir(&to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(repository.join(folder)).unwrap() {
            let from = entry.unwrap().path();
            if from.is_file() {
                let to = to.join(from.file_name().unwrap());
                fs::copy(&from, &to).unwrap();
                let executable = fs::metadata(&from).unwrap().permissions().mode() & 0o100 != 0;
                fs::set_permissions(&to, fs::Permissions::from_mode(if executable { 0o755 } else { 0o644 })).unwrap();
            }
        }
    }
    place
}

/// The names of the rule files, without their ending. Each holds the one rule of that name.
pub(crate) fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 12, "{names:?}");
    names
}

#[test]
fn the_rules_pass_the_check_without_a_warning() {
    let place = library();
    let output = stanch(place.path()).args(["check", "--deny", "warnings"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let found = format!("{0} rules in {0} files", names().len());
    assert!(stdout(&output).contains(&found), "{}", both(&output));
}

#[test]
fn the_rules_pass_their_own_tests_and_none_is_without() {
    let place = library();
    let output = stanch(place.path()).arg("test").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(!stdout(&output).contains("rules without a test"), "{}", both(&output));
}

#[test]
fn every_rule_is_tested_for_what_it_does_what_it_leaves_alone_and_a_retry() {
    let place = library();
    let config = stanch_lib::config::load::load(&place.path().join("stanch.yaml")).unwrap().config;
    let tests = stanch_lib::rule::load::load(&config, 1).tests;
    for name in names() {
        let file = format!("{name}.yaml");
        let mut outcomes: Vec<&str> = Vec::new();
        for test in tests.iter().filter(|test| test.place.file.ends_with(&file)) {
            let at_events = test.events.iter().flat_map(|event| event.expect.iter().flatten());
            outcomes.extend(test.expect.iter().flatten().chain(at_events).filter_map(|it| it.outcome.as_deref()));
        }
        for outcome in ["not-matched", "duplicate"] {
            assert!(outcomes.contains(&outcome), "{file} expects no {outcome}: {outcomes:?}");
        }
        let acts = ["run", "dry-run", "awaiting-approval"];
        assert!(outcomes.iter().any(|outcome| acts.contains(outcome)), "{file}: {outcomes:?}");
    }
}

#[test]
fn every_rule_checks_that_it_helped_and_is_bounded() {
    let place = library();
    let config = stanch_lib::config::load::load(&place.path().join("stanch.yaml")).unwrap().config;
    let set = stanch_lib::rule::load::load(&config, 1).set.unwrap();
    assert_eq!(set.rules.iter().map(|rule| rule.id.as_str().to_owned()).collect::<Vec<_>>(), names());
    for rule in &set.rules {
        assert!(rule.description.is_some() && rule.owner.is_some(), "{}", rule.id);
        assert!(rule.verify.is_some(), "{} verifies nothing", rule.id);
        assert!(rule.target.is_some(), "{} names no target", rule.id);
        let guards = &rule.guards;
        assert!(guards.cooldown.is_some() || guards.hold.is_some(), "{} acts at once, and again at once", rule.id);
        let is_bounded = guards.blast_radius.is_some() || guards.attempts.is_some() || guards.rate.max <= 4;
        assert!(is_bounded, "{} has no bound of its own", rule.id);
    }
}

#[test]
fn each_rule_concerns_its_own_fixture_alone() {
    let place = library();
    for name in names() {
        let fixture = format!("rules/fixtures/{name}.json");
        let output = stanch(place.path()).args(["explain", &fixture, "--format", "json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
        let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let rules = answer["current"]["rules"].as_array().unwrap();
        assert_eq!(rules.len(), names().len(), "{answer}");
        for explained in rules {
            assert_eq!(explained["outcome"] == "not-matched", explained["rule"] != name.as_str(), "{explained}");
        }
    }
}

#[test]
fn fixtures_are_whole_pushes() {
    for name in names() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/fixtures").join(format!("{name}.json"));
        let push: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        // Names as the vendor documents them; a fixture without one of them teaches a wrong shape.
        let (part, fields) = if push["incident"].is_object() {
            ("incident", &["incident_id", "incident_severity", "num", "dedup_key", "responders", "detail_url"][..])
        } else {
            ("alert", &["alert_id", "alert_key", "alert_severity", "data_source_type", "event_cnt", "incident"][..])
        };
        for field in fields.iter().chain(&["title", "progress", "channel_id", "channel_name", "labels", "account_id"]) {
            assert!(!push[part][field].is_null(), "{}: {part}.{field}", path.display());
        }
    }
}

#[test]
fn a_rule_of_the_library_acts_in_the_daemon_and_hands_over_what_it_cannot_do() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(repository.join("rules/certificate-expiring.yaml")).unwrap();
    let folder = Folder::with_rules(&text);
    let copies = library();
    for part in ["rules/fixtures", "scripts"] {
        fs::create_dir_all(folder.path(part)).unwrap();
        for entry in fs::read_dir(copies.path().join(part)).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, folder.path(part).join(from.file_name().unwrap())).unwrap();
        }
    }
    let daemon = folder.start();
    // This machine keeps no certificate of that name, so the script refuses, wherever the tests run.
    let push = fs::read_to_string(repository.join("rules/fixtures/certificate-expiring.json")).unwrap();
    let push = with(
        serde_json::from_str(&push).unwrap(),
        &[
            ("/incident/labels/resource", "localhost".into()),
            ("/incident/labels/domain", "no-such-name.example.com".into()),
        ],
    );
    daemon.accept(&push);
    let run = daemon.ended(push["event_id"].as_str().unwrap());
    assert_eq!(run["run"]["state"], "failed", "{run}");
    let told = wait_for("the note to a person", || {
        let story = daemon.folder.json(&["events", "show", push["event_id"].as_str().unwrap()]).to_string();
        if story.contains("needs a person") { Ok(story) } else { Err(story) }
    });
    assert!(told.contains("no-such-name.example.com needs a person: "), "{told}");
}
