//! The whole loop in one run: incidents come in from Flashduty, hosts are healed over ssh and looked at until they are
//! well, the incidents hear of it, one is handed over; and a crash in the midst of it all makes nothing happen twice.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use stanch::fake_flashduty::{Fault, Webhook};

use crate::flashduty::{APP_KEY, Vendor, settled, written_back};
use crate::ssh::{far_pid, is_gone};
use crate::sshd::Sshd;
use crate::support::{Daemon, Folder, TOKEN, incident, wait_for, with};

/// `disk` heals two hosts, of which one is well only when the test says so; `lag` fails, and hands over what comes again;
/// `stuck` never ends.
const RULES: &str = r#"rules:
  - id: disk
    match: { events: [i_new], channels: ["*"], labels: { check: disk } }
    target: "{{ labels.resource }}"
    guards: { recheck: incident }
    steps:
      - name: heal
        each:
          in: labels.hosts.split(" ")
          as: host
          batch: 2
          steps:
            - ssh:
                host: "{{ host }}"
                shell: 'cd "$STANCH_LABEL_FOLDER"; echo healed >> "healed-$STANCH_ITEM"; test $STANCH_ITEM = web-late || : > "well-$STANCH_ITEM"'
    verify:
      within: 60s
      every: 100ms
      steps:
        - ssh: { host: web-1, shell: 'cd "$STANCH_LABEL_FOLDER"; test -e well-web-1' }
        - ssh: { host: web-late, shell: 'cd "$STANCH_LABEL_FOLDER"; echo looked >> looked-web-late; test -e well-web-late' }
    on_success:
      - flashduty:
          comment: "Freed space on {{ labels.hosts }}."
          resolve: { root_cause: full disks, resolution: "freed space on {{ labels.hosts }}" }
  - id: lag
    match: { events: [i_new], channels: ["*"], labels: { check: lag } }
    target: "{{ labels.resource }}"
    guards:
      attempts:
        max: 1
        per: 1h
        by: target
        then: [ { flashduty: { comment: "{{ target }} is handed over to a person." } } ]
    steps: [ { name: catch up, ssh: { host: "{{ target }}", shell: "echo no primary >&2; exit 3" } } ]
    on_failure: [ { flashduty: { comment: "Could not catch up on {{ target }}: {{ run.state }}." } } ]
  - id: stuck
    match: { events: [i_new], channels: ["*"], labels: { check: stuck } }
    target: "{{ labels.resource }}"
    steps: [ { name: hang, ssh: { host: "{{ target }}", shell: 'cd "$STANCH_LABEL_FOLDER"; echo $$ > pid; sleep 1000' }, timeout: 10m } ]
"#;

/// The hosts of `disk`, the second of which takes its time.
const HOSTS: [&str; 2] = ["web-1", "web-late"];
// Incidents, and events by the same ids. The ids of runs come from those of events, and recovery looks for them on the
// whole host: no other test may have them.
const STUCK: &str = "loop-stuck";
const LAG: &str = "loop-lag";
const LAG_AGAIN: &str = "loop-lag-again";
const DISK: &str = "loop-disk";

fn folder(vendor: &Vendor, sshd: &Sshd) -> Folder {
    let folder = Folder::with_rules(RULES);
    folder.write("secrets/app-key", APP_KEY, 0o600);
    folder.write("ssh_config", &sshd.client_config(""), 0o600);
    let flashduty = format!("flashduty: {{ api: \"{}\", app_key: {{ file: secrets/app-key }} }}\n", vendor.fake.url());
    folder.config(&format!("{flashduty}ssh: {{ config: ssh_config }}\n"))
}

/// Opens an incident at Flashduty and pushes it; gives the push, whose `event_id` is `id` too.
fn comes_in(vendor: &Vendor, daemon: &Daemon, id: &str, check: &str, resource: &str) -> Value {
    let place = daemon.folder.path("").display().to_string();
    let labels = json!({ "check": check, "resource": resource, "hosts": HOSTS.join(" "), "folder": place });
    let push = with(incident(id, id), &[("/incident/labels", labels)]);
    vendor.open_with(id, push["incident"].clone());
    daemon.accept(&push);
    push
}

fn wait_for_comments(vendor: &Vendor, id: &str, count: usize) {
    wait_for(&format!("{count} comments on {id}"), || match vendor.fake.comments(id) {
        comments if comments.len() < count => Err(format!("{comments:?}")),
        _ => Ok(()),
    });
}

/// What became of the write-backs of a run: (call, outcome).
fn outcomes(views: &[Value]) -> Vec<(&str, &str)> {
    views.iter().map(|view| (view["call"].as_str().unwrap(), view["outcome"].as_str().unwrap())).collect()
}

