//! What must not start, does not, and says why.

use std::os::unix::fs::FileExt;

use crate::support::{Folder, incident, marking_rule};

/// Starts in vain and returns the exit code and what was said.
fn refused(folder: &Folder) -> (Option<i32>, String) {
    let output = folder.start_in_vain();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn folder() -> Folder {
    Folder::with_rules(&format!("rules:\n{}", marking_rule("mark", "")))
}

#[test]
fn without_a_usable_secret_there_is_no_start() {
    for (text, mode) in [("", 0o600), ("   \n", 0o600), ("short", 0o600), ("a-secret-others-can-write", 0o666)] {
        let folder = folder();
        folder.write("secrets/token", text, mode);
        let (code, said) = refused(&folder);
        assert_eq!(code, Some(3), "{text:?}: {said}");
        assert!(said.contains("secrets/token"), "{said}");
    }
    let folder = folder();
    std::fs::remove_file(folder.path("secrets/token")).unwrap();
    assert_eq!(refused(&folder).0, Some(3));
}

#[test]
fn an_open_webhook_off_loopback_is_refused() {
    let folder = folder();
    let config = "listen: 0.0.0.0:0\nsources: [ { name: s, path: /s, auth: none } ]\n";
    folder.write("stanch.yaml", config, 0o644);
    let (code, said) = refused(&folder);
    assert_eq!(code, Some(3), "{said}");
    folder.write("stanch.yaml", "listen: 127.0.0.1:0\nsources: [ { name: s, path: /s } ]\n", 0o644);
    assert_eq!(refused(&folder).0, Some(3), "no auth at all is not `auth: none`");
}

#[test]
fn broken_rules_and_untrustworthy_scripts_are_refused() {
    let rule = |step: &str| {
        format!(
            "rules:\n  - id: one\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    steps:\n      - {step}\n"
        )
    };
    for (step, code) in [
        ("run: [sh, -c, \"rm {{ labels.resource }}\"]", "template-as-code"),
        ("shell: rm {{ labels.resource }}", "template-in-shell"),
        ("run: [./scripts/open.sh]", "program-unsafe"),
        ("run: [./scripts/none.sh]", "program-missing"),
    ] {
        let folder = Folder::with_rules(&rule(step));
        folder.write("scripts/open.sh", "#!/bin/sh\n", 0o777);
        let (exit, said) = refused(&folder);
        assert_eq!(exit, Some(3), "{step}: {said}");
        let checked = folder.run(&["check"]);
        assert_eq!(checked.status.code(), Some(1), "{step}");
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(said.contains(code), "{step} is not {code}: {said}");
    }
}

#[test]
fn one_daemon_a_journal() {
    let daemon = folder().start();
    let second = folder();
    let text = format!("{}data: {}\n", second.read("stanch.yaml"), daemon.folder.path("data").display());
    second.write("stanch.yaml", &text, 0o644);
    let (code, said) = refused(&second);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("in use"), "{said}");
}

#[test]
fn a_chain_that_became_shorter_and_a_changed_record_are_found() {
    let daemon = folder().start();
    for number in 0..5 {
        daemon.accept(&incident(&format!("e{number}"), &format!("i{number}")));
    }
    daemon.decided("e4");
    let folder = daemon.stop();
    assert!(folder.run(&["audit", "verify"]).status.success());

    let db = rusqlite::Connection::open(folder.path("data/journal.db")).unwrap();
    db.execute(
        "UPDATE record SET payload = replace(payload, 'disk', 'dusk') WHERE event = 'e2' AND kind = 'received'",
        [],
    )
    .unwrap();
    let verified = folder.run(&["audit", "verify"]);
    assert_eq!(verified.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&verified.stderr).contains("was changed"), "{verified:?}");

    db.execute("DELETE FROM record WHERE seq > (SELECT max(seq) - 2 FROM record)", []).unwrap();
    drop(db);
    let (code, said) = refused(&folder);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("lost"), "{said}");
}

#[test]
fn a_file_that_is_no_journal_is_refused() {
    let folder = folder();
    std::fs::create_dir(folder.path("data")).unwrap();
    let file = std::fs::File::create(folder.path("data/journal.db")).unwrap();
    file.write_all_at(&[7; 8192], 0).unwrap();
    let (code, said) = refused(&folder);
    assert_eq!(code, Some(5), "{said}");
}
