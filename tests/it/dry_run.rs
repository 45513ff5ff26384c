//! Dry-run: guards are asked, the plan is rendered and recorded, nothing is executed.

use serde_json::json;

use crate::support::{Folder, incident, marking_rule};

fn check_nothing_ran(folder: Folder) {
    let daemon = folder.start();
    daemon.accept(&incident("e1", "i1"));
    let story = daemon.decided("e1");
    let rule = &story["event"]["decision"]["rules"][0];
    assert_eq!(rule["outcome"], "dry-run");
    assert_eq!(rule["plan"]["target"], "db-07");
    assert!(rule["plan"]["steps"][0]["shell"].as_str().unwrap().contains(">> runs"), "{rule}");
    assert_eq!(story["runs"], json!([]));
    // The occasion is taken for further dry runs.
    daemon.accept(&incident("e2", "i1"));
    assert_eq!(daemon.outcome("e2").0, "suppressed");
    assert_eq!(daemon.stop().read("runs"), "");
}

#[test]
fn a_rule_in_dry_run_executes_nothing() {
    check_nothing_ran(Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", "    mode: dry-run\n"))));
}

#[test]
fn serve_dry_run_executes_nothing_whatever_the_rules_say() {
    check_nothing_ran(Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).arg("--dry-run"));
}

#[test]
fn the_ceiling_of_the_config_holds() {
    let folder = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", "")));
    check_nothing_ran(folder.config("mode: dry-run\n"));
    let folder = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", ""))).config("mode: \"off\"\n");
    let daemon = folder.start();
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.decided("e1")["event"]["decision"]["rules"], json!([]));
}

#[test]
fn a_dry_run_does_not_take_the_place_of_a_real_one() {
    let daemon = Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", "    mode: dry-run\n"))).start();
    daemon.accept(&incident("e1", "i1"));
    assert_eq!(daemon.outcome("e1").0, "dry-run");
    daemon.folder.write("rules/rules.yaml", &format!("rules:\n{}", marking_rule("mark", "")), 0o644);
    assert!(daemon.folder.run(&["reload"]).status.success());
    daemon.accept(&incident("e2", "i1"));
    assert_eq!(daemon.end_of("e2"), "succeeded");
}