#[test]
fn incidents_are_healed_told_and_handed_over_and_a_crash_repeats_nothing() {
    let (sshd, vendor) = (Sshd::start(), Vendor::start());
    let daemon = folder(&vendor, &sshd).start();
    let url = format!("http://{}/flashduty", daemon.folder.addr);
    vendor.fake.set_webhook(Some(Webhook::new(&url, "X-Stanch-Token", TOKEN).unwrap()));

    // One run is in its step until the crash.
    let stuck_push = comes_in(&vendor, &daemon, STUCK, "stuck", "db-9");
    let pid = far_pid(&daemon);

    // One fails, and everything that it has to say arrives before the crash.
    let lag_push = comes_in(&vendor, &daemon, LAG, "lag", "db-1");
    assert_eq!(daemon.end_of(LAG), "failed");
    assert_eq!(outcomes(&written_back(&daemon, LAG)), [("comment", "sent"), ("comment", "sent")]);

    // One heals its hosts, and looks at them until the second is well too.
    let disk_push = comes_in(&vendor, &daemon, DISK, "disk", "web");
    wait_for("a look that failed, and another", || match daemon.folder.read("looked-web-late") {
        looked if looked.lines().count() < 2 => Err(looked),
        _ => Ok(()),
    });
    assert_eq!(vendor.fake.comments(DISK), [""; 0], "nothing is well before both hosts are");

    // From here on comments arrive, and the daemon does not live to hear that they did; what follows them waits.
    let slow = Some(Fault::Slow(Duration::from_secs(600)));
    vendor.fake.fail_next([slow, slow]);
    daemon.folder.write("well-web-late", "", 0o644);
    assert_eq!(daemon.end_of(DISK), "succeeded");
    wait_for_comments(&vendor, DISK, 1);
    let again_push = comes_in(&vendor, &daemon, LAG_AGAIN, "lag", "db-1");
    assert_eq!(daemon.end_of(LAG_AGAIN), "succeeded");
    wait_for_comments(&vendor, LAG_AGAIN, 1);
    assert_eq!(vendor.fake.incident(DISK).unwrap()["progress"], "Triggered", "its resolution waits");

    let folder = daemon.kill();
    is_gone(&pid);
    let daemon = folder.start();
    settled(&daemon);

    assert_eq!(daemon.end_of(STUCK), "interrupted");
    assert_eq!(outcomes(&written_back(&daemon, STUCK)), [("comment", "sent")]);
    let expected = [("comment", "unknown"), ("resolve", "sent"), ("comment", "sent")];
    assert_eq!(outcomes(&written_back(&daemon, DISK)), expected, "what may have arrived is not sent again");
    assert_eq!(outcomes(&written_back(&daemon, LAG_AGAIN)), [("comment", "unknown"), ("comment", "sent")]);
    let resolved = vendor.fake.incident(DISK).unwrap();
    assert_eq!((&resolved["progress"], &resolved["root_cause"]), (&json!("Closed"), &json!("full disks")));
    assert_eq!(resolved["resolution"], "freed space on web-1 web-late");

    // What the resolution changed is pushed, and comes in like the rest.
    wait_for("the resolution to come back", || {
        let events = daemon.folder.json(&["events", "list"]);
        let is_back = events.as_array().unwrap().iter().any(|event| event["event_type"] == "i_rslv");
        if is_back { Ok(()) } else { Err(events.to_string()) }
    });

    // The vendor tries its pushes again, as it does when an answer was lost.
    let pushes = [stuck_push, lag_push, disk_push, again_push];
    for push in &pushes {
        let (status, answer) = daemon.push(push);
        assert_eq!((status, &answer["status"]), (200, &json!("duplicate")), "{answer}");
    }
    settled(&daemon);

    let said = [
        (STUCK, vec!["rule stuck was interrupted"]),
        (LAG, vec!["Could not catch up on db-1: failed.", "rule lag failed on db-1"]),
        (DISK, vec!["Freed space on web-1 web-late.", "rule disk succeeded on web"]),
        (LAG_AGAIN, vec!["db-1 is handed over to a person.", "rule lag succeeded on db-1"]),
    ];
    for (id, expected) in said {
        let comments = vendor.fake.comments(id);
        assert_eq!(comments.len(), expected.len(), "{id}: {comments:?}");
        for (comment, expected) in comments.iter().zip(expected) {
            assert!(comment.contains(expected), "{id}: no {expected:?} in {comment:?}");
        }
    }
    // Counted in what was sent as well as in what was kept.
    let mut sent: HashMap<String, usize> = HashMap::new();
    for call in vendor.fake.seen().into_iter().filter(|call| call.path == "/incident/comment") {
        *sent.entry(call.body["comment"].to_string()).or_default() += 1;
    }
    assert_eq!(sent.values().copied().collect::<Vec<_>>(), [1; 7], "{sent:#?}");
    let resolutions = vendor.calls().iter().filter(|(path, _)| path == "/incident/resolve").count();
    assert_eq!(resolutions, 1);
    let runs = daemon.folder.json(&["runs", "list"]);
    assert_eq!(runs.as_array().unwrap().len(), pushes.len(), "{runs:#}");
    for host in HOSTS {
        assert_eq!(daemon.folder.read(&format!("healed-{host}")), "healed\n", "{host} is healed once");
    }
}
