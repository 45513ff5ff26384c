//! Steps on other hosts, over a real sshd.

use std::path::Path;

use serde_json::{Value, json};

use crate::sshd::Sshd;
use crate::support::{Daemon, Folder, incident, wait_for, with};

/// A rule for every new incident, whose lines follow.
pub(crate) fn rule(lines: &str) -> String {
    format!(
        "rules:\n  - id: far\n    match: {{ events: [i_new], channels: [\"*\"] }}\n    \
         target: \"{{{{ labels.resource }}}}\"\n{lines}"
    )
}

pub(crate) fn folder(sshd: &Sshd, rules: &str) -> Folder {
    folder_with(sshd, rules, "")
}

pub(crate) fn folder_with(sshd: &Sshd, rules: &str, client: &str) -> Folder {
    let folder = Folder::with_rules(rules).config("ssh: { config: ssh_config }\n");
    folder.write("ssh_config", &sshd.client_config(client), 0o600);
    folder
}

/// The results of the steps of an ended run.
fn results(story: &Value) -> Vec<&Value> {
    story["steps"].as_array().unwrap().iter().map(|step| &step["result"]).collect()
}

fn stdout(story: &Value, nth: usize) -> &str {
    results(story)[nth]["stdout"].as_str().unwrap_or_default()
}

/// Waits until a process is gone.
pub(crate) fn is_gone(pid: &str) {
    let path = format!("/proc/{}/stat", pid.trim());
    wait_for("the far process to be gone", || match std::fs::read_to_string(&path) {
        Ok(stat) if !stat.contains(") Z ") => Err(stat),
        _ => Ok(()),
    });
}

/// Waits for the process id that a far step has written into `pid`.
pub(crate) fn far_pid(daemon: &Daemon) -> String {
    wait_for("the far step to have begun", || {
        let pid = daemon.folder.read("pid");
        if pid.ends_with('\n') { Ok(pid.trim().to_owned()) } else { Err(pid) }
    })
}

