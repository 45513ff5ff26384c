//! Going over lists of hosts: over real ssh, with what guards, dry-run and a crash make of them.

use serde_json::{Value, json};

use crate::ssh::{far_pid, folder, folder_with, is_gone, rule};
use crate::sshd::Sshd;
use crate::support::{Folder, admin, incident, wait_for, with};

/// A rule that asks every host of the label `hosts` who it is.
fn rolling(batch: usize) -> String {
    rule(&format!(
        "    guards: {{ blast_radius: {{ targets: 200, per: 1h, by: rule }} }}
    steps:
      - name: roll
        each:
          in: labels.hosts.split(\" \")
          as: host
          batch: {batch}
          steps:
            - ssh: {{ host: \"{{{{ host }}}}\", stdin: none, run: [echo, \"{{{{ host }}}}\"] }}
            - ssh: {{ host: \"{{{{ host }}}}\", shell: 'echo \"$STANCH_ITEM of $STANCH_TARGET\"' }}
"
    ))
}

/// The results by item: (item, step, end).
fn items(story: &Value) -> Vec<(String, u64, String)> {
    let steps = story["steps"].as_array().unwrap().iter().filter(|step| step.get("each").is_some());
    let shown = steps.map(|step| {
        let end = step["result"]["end"].as_str().unwrap_or("unknown").to_owned();
        (step["each"]["item"].as_str().unwrap().to_owned(), step["each"]["step"].as_u64().unwrap(), end)
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort();
    shown
}

fn hosts_with_one_handshake_each(count: usize, batch: usize) {
    let sshd = Sshd::start();
    let daemon = folder(&sshd, &rolling(batch)).start();
    let hosts: Vec<String> = (1..=count).map(|nth| format!("web-{nth:03}")).collect();
    daemon.accept(&with(incident("each-1", "i1"), &[("/incident/labels/hosts", json!(hosts.join(" ")))]));
    // Waited for in parts, so that a busy machine may take its time and a hang is noticed all the same.
    for part in (batch..count).step_by(batch) {
        wait_for(&format!("{part} hosts to be reached"), || match sshd.handshakes() {
            reached if reached < part => Err(reached.to_string()),
            _ => Ok(()),
        });
    }
    let story = daemon.ended("each-1");
    assert_eq!(story["run"]["state"], "succeeded", "{}", story["run"]);
    let expected: Vec<_> =
        hosts.iter().flat_map(|host| [0, 1].map(|step| (host.clone(), step, "succeeded".to_owned()))).collect();
    assert_eq!(items(&story), expected);
    assert_eq!(sshd.handshakes(), count, "two steps to each host share its connection");
    let run = story["run"]["run"].as_str().unwrap();
    let shown = String::from_utf8(daemon.folder.run(&["runs", "show", run]).stdout).unwrap();
    assert!(shown.contains("[web-001] ssh {{ host }} echo: succeeded"), "{shown}");
    assert!(shown.contains("out | web-001 of db-07"), "{shown}");
}

#[test]
fn twelve_hosts_take_one_handshake_each() {
    hosts_with_one_handshake_each(12, 4);
}

#[test]
#[ignore = "a hundred connections take a while; `make soak` runs it"]
fn a_hundred_hosts_take_one_handshake_each() {
    hosts_with_one_handshake_each(100, 8);
}

#[test]
fn a_plan_shows_every_host_and_the_radius_counts_them() {
    let rules = rule(
        "    guards: { blast_radius: { targets: 2, per: 1h, by: rule } }
    steps: [ { each: { in: labels.hosts.split(\" \"), as: host, batch: 2, steps: [ { run: [touch, --, \"{{ host }}\"] } ] } } ]
",
    );
    let daemon = Folder::with_rules(&rules).arg("--dry-run").start();
    let push = |event: &str, hosts: &str| {
        daemon.accept(&with(incident(event, event), &[("/incident/labels/hosts", json!(hosts))]));
        daemon.decided(event)["event"]["decision"]["rules"][0].clone()
    };
    let decided = push("e1", "a b");
    assert_eq!(decided["outcome"], "dry-run");
    let each = &decided["plan"]["steps"][0]["each"];
    assert_eq!((&each["in"], &each["batch"]), (&json!(["a", "b"]), &json!(2)));
    assert_eq!(each["steps"]["b"][0]["run"], json!(["touch", "--", "b"]));
    let refused = push("e2", "a b c");
    assert_eq!(
        (&refused["outcome"], refused["reason"].as_str().unwrap().contains("limit by rule is 2")),
        (&json!("suppressed"), true)
    );
    for hosts in ["", "a a", "a *"] {
        let refused = push(&format!("e-{hosts}"), hosts);
        assert_eq!(refused["outcome"], "plan-error", "{refused}");
    }
    assert!(!daemon.folder.path("a").exists());
}

#[test]
fn a_crash_leaves_on_record_which_hosts_were_done() {
    let sshd = Sshd::start();
    let rules = rule(
        "    steps:
      - each:
          in: [one, two, three]
          as: host
          steps: [ { ssh: { host: \"{{ host }}\", shell: 'cd \"$STANCH_LABEL_FOLDER\"; test $STANCH_ITEM = one || { echo $$ > pid; sleep 1000; }' } } ]
",
    );
    let daemon = folder(&sshd, &rules).start();
    let place = daemon.folder.path("").display().to_string();
    daemon.accept(&with(incident("each-crash", "i1"), &[("/incident/labels/folder", json!(place))]));
    let pid = far_pid(&daemon);
    let folder = daemon.kill();
    is_gone(&pid);
    let daemon = folder.start();
    let story = daemon.ended("each-crash");
    assert_eq!(story["run"]["state"], "interrupted", "{story:#}");
    let expected =
        [("one", 0, "succeeded"), ("two", 0, "unknown")].map(|(item, step, end)| (item.into(), step, end.into()));
    assert_eq!(items(&story), expected);
    let run = story["run"]["run"].as_str().unwrap();
    let (status, page) = admin(&daemon.folder.path("data/stanch.sock"), "GET", &format!("/runs/{run}"), "").unwrap();
    assert!(status == 200 && page.contains("for two") && page.contains("host in one two three"), "{status} {page}");
}

/// Two hosts are healed, a third takes its time, a fourth stays ill: after its second run somebody is called.
#[test]
fn hosts_are_healed_verified_late_or_handed_over() {
    let sshd = Sshd::start();
    let rules = rule(
        "    dedupe: { by: [event], for: 1h }
    guards: { attempts: { max: 2, per: 1h, by: target, then: [ { name: call, shell: 'echo \"$STANCH_TARGET\" >> called' } ] } }
    steps:
      - name: heal
        ssh: { host: \"{{ target }}\", shell: 'cd \"$STANCH_LABEL_FOLDER\"; echo \"{\\\"tried\\\": \\\"$STANCH_TARGET\\\"}\"; : > tried-$STANCH_TARGET' }
      - name: note
        if: steps.heal.json.tried == target && steps.heal.exit_code == 0
        run: [/bin/echo, \"{{ steps.heal.json.tried }} after {{ steps.heal.stdout | trim }}\"]
    verify:
      within: 5s
      every: 100ms
      steps: [ { ssh: { host: \"{{ target }}\", stdin: none, shell: 'cd \"$STANCH_LABEL_FOLDER\"; case $STANCH_TARGET in late) test -e seen && exit; : > seen; exit 1;; ill) exit 1;; esac' }, timeout: 4s } ]
    on_success: [ { shell: 'echo \"$STANCH_TARGET\" >> well' } ]
    on_failure: [ { run: [sh, -c, 'echo \"$1\" >> unwell', --, \"{{ target }} {{ run.state }}\"] } ]
",
    );
    let daemon = folder_with(&sshd, &rules, "").start();
    let place = daemon.folder.path("").display().to_string();
    let push = |event: &str, host: &str| {
        let labels = json!({ "resource": host, "folder": place });
        daemon.accept(&with(incident(event, event), &[("/incident/labels", labels)]));
        let story = daemon.ended(event);
        (story["run"]["state"].as_str().unwrap().to_owned(), story)
    };
    let (state, story) = push("heal-1", "well-1");
    assert_eq!(state, "succeeded", "{story:#}");
    assert_eq!(story["steps"][1]["result"]["stdout"], "well-1 after {\"tried\": \"well-1\"}\n");
    assert_eq!(push("heal-2", "well-2").0, "succeeded");
    let (state, story) = push("heal-3", "late");
    assert_eq!(state, "succeeded", "{story:#}");
    let tries = story["steps"].as_array().unwrap().iter().filter(|step| step["phase"] == "verify").count();
    assert_eq!(tries, 2, "the second look found it healed: {story:#}");
    for event in ["heal-4", "heal-5"] {
        assert_eq!(push(event, "ill").0, "unverified");
    }
    let (state, story) = push("heal-6", "ill");
    assert_eq!(state, "succeeded", "{story:#}");
    assert_eq!(story["steps"].as_array().unwrap().len(), 1, "neither verify nor notices follow an escalation");
    assert_eq!(daemon.folder.read("called"), "ill\n");
    assert_eq!(daemon.folder.read("well"), "well-1\nwell-2\nlate\n");
    assert_eq!(daemon.folder.read("unwell"), "ill unverified\nill unverified\n");
    // Once: the next one is suppressed.
    daemon.accept(&with(
        incident("heal-7", "heal-7"),
        &[("/incident/labels", json!({ "resource": "ill", "folder": place }))],
    ));
    assert_eq!(daemon.outcome("heal-7").0, "suppressed");
    assert_eq!(sshd.handshakes(), 4, "one for each host");
    wait_for("every run to end", || {
        let live = daemon.folder.json(&["runs", "list"]);
        let running = live.as_array().unwrap().iter().any(|run| run["state"] == "running");
        if running { Err(live.to_string()) } else { Ok(()) }
    });
}

#[test]
fn a_test_beside_the_rule_sees_every_item_with_its_steps() {
    let rules = format!(
        "{}tests:
  - name: every replica is restarted
    event: {{ event_id: e, event_time: 1700000000000, event_type: i_new, incident: {{ incident_id: i, labels: {{ resource: db, hosts: a b }} }} }}
    expect:
      - rule: far
        outcome: run
        target: db
        steps: [ {{ name: roll, each: {{ in: [a, b], batch: 4, steps: {{ b: [ {{ ssh: {{ host: b, run: [echo, b] }} }}, {{ ssh: {{ host: b }} }} ] }} }} }} ]
",
        rolling(4)
    );
    let folder = Folder::with_rules(&rules);
    let output = folder.run(&["test"]);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let wrong = Folder::with_rules(&rules.replace("run: [echo, b]", "run: [echo, c]"));
    assert_eq!(wrong.run(&["test"]).status.code(), Some(1));
}
