//! The console in a real browser: live without a reload, usable by keyboard, and without a finding of axe on any page,
//! in light and dark, on a desk and on a phone.

mod pictures;
mod reach;

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use crate::support::{Daemon, Folder, TOKEN, incident, post, wait_for, with};
use crate::visitor::{ADMIN, ask, bearer, with_console};
use crate::webdriver::{Browser, ENTER, Scheme, TAB};

/// Rules of all kinds: one that acts and takes its time, one that asks, one that is only shown, one that fails.
const RULES: &str = r#"rules:
  - id: disk-full
    description: Free space on a database node whose disk is nearly full.
    owner: storage-oncall
    match: { events: [i_new, i_reopen], channels: [Order System], labels: { check: disk full } }
    target: "{{ labels.resource }}"
    steps:
      - name: see what is there
        run: [/bin/echo, "/var/lib is at 97 %"]
      - name: clear old logs
        shell: |
          for n in 1 2 3; do echo "removed /var/log/app.log.$n"; done
          while [ -e hold ]; do
            if [ -e say ]; then cat say; echo; rm say; fi
            sleep 0.05
          done
    verify:
      within: 10s
      steps: [ { name: the disk has room, run: [/bin/echo, "/var/lib is at 61 %"] } ]
  - id: restart-service
    description: Restart a service that does not answer.
    owner: platform
    mode: approve
    match: { events: [i_new], channels: ["*"], labels: { check: no answer } }
    target: "{{ labels.resource }}"
    steps:
      - name: restart
        run: [/bin/echo, systemctl, restart, "{{ labels.service }}"]
  - id: drain-node
    description: Take a node out of the balancer before its disk fails.
    owner: platform
    mode: dry-run
    match: { events: [i_new], channels: ["*"], severities: [Critical, Warning] }
    target: "node-{{ labels.resource }}"
    steps: [ { name: drain, run: [/bin/echo, drain, "{{ labels.resource }}"] } ]
  - id: renew-certificate
    description: Renew a certificate that runs out.
    owner: edge
    match: { events: [i_new], channels: ["*"], labels: { check: certificate } }
    target: "{{ labels.resource }}"
    guards: { breaker: { failures: 1, within: 1h, open_for: 1h } }
    steps:
      - name: ask the authority
        shell: |
          echo "connecting to acme.internal" >&2
          echo "rate limited: retry after 3600 s" >&2
          exit 3
"#;

fn start() -> (Daemon, SocketAddr) {
    let (folder, addr) = with_console(Folder::with_rules(RULES), "");
    (folder.start(), addr)
}

fn push(daemon: &Daemon, event: &str, id: u32, title: &str, check: &str, resource: &str) {
    let push = with(
        incident(event, &format!("5f00000000000000000000{id:02x}")),
        &[
            ("/incident/title", json!(title)),
            ("/incident/labels/check", json!(check)),
            ("/incident/labels/resource", json!(resource)),
            ("/incident/labels/service", json!("checkout-api")),
            ("/incident/detail_url", json!("https://console.flashcat.cloud/incident/detail/1")),
        ],
    );
    daemon.accept(&push);
}

/// A browser that is logged in.
fn logged_in(addr: SocketAddr) -> Browser {
    let browser = Browser::start();
    browser.look(1280, 800, Scheme::Light);
    browser.open(&format!("http://{addr}/"));
    log_in(&browser);
    browser
}

/// Logs in without touching a mouse: the field for the token has the focus.
fn log_in(browser: &Browser) {
    browser.wait_for_text("Log in");
    browser.press(&format!("{ADMIN}{TAB}Ada{TAB}{ENTER}"));
    browser.wait_for_text("Seen by Ada at the console");
}

fn run_of(addr: SocketAddr, event: &str) -> String {
    wait_for(&format!("{event} to lead to a run"), || {
        let story =
            ask(addr, "GET", &format!("/api/v1/events/{event}"), &[("authorization", &bearer(ADMIN))], "").json();
        let rules = story["event"]["decision"]["rules"].as_array().cloned().unwrap_or_default();
        rules.iter().find_map(|rule| rule["run"].as_str().map(str::to_owned)).ok_or_else(|| story.to_string())
    })
}

fn ended(addr: SocketAddr, run: &str, state: &str) {
    wait_for(&format!("{run} to be {state}"), || {
        let story = ask(addr, "GET", &format!("/api/v1/runs/{run}"), &[("authorization", &bearer(ADMIN))], "").json();
        if story["run"]["state"] == state { Ok(()) } else { Err(story.to_string()) }
    });
}