#[test]
fn arguments_variables_and_the_event_arrive_byte_for_byte() {
    let sshd = Sshd::start();
    let rules = rule(
        "    steps:
      - ssh: { host: \"{{ target }}\", stdin: none, run: [printf, '<%s>', --, \"{{ labels.nasty }}\", \"$HOME\", \"\"] }
      - ssh: { host: \"{{ target }}\", run: [cat] }
      - ssh:
          host: \"{{ target }}\"
          env: { NASTY: \"{{ labels.nasty }}\" }
          stdin: \"typed {{ labels.nasty }}\"
          shell: |
            printf '%s|' \"$NASTY\" \"$STANCH_LABEL_NASTY\" \"$STANCH_TARGET\" \"$STANCH_ATTEMPT\"
            cat # what is typed
",
    );
    let daemon = folder(&sshd, &rules).start();
    let nasty = "it's $(touch pwned) `touch pwned`; touch pwned\n\"\\ ünï \u{1b}[31m *";
    let push = with(incident("e1", "i1"), &[("/incident/labels/nasty", json!(nasty))]);
    daemon.accept(&push);
    let story = daemon.ended("e1");
    assert_eq!(story["run"]["state"], "succeeded", "{story:#}");
    assert_eq!(stdout(&story, 0), format!("<--><{nasty}><$HOME><>"));
    assert_eq!(stdout(&story, 1), push.to_string());
    assert_eq!(stdout(&story, 2), format!("{nasty}|{nasty}|db-07|1|typed {nasty}"));
    assert_eq!(sshd.handshakes(), 1, "three steps share one connection");
}

#[test]
fn runs_at_the_same_time_share_one_connection_and_the_end_of_one_leaves_it_standing() {
    let sshd = Sshd::start();
    let rules = rule(
        "    guards: { concurrency: { max: 9, by: rule }, rate: { max: 99, per: 1h } }
    steps:
      - ssh: { host: far, shell: 'cd \"$STANCH_LABEL_FOLDER\"; : > begun-$STANCH_TARGET; while ! test -e go; do sleep 0.05; done; echo went' }
        timeout: 10m
      - ssh: { host: far, run: [echo, again] }
",
    );
    // The rule counts by itself, but a target is locked for all rules: the targets differ.
    let daemon = folder(&sshd, &rules).start();
    let place = daemon.folder.path("").display().to_string();
    for event in ["e1", "e2", "e3"] {
        let labels = json!({ "resource": event, "folder": place });
        daemon.accept(&with(incident(event, event), &[("/incident/labels", labels)]));
        wait_for("the far step to have begun", || {
            let begun = daemon.folder.path(&format!("begun-{event}")).exists();
            if begun { Ok(()) } else { Err(daemon.decided(event).to_string()) }
        });
    }
    let run = daemon.decided("e1")["event"]["decision"]["rules"][0]["run"].as_str().unwrap().to_owned();
    assert!(daemon.folder.run(&["runs", "cancel", &run]).status.success());
    assert_eq!(daemon.end_of("e1"), "cancelled");
    daemon.folder.write("go", "", 0o644);
    for event in ["e2", "e3"] {
        let story = daemon.ended(event);
        assert_eq!(story["run"]["state"], "succeeded", "{story:#}");
        assert_eq!((stdout(&story, 0), stdout(&story, 1)), ("went\n", "again\n"));
    }
    assert_eq!(sshd.handshakes(), 1);
    let folder = daemon.stop();
    let left = std::fs::read_dir(folder.path("data/ssh")).unwrap().count();
    assert_eq!(left, 0, "a daemon that stops ends its connections");
}

#[test]
fn an_unknown_or_changed_host_key_fails_closed_whatever_the_clients_config_says() {
    let sshd = Sshd::start();
    let rules = rule("    steps: [ { ssh: { host: far, run: [touch, reached] } } ]\n");
    let lax =
        "  StrictHostKeyChecking no\n  NoHostAuthenticationForLocalhost yes\n  BatchMode no\n  UpdateHostKeys yes";
    let daemon = folder_with(&sshd, &rules, lax).start();
    let changed = format!("far {}", sshd.other_key());
    for (event, known) in [("unknown", ""), ("changed", &changed)] {
        sshd.know(known);
        daemon.accept(&with(incident(event, event), &[]));
        let story = daemon.ended(event);
        assert_eq!(story["run"]["state"], "failed", "{story:#}");
        let error = story["run"]["error"].as_str().unwrap();
        assert!(error.contains("cannot connect to far: Host key verification failed."), "{error}");
        assert!(error.contains("nothing was started there"), "{error}");
        assert_eq!(results(&story)[0].get("exit_code"), None, "no command has exited: {story:#}");
    }
    assert_eq!(sshd.handshakes(), 0);
}

#[test]
fn a_host_that_could_be_an_option_or_code_is_a_plan_error() {
    let sshd = Sshd::start();
    let rules = rule("    steps: [ { ssh: { host: \"{{ labels.where }}\", user: ops, run: [touch, reached] } } ]\n");
    let daemon = folder(&sshd, &rules).start();
    for (nth, host) in ["-oProxyCommand=touch pwned", "a;touch pwned", "a b", "", "root@far", "$(id)", "far:22", "all"]
        .into_iter()
        .enumerate()
    {
        let event = format!("e{nth}");
        daemon.accept(&with(incident(&event, &event), &[("/incident/labels/where", json!(host))]));
        let (outcome, reason) = daemon.outcome(&event);
        assert_eq!(outcome, "plan-error", "{host:?}: {reason}");
        assert!(reason.contains("ssh.host"), "{reason}");
    }
    assert_eq!(sshd.handshakes(), 0);
    assert!(!daemon.folder.path("pwned").exists());
}

#[test]
fn what_fails_there_is_told_apart_from_what_never_got_there() {
    let sshd = Sshd::start();
    let rules = rule(
        "    steps:
      - { name: three, ssh: { host: far, run: [sh, -c, 'echo partly; echo oops >&2; exit 3'] }, continue_on_error: true }
      - { name: own-255, ssh: { host: far, run: [sh, -c, 'exit 255'] }, continue_on_error: true }
      - { name: taken, ssh: { host: far, run: [sh, -c, 'exit 7'], exit_codes: [7] } }
      - { name: missing, ssh: { host: far, run: [no-such-program] }, continue_on_error: true }
      - { name: strict, ssh: { host: far, shell: 'false; echo unreached' }, continue_on_error: true }
      - { name: nowhere, ssh: { host: far, port: 1, run: [echo, unreached] } }
",
    );
    let daemon = folder(&sshd, &rules).start();
    daemon.accept(&incident("e1", "i1"));
    let story = daemon.ended("e1");
    let results = results(&story);
    let codes: Vec<Option<i64>> = results.iter().map(|result| result["exit_code"].as_i64()).collect();
    assert_eq!(codes, [Some(3), Some(255), Some(7), Some(127), Some(1), None], "{story:#}");
    assert_eq!((results[0]["stdout"].as_str(), results[0]["stderr"].as_str()), (Some("partly\n"), Some("oops\n")));
    for (nth, said) in
        [(0, "on far: exited with code 3"), (1, "on far: exited with code 255"), (5, "cannot connect to far:1:")]
    {
        let error = results[nth]["error"].as_str().unwrap();
        assert!(error.contains(said), "{error}");
    }
    assert_eq!(results[4].get("stdout"), None, "sh -eu ends at the first failure");
    assert_eq!(story["run"]["state"], "failed");
}

#[test]
fn a_step_ends_there_too_at_its_limit_and_when_it_is_called_off() {
    let sshd = Sshd::start();
    let rules = rule(
        "    steps:
      - ssh: { host: far, run: [echo, the connection stands] }
      - ssh: { host: far, stdin: none, shell: 'cd \"$STANCH_LABEL_FOLDER\"; (trap \"\" TERM; echo $$ > pid; sleep 1000); echo unreached' }
        timeout: \"{{LIMIT}}\"
",
    );
    for (limit, end) in [("6s", "timed-out"), ("10m", "cancelled")] {
        let daemon = folder(&sshd, &rules.replace("\"{{LIMIT}}\"", limit)).start();
        let place = daemon.folder.path("").display().to_string();
        daemon.accept(&with(incident("e1", "i1"), &[("/incident/labels/folder", json!(place))]));
        let pid = far_pid(&daemon);
        if end == "cancelled" {
            let run = daemon.decided("e1")["event"]["decision"]["rules"][0]["run"].as_str().unwrap().to_owned();
            assert!(daemon.folder.run(&["runs", "cancel", &run]).status.success());
        }
        let story = daemon.ended("e1");
        assert_eq!(story["run"]["state"], end, "{story:#}");
        is_gone(&pid);
    }
}

#[test]
fn a_step_ends_there_too_when_the_daemon_is_killed() {
    let sshd = Sshd::start();
    let rules = rule(
        "    steps:
      - ssh: { host: far, shell: 'cd \"$STANCH_LABEL_FOLDER\"; echo $$ > pid; sleep 1000' }
",
    );
    // The run's id comes from the event's, and recovery looks for it on the whole host: no other test may have it.
    let daemon = folder(&sshd, &rules).start();
    let place = daemon.folder.path("").display().to_string();
    daemon.accept(&with(incident("killed-1", "i1"), &[("/incident/labels/folder", json!(place))]));
    let pid = far_pid(&daemon);
    let folder = daemon.kill();
    is_gone(&pid);
    let daemon = folder.start();
    assert_eq!(daemon.end_of("killed-1"), "interrupted");
}

#[test]
fn a_plan_shows_where_it_goes_and_a_dry_run_goes_nowhere() {
    let sshd = Sshd::start();
    let rules = rule("    steps: [ { ssh: { host: \"{{ target }}\", user: ops, port: 2222, run: [uptime, -p] } } ]\n");
    let daemon = folder(&sshd, &rules).arg("--dry-run").start();
    daemon.accept(&incident("e1", "i1"));
    let story = daemon.decided("e1");
    let rule = &story["event"]["decision"]["rules"][0];
    assert_eq!(rule["outcome"], "dry-run");
    let expected = json!([{ "ssh": { "host": "db-07", "user": "ops", "port": 2222, "run": ["uptime", "-p"] } }]);
    assert_eq!(rule["plan"]["steps"], expected);
    assert!(!Path::new(&daemon.folder.path("data/ssh")).exists());
    assert_eq!(sshd.handshakes(), 0);
}

#[test]
fn a_jump_host_of_the_clients_config_is_used_and_its_connection_outlives_the_step() {
    let sshd = Sshd::start();
    let rules = rule(
        "    steps:
      - ssh: { host: inner, run: [echo, once] }
      - ssh: { host: inner, run: [echo, twice] }
",
    );
    let daemon = folder_with(&sshd, &rules, "Host inner\n  ProxyJump jump\nHost *").start();
    daemon.accept(&incident("e1", "i1"));
    let story = daemon.ended("e1");
    assert_eq!(story["run"]["state"], "succeeded", "{story:#}");
    assert_eq!((stdout(&story, 0), stdout(&story, 1)), ("once\n", "twice\n"));
    assert_eq!(sshd.handshakes(), 2, "one with the jump host, one with the host behind it");
}
