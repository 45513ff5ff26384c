//! The example of a button in Flashduty: its rule passes its tests, and a press does what the walk-through says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::flashduty::{APP_KEY, Vendor};
use crate::support::{Folder, TOKEN, post_to, wait_for, with};

/// The folder of the example, with a free port, the secret of the tests, and the fake Flashduty.
fn example(vendor: &Vendor) -> Folder {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/custom-action");
    let folder = Folder::with_rules(&fs::read_to_string(from.join("rules/restart.yaml")).unwrap());
    fs::create_dir(folder.path("rules/fixtures")).unwrap();
    fs::copy(from.join("rules/fixtures/pressed.json"), folder.path("rules/fixtures/pressed.json")).unwrap();
    fs::copy(from.join("scripts/restart.sh"), folder.path("scripts/restart.sh")).unwrap();
    fs::set_permissions(folder.path("scripts/restart.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    folder.write("secrets/webhook-token", TOKEN, 0o600);
    folder.write("secrets/app-key", APP_KEY, 0o600);
    let config = fs::read_to_string(from.join("stanch.yaml")).unwrap();
    let config = config.replace("127.0.0.1:8080", &folder.addr.to_string()).replace(
        "# flashduty: { app_key: { file: secrets/app-key } }",
        &format!("flashduty: {{ api: \"{}\", app_key: {{ file: secrets/app-key }} }}", vendor.fake.url()),
    );
    assert!(config.contains("\nflashduty:"), "{config}");
    folder.write("stanch.yaml", &config, 0o644);
    folder
}

fn press() -> Value {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/custom-action/rules/fixtures/pressed.json");
    serde_json::from_str(&fs::read_to_string(fixture).unwrap()).unwrap()
}

#[test]
fn the_example_passes_its_check_and_its_tests() {
    let folder = example(&Vendor::start());
    let checked = folder.run(&["check", "--deny", "warnings"]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stderr));
    let tested = folder.run(&["test"]);
    let said = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(said.ends_with("3 passed, 0 failed\n"), "{said}");
}

#[test]
fn a_press_of_somebody_named_runs_the_rule_and_leaves_their_name_on_the_incident() {
    let vendor = Vendor::start();
    let daemon = example(&vendor).start();
    let press = press();
    let incident = press["incident"]["incident_id"].as_str().unwrap().to_owned();
    vendor.open(&incident);
    let send = |path: &str, event: &str, email: &str| {
        let person = json!({ "person_id": 1, "email": email });
        let body = with(press.clone(), &[("/event_id", json!(event)), ("/person", person)]);
        assert_eq!(post_to(daemon.folder.addr, path, TOKEN, body.to_string().as_bytes()).unwrap().0, 200);
    };
    send("/buttons/restart", "pressed", "wang.lei@example.com");
    assert_eq!(daemon.end_of("pressed"), "succeeded");
    assert_eq!(daemon.folder.read("restarted.txt"), "--host=web-03 --service=orders-api --by=wang.lei@example.com\n");
    wait_for("the comment", || match vendor.fake.comments(&incident).first() {
        Some(comment) if comment.contains("by wang.lei@example.com") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // Who pressed is on record.
    assert_eq!(daemon.decided("pressed")["body"]["person"]["email"], "wang.lei@example.com");

    // Anybody else, and any other path, leads to nothing, and the reason is told.
    send("/buttons/restart", "stranger", "somebody.else@example.com");
    send("/flashduty", "elsewhere", "wang.lei@example.com");
    for (event, clause) in [("stranger", "match.person"), ("elsewhere", "match.sources")] {
        assert!(daemon.decided(event)["event"]["decision"]["rules"].as_array().unwrap().is_empty());
        let why = daemon.folder.json(&["explain", "--event", event]);
        assert!(why.to_string().contains(clause), "{why}");
    }
    assert_eq!(daemon.stop().read("restarted.txt").lines().count(), 1);
}
