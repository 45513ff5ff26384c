//! Secrets of the config are searched for in everything that leaves the daemon or stays on disk, in every form in which
//! programs print them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::console_pages::pages;
use crate::support::{Daemon, Folder, TOKEN, incident, records, wait_for, with};
use crate::visitor::{ADMIN, READER, Visitor, ask, bearer, with_console};

/// One whose forms all differ.
const APP_KEY: &str = "app/key+of=the&tests?~<with> \"odd\" 100%";
/// Each secret, and the file that holds it.
const SECRETS: [(&str, &str); 4] = [("token", TOKEN), ("admin", ADMIN), ("reader", READER), ("app-key", APP_KEY)];

/// Every form of every secret that must be found nowhere.
fn forms() -> Vec<(String, String)> {
    let mut forms = Vec::new();
    for (name, secret) in SECRETS {
        forms.push((name.to_owned(), secret.to_owned()));
        // The first and last characters of base64 hold bits of what stands around it.
        for (skipped, before) in ["", "x", "xy"].into_iter().enumerate() {
            for text in [STANDARD.encode(format!("{before}{secret}")), URL_SAFE.encode(format!("{before}{secret}"))] {
                let from = if skipped == 0 { 0 } else { skipped + 1 };
                forms.push((format!("{name} in base64"), text[from..text.len() - 4].to_owned()));
            }
        }
        forms.push((format!("{name} percent-encoded"), utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string()));
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        forms.push((format!("{name} in a form"), form));
        let json = serde_json::to_string(secret).unwrap().trim_matches('"').to_owned();
        for text in [secret.to_owned(), json] {
            let on_a_page = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
            forms.push((format!("{name} in JSON"), text));
            forms.push((format!("{name} on a page"), on_a_page));
        }
    }
    forms
}

/// Fails where a secret is in what was seen at `place`.
fn assert_clean(place: &str, seen: &[u8]) {
    for (what, form) in forms() {
        let found = seen.windows(form.len()).any(|window| window == form.as_bytes());
        assert!(!found, "the secret {what} is in {place}");
    }
}

fn folder(rules: &str) -> (Folder, SocketAddr) {
    // Nobody listens there: the errors of calls are told too.
    let flashduty = "flashduty: { api: \"http://127.0.0.1:9\", app_key: { file: secrets/app-key }, catch_up: false }\n";
    let (folder, addr) = with_console(Folder::with_rules(rules), flashduty);
    folder.write("secrets/app-key", APP_KEY, 0o600);
    for (name, secret) in SECRETS {
        let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        folder.write(&format!("{name}.encoded"), &encoded, 0o600);
    }
    (folder, addr)
}