/// Everything that the pages can show.
fn fill(daemon: &Daemon, addr: SocketAddr) {
    push(daemon, "e-disk", 1, "db-07 / disk full: /var/lib at 97 %", "disk full", "db-07");
    ended(addr, &run_of(addr, "e-disk"), "succeeded");
    push(daemon, "e-cert", 2, "edge-02 / certificate runs out in 3 days", "certificate", "edge-02");
    ended(addr, &run_of(addr, "e-cert"), "failed");
    push(daemon, "e-other", 3, "cache-01 / memory at 81 %", "memory", "cache-01");
    push(daemon, "e-cert-2", 4, "edge-03 / certificate runs out in 2 days", "certificate", "edge-03");
    push(daemon, "e-ask", 5, "checkout-api / no answer for 2 minutes", "no answer", "app-11");
    run_of(addr, "e-ask");
    let closed = with(
        incident("e-disk-closed", "5f0000000000000000000001"),
        &[
            ("/event_type", json!("i_rslv")),
            ("/incident/title", json!("db-07 / disk full: /var/lib at 97 %")),
            ("/incident/progress", json!("Closed")),
        ],
    );
    assert_eq!(post(daemon.folder.addr, TOKEN, closed.to_string().as_bytes()).0, 200);
    daemon.decided("e-disk-closed");
}

/// Every page there is.
fn pages(addr: SocketAddr) -> Vec<(&'static str, String)> {
    let (disk, cert, ask) = (run_of(addr, "e-disk"), run_of(addr, "e-cert"), run_of(addr, "e-ask"));
    vec![
        ("live", "/".into()),
        ("event", "/events/e-disk".into()),
        ("event-asked", "/events/e-cert-2?ask=then".into()),
        ("incident", "/incidents/5f0000000000000000000001".into()),
        ("runs", "/runs".into()),
        ("run", format!("/runs/{disk}")),
        ("run-failed", format!("/runs/{cert}")),
        ("run-waiting", format!("/runs/{ask}")),
        ("approvals", "/approvals?done=denied".into()),
        ("rules", "/rules".into()),
        ("rule", "/rules/renew-certificate".into()),
        ("backtest", "/backtest?since=7d".into()),
        ("backtest-form", "/backtest".into()),
        ("engine", "/engine?check".into()),
        ("not-found", "/nothing".into()),
    ]
}

#[test]
fn what_happens_appears_without_a_reload() {
    let (daemon, addr) = start();
    daemon.folder.write("hold", "", 0o644);
    let browser = logged_in(addr);
    browser.wait_for_text("Nothing came in yet.");
    browser.wait_for_text("\nlive");
    browser.script("window.sameAsBefore = true");
    push(&daemon, "e-1", 1, "a <b>disk</b> is full", "disk full", "db-07");
    browser.wait_for_text("a <b>disk</b> is full");
    browser.wait_for_text("1 run acts");
    assert_eq!(browser.script("return window.sameAsBefore"), true, "the page was loaded anew");

    // The steps of a run, as they happen.
    let run = run_of(addr, "e-1");
    browser.open(&format!("http://{addr}/runs/{run}"));
    browser.wait_for_text("clear old logs");
    browser.wait_for_text("running");
    browser.script("window.sameAsBefore = true");
    // What the step prints is there before it ends.
    browser.wait_for_text("output so far");
    browser.wait_for_text("removed /var/log/app.log.3");
    assert!(!browser.text().contains("the disk has room"), "the step has not ended yet");
    std::fs::remove_file(daemon.folder.path("hold")).unwrap();
    browser.wait_for_text("the disk has room");
    browser.wait_for_text("succeeded");
    assert!(!browser.text().contains("so far") && browser.text().contains("app.log.3"), "{}", browser.text());
    assert_eq!(browser.script("return window.sameAsBefore"), true, "the page was loaded anew");
}

#[test]
fn output_that_no_record_tells_of_appears_while_the_step_runs() {
    let (daemon, addr) = start();
    daemon.folder.write("hold", "", 0o644);
    let browser = logged_in(addr);
    push(&daemon, "e-1", 1, "a disk is full", "disk full", "db-07");
    browser.open(&format!("http://{addr}/runs/{}", run_of(addr, "e-1")));
    browser.wait_for_text("output so far");
    browser.wait_for_text("\nlive");
    browser.script("window.sameAsBefore = true");
    // The step says more, and the journal is not written to.
    daemon.folder.write("say", "it takes a while", 0o644);
    browser.wait_for_text("it takes a while");
    browser.wait_for_text("for 2 s");
    assert_eq!(browser.script("return window.sameAsBefore"), true, "the page was loaded anew");
    std::fs::remove_file(daemon.folder.path("hold")).unwrap();
    browser.wait_for_text("succeeded");
}

