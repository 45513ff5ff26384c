use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::rule::diagnostic::{Format, render};

const CONFIG: &str = "sources: [ { name: flashduty, path: /flashduty, auth: none } ]\n";

fn config(folder: &Path) -> Config {
    fs::write(folder.join("stanch.yaml"), CONFIG).unwrap();
    crate::config::load::load(&folder.join("stanch.yaml")).unwrap().config
}

fn rule(id: &str) -> String {
    format!("rules:\n  - {{ id: {id}, match: {{ events: [i_new], channels: [\"*\"] }}, steps: [ {{ wait: 1s }} ] }}\n")
}

fn codes(loaded: &Loaded) -> Vec<&str> {
    loaded.diagnostics.iter().map(|found| found.code).collect()
}

#[test]
fn folders_are_searched_in_order_and_hidden_files_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    fs::create_dir_all(dir.path().join("rules/deep/deeper")).unwrap();
    fs::write(dir.path().join("rules/b.yml"), rule("b")).unwrap();
    fs::write(dir.path().join("rules/deep/deeper/a.yaml"), rule("a")).unwrap();
    fs::write(dir.path().join("rules/.hidden.yaml"), "nonsense: [").unwrap();
    fs::write(dir.path().join("rules/notes.txt"), "nonsense: [").unwrap();
    let loaded = load(&config, 1);
    let ids: Vec<&str> = loaded.set.as_ref().unwrap().rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(loaded.summary.files, 2);

    let again = load(&config, 2);
    assert_eq!(loaded.set.unwrap().hash, again.set.unwrap().hash);
    fs::write(dir.path().join("rules/b.yml"), rule("c")).unwrap();
    let changed = load(&config, 3).set.unwrap().hash;
    assert_ne!(changed, load_paths(&config, &[dir.path().join("rules/b.yml")]).set.unwrap().hash);
}

#[test]
fn one_id_in_two_files_is_shown_at_both_places() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    fs::create_dir_all(dir.path().join("rules")).unwrap();
    fs::write(dir.path().join("rules/a.yaml"), rule("same")).unwrap();
    fs::write(dir.path().join("rules/b.yaml"), rule("same")).unwrap();
    let loaded = load(&config, 1);
    assert_eq!(codes(&loaded), ["duplicate-rule", "duplicate-rule"]);
    assert!(loaded.diagnostics[0].message.contains("b.yaml:2:5"), "{:?}", loaded.diagnostics[0]);
    assert!(loaded.diagnostics[1].message.contains("a.yaml:2:5"), "{:?}", loaded.diagnostics[1]);
    assert!(loaded.set.is_none());
}

#[test]
fn a_broken_file_does_not_hide_the_problems_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    fs::create_dir_all(dir.path().join("rules")).unwrap();
    fs::write(dir.path().join("rules/a.yaml"), "rules: [").unwrap();
    fs::write(dir.path().join("rules/b.yaml"), rule("B")).unwrap();
    fs::write(dir.path().join("rules/c.yaml"), b"rules: \xff").unwrap();
    fs::write(dir.path().join("rules/d.yaml"), " ".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(codes(&load(&config, 1)), ["yaml-syntax", "rule-id", "not-utf8", "file-too-large"]);
}

#[test]
fn links_are_followed_inside_the_folder_alone() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    fs::create_dir_all(dir.path().join("rules/..data")).unwrap();
    fs::create_dir_all(dir.path().join("elsewhere")).unwrap();
    fs::write(dir.path().join("rules/..data/a.yaml"), rule("a")).unwrap();
    fs::write(dir.path().join("elsewhere/b.yaml"), rule("b")).unwrap();
    symlink("..data/a.yaml", dir.path().join("rules/a.yaml")).unwrap();
    symlink("a.yaml", dir.path().join("rules/z.yaml")).unwrap();
    symlink("../elsewhere/b.yaml", dir.path().join("rules/b.yaml")).unwrap();
    symlink("../elsewhere", dir.path().join("rules/c")).unwrap();
    symlink("..", dir.path().join("rules/loop")).unwrap();
    let loaded = load(&config, 1);
    assert_eq!(codes(&loaded), ["symlink-skipped", "symlink-skipped", "symlink-skipped"]);
    assert_eq!(loaded.set.unwrap().rules.len(), 1);
}

#[test]
fn missing_and_empty_folders_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let loaded = load(&config, 1);
    assert_eq!(codes(&loaded), ["rules-folder"]);
    assert!(loaded.set.is_none());
    fs::create_dir_all(dir.path().join("rules")).unwrap();
    let loaded = load(&config, 1);
    assert_eq!(codes(&loaded), ["no-rules"]);
    assert!(loaded.set.unwrap().rules.is_empty());
    assert_eq!(codes(&load_paths(&config, &[dir.path().join("nope.yaml")])), ["file-unreadable"]);
}

#[test]
fn a_module_that_others_could_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    fs::create_dir_all(dir.path().join("rules")).unwrap();
    fs::create_dir_all(dir.path().join("scripts")).unwrap();
    fs::write(dir.path().join("rules/a.yaml"), rule("a")).unwrap();
    let module = dir.path().join("scripts/gate.rhai");
    fs::write(&module, "fn wanted(x) { true }").unwrap();
    let loaded = load(&config, 1);
    assert_eq!((codes(&loaded), loaded.summary.modules), (vec![], 1));
    fs::set_permissions(&module, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(codes(&load(&config, 1)), ["program-unsafe"]);
}

#[test]
fn people_see_the_line_with_the_place_underlined() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    fs::create_dir_all(dir.path().join("rules")).unwrap();
    fs::write(dir.path().join("rules/a.yaml"), "rules:\n  - id: é\u{1b}[31mX\n").unwrap();
    let loaded = load_paths(&config, &[dir.path().join("rules/a.yaml")]);
    let shown = render(Format::Human { colour: false }, &loaded.diagnostics, &loaded.sources);
    let name = dir.path().join("rules/a.yaml");
    assert!(shown.contains(&format!("--> {}:", name.display())), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}