/// Steps that print all secrets in all forms, and a rule's text that has one in it.
fn leaks(rule: &str, mode: &str) -> String {
    let names = SECRETS.map(|(name, _)| name).join(" ");
    format!(
        "  - id: {rule}
    mode: {mode}
    description: A rule in which somebody wrote {TOKEN}.
    match: {{ events: [i_new], channels: [\"*\"] }}
    target: {rule}
    steps:
      - name: prints {TOKEN}
        shell: |
          for name in {names}; do
            file=secrets/$name
            cat $file; echo; cat $file >&2
            base64 -w 0 <$file; echo
            (printf x; cat $file) | base64 -w 0; echo
            (printf xy; cat $file) | base64 -w 20; echo
            cat $name.encoded; echo
            head -c 13 $file; sleep 0.05; tail -c +14 $file; echo
          done
      - shell: \"echo 'literal {TOKEN}' >/dev/null\"
      - run: [/bin/echo, {TOKEN}]
        env: {{ GIVEN: {READER} }}
        stdin: '{APP_KEY}'
      - flashduty: {{ comment: \"it was {ADMIN}\" }}
      - shell: cat secrets/token >&2; exit 3
"
    )
}

/// All that a stream of changes says from the beginning until the run of the rule has ended.
fn streamed(addr: SocketAddr, until: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let token = bearer(READER);
    write!(stream, "GET /api/v1/stream?after=0 HTTP/1.1\r\nhost: {addr}\r\nauthorization: {token}\r\n\r\n").unwrap();
    let (mut heard, mut part) = (Vec::new(), [0; 4096]);
    while !heard.windows(until.len()).any(|window| window == until.as_bytes()) {
        let read = stream.read(&mut part).unwrap();
        assert!(read > 0, "the stream ended: {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&part[..read]);
    }
    heard
}

#[test]
fn secrets_of_the_config_are_nowhere_to_be_found() {
    let rules =
        format!("rules:\n{}{}{}", leaks("acting", "auto"), leaks("showing", "dry-run"), leaks("asking", "approve"));
    let (folder, addr) = folder(&rules);
    let daemon = folder.start();
    daemon.accept(&incident("e1", "i1"));
    let run = wait_for("the run to end", || {
        let story = daemon.decided("e1");
        let runs = story["runs"].as_array().unwrap();
        let acted = runs.iter().find(|run| run["run"]["rule"] == "acting" && run["run"]["state"] == "failed");
        acted.map(|run| run["run"]["run"].as_str().unwrap().to_owned()).ok_or_else(|| story.to_string())
    });
    // What was searched for was there: the masks stand in its place.
    let story = daemon.folder.json(&["runs", "show", &run]).to_string();
    assert!(story.matches("***").count() > 20, "{story}");

    assert_clean("the stream", &streamed(addr, "run-ended"));
    let visitor = Visitor::log_in(addr, ADMIN);
    for (path, page) in pages(&visitor, "e1", "i1", &run) {
        assert_clean(&format!("the page {path}"), page.as_bytes());
    }
    for path in [
        "/api/v1/rules",
        "/api/v1/rules/acting",
        "/api/v1/events/e1",
        "/api/v1/events/e1/explain",
        "/api/v1/runs",
        "/api/v1/audit/export",
        "/metrics",
        "/readyz",
    ] {
        let (_, answer) = crate::support::admin(&daemon.folder.path("data/stanch.sock"), "GET", path, "").unwrap();
        assert_clean(path, answer.as_bytes());
    }
    let push = daemon.folder.path("push.json");
    fs::write(&push, incident("e2", "i2").to_string()).unwrap();
    let copy = daemon.folder.path("copy.db");
    for args in [
        &["events"][..],
        &["events", "show", "e1"],
        &["runs"],
        &["runs", "show", &run],
        &["explain", "--event", "e1"],
        &["explain", "--event", "e1", "--now"],
        &["explain", push.to_str().unwrap()],
        &["backtest"],
        &["check"],
        &["check", "--format", "json"],
        &["doctor"],
        &["audit", "verify"],
        &["audit", "export"],
        &["backup", copy.to_str().unwrap()],
    ] {
        let output = daemon.folder.run(args);
        assert_clean(&args.join(" "), &[output.stdout, output.stderr].concat());
    }
    assert_clean("the copy", &fs::read(copy).unwrap());
    let folder = daemon.stop();
    for name in ["log", "data/journal.db", "data/journal.db-wal", "data/journal.head"] {
        assert_clean(name, &fs::read(folder.path(name)).unwrap_or_default());
    }
    assert!(folder.run(&["audit", "verify"]).status.success());
}

#[test]
fn a_push_with_a_secret_in_it_is_shown_without_it() {
    let (folder, addr) = folder(&format!("rules:\n{}", leaks("acting", "auto")));
    let daemon = folder.start();
    let changes = [("/incident/labels/key", json!(APP_KEY)), ("/incident/title", json!(format!("it has {APP_KEY}")))];
    daemon.accept(&with(incident("e1", "i1"), &changes));
    let run = daemon.ended("e1")["run"]["run"].as_str().unwrap().to_owned();
    let visitor = Visitor::log_in(addr, ADMIN);
    for (path, page) in pages(&visitor, "e1", "i1", &run) {
        assert_clean(&format!("the page {path}"), page.as_bytes());
    }
    assert!(visitor.get("/events/e1").body.contains("it has ***"));
    assert_clean("the stream", &streamed(addr, "run-ended"));
    for path in ["/api/v1/events/e1", "/api/v1/events/e1/explain", "/api/v1/incidents/i1", "/api/v1/audit/export"] {
        assert_clean(path, ask(addr, "GET", path, &[("authorization", &bearer(READER))], "").body.as_bytes());
    }
    for args in [&["events", "show", "e1"][..], &["explain", "--event", "e1"], &["audit", "export"]] {
        let output = daemon.folder.run(args);
        assert_clean(&args.join(" "), &[output.stdout, output.stderr].concat());
    }
}

#[test]
fn what_the_engine_says_of_a_secret_in_a_push_is_masked_on_record() {
    let rule = |id: &str, more: &str| {
        format!(
            "  - id: {id}\n    mode: approve\n    match: {{ events: [i_new], channels: [\"*\"]{more} }}\n    steps: [ {{ run: [/bin/true] }} ]\n"
        )
    };
    let (folder, _) = folder(&format!("rules:\n{}{}", rule("a", ", labels: { env: prod }"), rule("b", "")));
    let daemon = folder.start();
    let labelled = |event: &str, event_type: &str, env: &str| {
        let changes = [("/event_type", json!(event_type)), ("/incident/labels/env", json!(env))];
        daemon.accept(&with(incident(event, "i1"), &changes));
        daemon.decided(event)
    };
    let run = labelled("e1", "i_new", "prod")["event"]["decision"]["rules"][0]["run"].as_str().unwrap().to_owned();
    labelled("e2", "i_ack", &format!("not {TOKEN}"));
    // It is looked at again, since it may act now.
    assert!(daemon.folder.run(&["runs", "approve", &run, "--reason", TOKEN]).status.success());
    wait_for("the run to end", || {
        let story = daemon.decided("e1").to_string();
        if story.contains("sees") { Ok(()) } else { Err(story) }
    });
    assert!(daemon.folder.run(&["pause", "--rule", "b", "--reason", &format!("because of {TOKEN}")]).status.success());
    daemon.accept(&incident("e3", "i3"));
    daemon.decided("e3");
    let folder = daemon.stop();
    let records = records(&folder.path("data/journal.db"));
    assert!(records.matches("***").count() >= 4, "{records}");
    assert_clean("the records", records.as_bytes());
}

/// The command line and the environment of every process that descends from the daemon, and of the daemon itself.
fn processes(daemon: &Daemon) -> Vec<u8> {
    let read = |pid: u32, name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let pids: Vec<u32> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str().and_then(|name| name.parse().ok()))
        .collect();
    let parents: HashMap<u32, u32> = pids
        .iter()
        .filter_map(|pid| {
            let stat = String::from_utf8_lossy(&read(*pid, "stat")).into_owned();
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((*pid, parent))
        })
        .collect();
    let mut ours = HashSet::from([daemon.pid()]);
    while let Some(more) = parents.iter().find(|(pid, parent)| ours.contains(parent) && !ours.contains(pid)) {
        ours.insert(*more.0);
    }
    assert!(ours.len() > 1, "no step runs");
    ours.iter().flat_map(|pid| [read(*pid, "cmdline"), read(*pid, "environ")].concat()).collect()
}

#[test]
fn no_process_is_given_a_secret_of_the_config() {
    let rules = "rules:\n  - id: a\n    match: { events: [i_new], channels: [\"*\"] }\n    steps:\n      - flashduty: { comment: begun }\n      - shell: touch began; until [ -e go ]; do sleep 0.02; done\n";
    let (folder, _) = folder(rules);
    let daemon = folder.start();
    daemon.accept(&incident("e1", "i1"));
    wait_for("the step to begin", || {
        if daemon.folder.path("began").exists() { Ok(()) } else { Err(daemon.folder.read("log")) }
    });
    assert_clean("a process", &processes(&daemon));
    daemon.folder.write("go", "", 0o644);
    assert_eq!(daemon.end_of("e1"), "succeeded");
}

#[test]
fn a_run_whose_plan_is_masked_on_record_still_goes_on_after_a_crash() {
    let rules = format!(
        "rules:\n  - id: a\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    steps:\n      - shell: |\n          [ {TOKEN} = \"$(cat secrets/token)\" ] && echo ran >> runs\n          until [ -e go ]; do sleep 0.02; done\n        idempotent: true\n"
    );
    let (folder, _) = folder(&rules);
    let daemon = folder.start();
    daemon.accept(&incident("e1", "i1"));
    wait_for("the step to begin", || {
        let runs = daemon.folder.read("runs");
        if runs == "ran\n" { Ok(()) } else { Err(runs) }
    });
    let daemon = daemon.kill().start();
    daemon.folder.write("go", "", 0o644);
    let run = daemon.ended("e1");
    assert_eq!(run["run"]["state"], "succeeded", "{run}");
    let folder = daemon.stop();
    // The step itself had the secret as it is.
    assert_eq!(folder.read("runs"), "ran\nran\n");
    assert_clean("the journal", &fs::read(folder.path("data/journal.db")).unwrap());
}