#[test]
fn a_run_is_done_again_and_a_rule_held_back_by_clicking() {
    let (daemon, addr) = start();
    push(&daemon, "e-1", 1, "a disk is full", "disk full", "db-07");
    let run = run_of(addr, "e-1");
    ended(addr, &run, "succeeded");
    let browser = logged_in(addr);
    browser.open(&format!("http://{addr}/runs/{run}"));
    browser.click("#again summary");
    browser.click("#why-again");
    browser.press("the disk is full again");
    // Without the confirmation the browser itself does not send it.
    browser.click("#again button");
    assert!(browser.url().ends_with(&run), "{}", browser.url());
    browser.click("#sure");
    browser.click("#again button");
    browser.wait_for_text("This is the new run");
    browser.wait_for_text("done again by Ada at the console: the disk is full again");

    browser.open(&format!("http://{addr}/rules/disk-full"));
    browser.click("section[aria-labelledby=holding] summary");
    browser.click("#reason-rule");
    browser.press("it deletes too much");
    browser.click("form[action='/pause'] button");
    browser.wait_for_text("The rule is paused");
    browser.wait_for_text("it deletes too much");
    browser.click("form[action='/resume'] button");
    browser.wait_for_text("The rule may act again");

    push(&daemon, "e-2", 2, "a certificate", "certificate", "edge-01");
    browser.open(&format!("http://{addr}/events/e-2"));
    browser.click("a[href^='/engine?channel=']");
    browser.click("section[aria-labelledby=pauses] form[action='/pause'] button");
    browser.wait_for_text("The channel is paused");
    browser.wait_for_text("channel Order System");
}

#[test]
fn the_rules_are_tried_on_what_came_in_and_shown_as_charts() {
    let (daemon, addr) = start();
    fill(&daemon, addr);
    let browser = logged_in(addr);
    browser.open(&format!("http://{addr}/rules"));
    browser.click("a[href='/backtest']");
    browser.wait_for_text("Nothing is executed.");
    browser.script("document.getElementById('since').value = '1d'");
    browser.click("form[action='/backtest'] button");
    browser.wait_for_text("6 events");
    assert!(browser.url().ends_with("/backtest?since=1d&approvals=granted"), "{}", browser.url());
    // Charts have a size and a colour of their own, and a name for whoever does not see them.
    let charts = browser.script(
        "return [...document.querySelectorAll('svg.columns')].map((one) => [one.querySelector('title').textContent,
           one.querySelector('rect').getBoundingClientRect().height > 0, getComputedStyle(one.querySelector('rect')).fill])",
    );
    let charts = charts.as_array().unwrap();
    assert!(charts.len() >= 3, "{charts:?}");
    for chart in charts {
        assert!(chart[0].as_str().unwrap().contains("; the most"), "{chart}");
        assert!(chart[1] == true && chart[2] != "rgb(0, 0, 0)", "{chart}");
    }
    browser.script("document.querySelectorAll('details').forEach((one) => { one.open = true })");
    browser.wait_for_text("Runs of each rule in an hour");
    let text = browser.text();
    for part in ["disk-full", "drain-node", "Suppressed", "Difference to what was done", "would have been the same"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_approval_is_granted_by_clicking_and_another_denied_by_keyboard() {
    let (daemon, addr) = start();
    let browser = logged_in(addr);
    browser.open(&format!("http://{addr}/approvals"));
    browser.wait_for_text("Nothing waits for a person.");
    push(&daemon, "e-1", 1, "checkout-api does not answer", "no answer", "app-11");
    browser.wait_for_text("restart-service wants to act on app-11");
    browser.click("article .primary");
    browser.wait_for_text("The run is approved");
    ended(addr, &run_of(addr, "e-1"), "succeeded");

    push(&daemon, "e-2", 2, "checkout-api does not answer", "no answer", "app-12");
    let run = run_of(addr, "e-2");
    browser.wait_for_text("wants to act on app-12");
    browser.script(&format!("document.getElementById('reason-{run}').focus()"));
    browser.press("not now");
    // What somebody types into stays, whatever happens meanwhile.
    push(&daemon, "e-3", 3, "checkout-api does not answer", "no answer", "app-13");
    browser.wait_for_text("wants to act on app-13");
    browser.press(&format!(", Ada{TAB}{TAB}{ENTER}"));
    browser.wait_for_text("The run is denied");
    ended(addr, &run, "denied");
    let story = ask(addr, "GET", &format!("/api/v1/runs/{run}"), &[("authorization", &bearer(ADMIN))], "").json();
    assert_eq!(story["run"]["error"], "denied by Ada at the console: not now, Ada");
}
